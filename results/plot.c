#include "results/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double GAP_IN_LINES = 0.7; /* between workloads */

const char *plot_name(enum plot_id id) {
    static const char *const names[PLOT_COUNT] = {
        [PLOT_LATENCY] = "latency", [PLOT_MEMORY] = "memory", [PLOT_PSNR] = "psnr"};
    return names[id];
}

static double decibels_of_rms(double rms) {
    return 20 * log10(2 / rms); /* images are in [-1, 1]: peak 2 */
}

/* The PSNR that the case had to reach, or NaN. Checks of an RMS error are turned into decibels, if their value is this
 * case's error indeed; where several bounds hold, the strictest. */
static double find_psnr_bound(const struct record *record, const struct case_row *row) {
    double strictest = NAN;
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        double bound = NAN;
        if (strcmp(check->case_id, row->id) != 0) {
            continue;
        }
        if (strcmp(check->name, "psnr") == 0) {
            bound = check->bound;
        } else if (strcmp(check->name, "quality") == 0 && check->bound > 0) {
            double found = decibels_of_rms(check->value);
            bool same = found == row->psnr_db || fabs(found - row->psnr_db) < 0.01;
            bound = same ? decibels_of_rms(check->bound) : NAN;
        }
        strictest = fmax(strictest, bound); /* NaN counts for nothing */
    }
    return strictest;
}

static struct plot_point make_point(const struct record *record, const struct case_row *row, enum plot_id id) {
    struct plot_point point = {.row = row, .value = NAN, .low = NAN, .high = NAN, .other = NAN};
    switch (id) {
    case PLOT_LATENCY:
        point.value = row->latency_median_ns > 0 ? row->latency_median_ns : NAN;
        point.low = row->latency_low_ns > 0 ? row->latency_low_ns : point.value;
        point.high = row->latency_high_ns > 0 ? row->latency_high_ns : point.value;
        break;
    case PLOT_MEMORY:
        point.value = row->memory_peak_bytes > 0 ? (double)row->memory_peak_bytes : NAN;
        point.other = row->memory_weights_bytes > 0 ? (double)row->memory_weights_bytes : NAN;
        break;
    case PLOT_PSNR:
        point.value = row->psnr_db;
        point.other = find_psnr_bound(record, row);
        break;
    case PLOT_COUNT:
        break;
    }
    return point;
}

/* All but the backend is the workload. */
static bool same_workload(const struct case_row *a, const struct case_row *b) {
    return strcmp(a->model, b->model) == 0 && strcmp(a->precision, b->precision) == 0 &&
           strcmp(a->options, b->options) == 0 && strcmp(a->shape, b->shape) == 0;
}

static size_t find_backend(struct plot *plot, const char *name) {
    size_t i = 0;
    while (i < plot->backend_count && strcmp(plot->backends[i], name) != 0) {
        i++;
    }
    if (i == plot->backend_count) {
        plot->backends[plot->backend_count++] = name;
    }
    return i;
}

/* A line a point, the points of a workload next to each other in the order of backends. */
static void lay_out(struct plot *plot) {
    double line = 0;
    for (size_t i = 0; i < plot->point_count; i++) {
        if (!isnan(plot->points[i].height)) {
            continue; /* placed with its workload */
        }
        for (size_t b = 0; b < plot->backend_count; b++) {
            for (size_t j = i; j < plot->point_count; j++) {
                struct plot_point *point = &plot->points[j];
                if (isnan(point->height) && point->backend == b && same_workload(point->row, plot->points[i].row) &&
                    (j != i || b == plot->points[i].backend)) {
                    point->height = -line;
                    line += 1;
                }
            }
        }
        line += GAP_IN_LINES;
    }
    plot->height_in_lines = line;
}

static void widen(struct plot *plot, double value) {
    if (isfinite(value)) {
        plot->low = fmin(plot->low, value);
        plot->high = fmax(plot->high, value);
    }
}

static void find_range(struct plot *plot) {
    plot->low = NAN;
    plot->high = NAN;
    for (size_t i = 0; i < plot->point_count; i++) {
        widen(plot, plot->points[i].value);
        widen(plot, plot->points[i].low);
        widen(plot, plot->points[i].high);
        widen(plot, plot->points[i].other);
    }
}

struct plot *plot_create(const struct record *record, enum plot_id id) {
    size_t count = record->tables[TABLE_CASES].count;
    struct plot *plot = calloc(1, sizeof *plot);
    if (!plot) {
        return NULL;
    }
    plot->id = id;
    plot->points = calloc(count + 1, sizeof *plot->points);
    plot->backends = calloc(count + 1, sizeof *plot->backends);
    if (!plot->points || !plot->backends) {
        plot_free(plot);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        struct plot_point point = make_point(record, row, id);
        if (isnan(point.value)) {
            plot->left_out_count++;
            continue;
        }
        point.backend = find_backend(plot, row->backend);
        point.height = NAN;
        plot->points[plot->point_count++] = point;
    }
    lay_out(plot);
    find_range(plot);
    return plot;
}

void plot_free(struct plot *plot) {
    if (plot) {
        free(plot->points);
        free(plot->backends);
        free(plot);
    }
}
