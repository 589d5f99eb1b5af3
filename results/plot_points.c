/* Plots of a point a case: latency and PSNR. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_build.h"

enum { MOST_POINTS = 120 };

/* A line a case, with `mark` in the colour of its decoder. */
static void add_point(struct plot *plot, const struct record *record, const struct case_row *row,
                      struct plot_mark *mark, const char *value) {
    struct plot_line *line = plot_add_line(plot, row);
    if (!line) {
        return;
    }
    plot_label(line->label, record, row, false);
    snprintf(line->value, sizeof line->value, "%s", value);
    mark->line = plot->line_count - 1;
    mark->kind = plot_case_is_fine(row) ? PLOT_MARK_POINT : PLOT_MARK_HOLLOW;
    mark->series = plot_find_series(plot, plot_decoder_name(record, row), PLOT_MARK_POINT);
    plot_add_mark(plot, mark);
    plot_widen(plot, mark->low);
    plot_widen(plot, mark->high);
}

static void add_hollow_key(struct plot *plot) {
    if (plot_has_mark(plot, PLOT_MARK_HOLLOW)) {
        plot_add_series(plot, "did not pass", PLOT_MARK_HOLLOW, PLOT_SERIES_GREY);
    }
}

/* ---- Latency ---- */

static bool has_latency(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                        const void *context) {
    (void)record, (void)context;
    candidate->rank = row->latency_median_ns;
    return row->latency_median_ns > 0 && isfinite(row->latency_median_ns);
}

void plot_build_latency(struct plot *plot, const struct record *record) {
    size_t count;
    struct plot_candidate *chosen =
        plot_choose(plot, record, has_latency, NULL, MOST_POINTS, "slowest workloads", &count);
    plot->axis.unit = PLOT_TIME;
    plot->axis.logarithmic = true;
    plot->axis.title = "wall time of one decode";
    for (size_t i = 0; i < count; i++) {
        const struct case_row *row = chosen[i].row;
        double median = row->latency_median_ns;
        struct plot_mark mark = {
            .x = median,
            .low = row->latency_low_ns > 0 && row->latency_low_ns <= median ? row->latency_low_ns : median,
            .high = row->latency_high_ns >= median && isfinite(row->latency_high_ns) ? row->latency_high_ns : median};
        add_point(plot, record, row, &mark, format_time(median).text);
    }
    add_hollow_key(plot);
    free(chosen);
}

/* ---- PSNR ---- */

static bool has_psnr(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                     const void *context) {
    (void)record, (void)context;
    candidate->rank = -row->psnr_db;
    return !isnan(row->psnr_db) && row->psnr_db > -INFINITY;
}

static double decibels_of_rms(double rms) {
    return 20 * log10(2 / rms); /* images are in [-1, 1]: peak 2 */
}

/* The bound in decibels that this check holds the case to, or NaN. Checks of an RMS error are turned into decibels, if
 * their value is this case's error indeed. */
static double bound_of_check(const struct check_row *check, const struct case_row *row) {
    if (strcmp(check->name, "psnr") == 0) {
        return check->bound;
    }
    if (strcmp(check->name, "quality") != 0 || !(check->bound > 0)) {
        return NAN;
    }
    double found = decibels_of_rms(check->value);
    return found == row->psnr_db || fabs(found - row->psnr_db) < 0.01 ? decibels_of_rms(check->bound) : NAN;
}

double plot_find_psnr_bound(const struct record *record, const struct case_row *row) {
    double strictest = NAN;
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        if (strcmp(check->case_id, row->id) == 0) {
            strictest = fmax(strictest, bound_of_check(check, row)); /* NaN counts for nothing */
        }
    }
    return strictest;
}

/* Infinite decibels stand to the right of all others. */
static void place_exact_images(struct plot *plot) {
    double place = isnan(plot->axis.high) ? 150 : plot->axis.high + 10;
    for (size_t i = 0; i < plot->mark_count; i++) {
        if (isinf(plot->marks[i].x)) {
            plot->marks[i].x = plot->marks[i].low = plot->marks[i].high = place;
            plot_widen(plot, place);
        }
    }
}

void plot_build_psnr(struct plot *plot, const struct record *record) {
    size_t count, with_bound = 0;
    struct plot_candidate *chosen =
        plot_choose(plot, record, has_psnr, NULL, MOST_POINTS, "workloads of lowest PSNR", &count);
    plot->axis.unit = PLOT_DECIBELS;
    plot->axis.title = "PSNR over [-1, 1]";
    for (size_t i = 0; i < count; i++) {
        const struct case_row *row = chosen[i].row;
        double bound = plot_find_psnr_bound(record, row);
        if (isfinite(bound)) {
            plot_add_mark(plot, &(struct plot_mark){.line = plot->line_count, /* the one that follows */
                                                    .kind = PLOT_MARK_TICK,
                                                    .series = PLOT_SERIES_GREY,
                                                    .x = bound});
            plot_widen(plot, bound);
            with_bound++;
        }
        struct plot_mark mark = {.x = row->psnr_db, .low = row->psnr_db, .high = row->psnr_db};
        add_point(plot, record, row, &mark, format_decibels(row->psnr_db).text);
    }
    place_exact_images(plot);
    add_hollow_key(plot);
    if (with_bound > 0) {
        plot_add_series(plot, "the bound", PLOT_MARK_TICK, PLOT_SERIES_GREY);
    }
    free(chosen);
}
