#include "results/plot.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_build.h"

const struct plot_text plots[PLOT_COUNT] = {
    [PLOT_LATENCY] =
        {"latency", "Latency of a decode",
         "Median wall time of one decode with its 95 % interval, on a logarithmic axis, by VAE type, workload "
         "and decoder. The reference is timed once and has no interval. Hollow: the case did not pass.",
         "Dots with whiskers: the median latency of each case and its 95 % interval, grouped by VAE type"},
    [PLOT_SAMPLES] =
        {"samples", "Distribution of samples",
         "Every timed sample of a case by how far it is from the case's median, with the median's 95 % "
         "interval as a bar. Hollow: decodes to warm up, which count for nothing. The figure is the median.",
         "Strips of dots: every timed sample of each case, in per cent of the case's median"},
    [PLOT_MEMORY] =
        {"memory", "Memory by phase",
         "What the decoder holds while it opens a model, prepares for a shape and decodes (each class at its "
         "peak within the phase), and what is left after close. The tick is the worker's resident set, less "
         "that of the idle worker. The figure is what the allocator held.",
         "Stacked bars: bytes of weights, activations, workspace and tensors in each phase of each case"},
    [PLOT_OPS] = {"ops", "Share of time by op",
                  "Where the time of one decode goes, by the decoder's own trace. The figure is the time of all ops.",
                  "Stacked bars: each op's share of the traced time of each case"},
    [PLOT_ROOFLINE] =
        {"roofline", "Roofline of a decode",
         "How fast the steps of a decode run, by their FLOPs a byte, against what was measured of the machine: the "
         "slope is the bandwidth of memory, the level the compute of FP32 multiply-adds. A point is all steps of one "
         "kernel and size, its area the time that they take. Above the roof is no error: FLOPs are those of the "
         "direct form, and Winograd's kernels take fewer; small tensors come from caches, which are faster than "
         "memory.",
         "Charts of FLOP/s over FLOP/byte, both logarithmic: steps of each case below the machine's two ceilings"},
    [PLOT_FUSE_QKV] =
        {"fuse-qkv", "Fuse-QKV on and off",
         "What changes when the three projections of attention are fused, against the same case without. Left "
         "of the line is less time or memory. Hollow: within noise (the interval "
         "holds no change), or too few samples to tell (n). Memory is exact.",
         "Dots with whiskers: change of latency and memory by fuse-QKV, in per cent"},
    [PLOT_PSNR] =
        {"psnr", "PSNR against the FP32 reference",
         "Over the image range [-1, 1]; more is better. The bar across a line is the bound that the case had to "
         "reach. The reference itself is held against FP64. Hollow: the case did not pass.",
         "Dots: PSNR of each case, with the bound that it had to reach"},
};

static void (*const builders[PLOT_COUNT])(struct plot *, const struct record *) = {
    [PLOT_LATENCY] = plot_build_latency, [PLOT_SAMPLES] = plot_build_samples,   [PLOT_MEMORY] = plot_build_memory,
    [PLOT_OPS] = plot_build_ops,         [PLOT_ROOFLINE] = plot_build_roofline, [PLOT_FUSE_QKV] = plot_build_fuse_qkv,
    [PLOT_PSNR] = plot_build_psnr};

/* ---- Growing ---- */

static void *grow_by_one(struct plot *plot, void **items, size_t *count, size_t *capacity, size_t size_bytes) {
    if (*count == *capacity) {
        size_t wanted = *capacity * 2 + 64;
        void *grown = plot->short_of_memory ? NULL : realloc(*items, wanted * size_bytes);
        if (!grown) {
            plot->short_of_memory = true;
            return NULL;
        }
        *items = grown;
        *capacity = wanted;
    }
    return memset((char *)*items + (*count)++ * size_bytes, 0, size_bytes);
}

struct plot_line *plot_add_line(struct plot *plot, const struct case_row *row) {
    void *lines = plot->lines;
    struct plot_line *line = grow_by_one(plot, &lines, &plot->line_count, &plot->line_capacity, sizeof *line);
    plot->lines = lines;
    if (line) {
        line->row = row;
        line->group = row->vae_type;
    }
    return line;
}

void plot_add_mark(struct plot *plot, const struct plot_mark *mark) {
    void *marks = plot->marks;
    struct plot_mark *added = grow_by_one(plot, &marks, &plot->mark_count, &plot->mark_capacity, sizeof *added);
    plot->marks = marks;
    if (added) {
        *added = *mark;
    }
}

struct plot_panel *plot_add_panel(struct plot *plot) {
    void *panels = plot->panels;
    struct plot_panel *panel = grow_by_one(plot, &panels, &plot->panel_count, &plot->panel_capacity, sizeof *panel);
    plot->panels = panels;
    if (panel) {
        panel->first_point = plot->point_count;
    }
    return panel;
}

void plot_add_point(struct plot *plot, const struct plot_point *point) {
    void *points = plot->points;
    struct plot_point *added = grow_by_one(plot, &points, &plot->point_count, &plot->point_capacity, sizeof *added);
    plot->points = points;
    if (added && plot->panel_count > 0) {
        *added = *point;
        plot->panels[plot->panel_count - 1].point_count++;
    }
}

void plot_add_series(struct plot *plot, const char *name, enum plot_mark_kind kind, int series) {
    void *all = plot->series;
    struct plot_series *added = grow_by_one(plot, &all, &plot->series_count, &plot->series_capacity, sizeof *added);
    plot->series = all;
    if (added) {
        snprintf(added->name, sizeof added->name, "%s", name);
        added->name[text_prefix_bytes(added->name, 80)] = '\0'; /* whole characters */
        added->kind = kind;
        added->series = series;
    }
}

int plot_find_series(struct plot *plot, const char *name, enum plot_mark_kind kind) {
    for (size_t i = 0; i < plot->series_count; i++) {
        if (strncmp(plot->series[i].name, name, strlen(plot->series[i].name)) == 0 &&
            (strlen(name) == strlen(plot->series[i].name) || text_width(name) > 80)) {
            return plot->series[i].series;
        }
    }
    int series = (int)plot->series_count;
    plot_add_series(plot, name, kind, series);
    return series;
}

bool plot_has_mark(const struct plot *plot, enum plot_mark_kind kind) {
    size_t i = 0;
    while (i < plot->mark_count && plot->marks[i].kind != kind) {
        i++;
    }
    return i < plot->mark_count;
}

void plot_add_note(struct plot *plot, const char *format, ...) {
    size_t used = strlen(plot->notes);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && used + 1 < sizeof plot->notes) {
        plot->notes[used++] = ' ';
    }
    vsnprintf(plot->notes + used, sizeof plot->notes - used, format, arguments);
    va_end(arguments);
}

void plot_widen(struct plot *plot, double value) {
    if (isfinite(value)) {
        plot->axis.low = fmin(plot->axis.low, value); /* NaN at first, which fmin leaves out */
        plot->axis.high = fmax(plot->axis.high, value);
    }
}

/* ---- Cases ---- */

bool plot_case_is_fine(const struct case_row *row) {
    return strcmp(row->outcome, "passed") == 0 || strcmp(row->outcome, "refused") == 0;
}

const struct case_row *plot_find_case(const struct record *record, const char *case_id, struct plot_cursor *cursor) {
    size_t count = record->tables[TABLE_CASES].count;
    for (size_t i = 0; i < count; i++) {
        size_t at = (cursor->last + i) % count;
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, at, case_row);
        if (strcmp(row->id, case_id) == 0) {
            cursor->last = at;
            return row;
        }
    }
    return NULL;
}

/* A backend's name is short; where several decoders share it, what was typed tells them apart. */
const char *plot_decoder_name(const struct record *record, const struct case_row *row) {
    for (size_t i = 0; row->decoder[0] && i < record->tables[TABLE_CASES].count; i++) {
        const struct case_row *other = RECORD_ROW(record, TABLE_CASES, i, case_row);
        if (strcmp(other->backend, row->backend) == 0 && strcmp(other->decoder, row->decoder) != 0) {
            return row->decoder;
        }
    }
    return row->backend;
}

static bool precision_varies(const struct record *record) {
    const struct case_row *first = RECORD_ROW(record, TABLE_CASES, 0, case_row);
    for (size_t i = 1; i < record->tables[TABLE_CASES].count; i++) {
        if (strcmp(RECORD_ROW(record, TABLE_CASES, i, case_row)->precision, first->precision) != 0) {
            return true;
        }
    }
    return false;
}

void plot_label(char label[PLOT_LABEL_BYTES], const struct record *record, const struct case_row *row, bool decoder) {
    bool plain = strcmp(row->options, "plain") == 0, precision = precision_varies(record);
    snprintf(label, PLOT_LABEL_BYTES, "%.120s %.60s%s%.30s%s%.120s%s%.120s", row->model, row->shape,
             precision ? " " : "", precision ? row->precision : "", plain ? "" : " ", plain ? "" : row->options,
             decoder ? " · " : "", decoder ? plot_decoder_name(record, row) : "");
}

/* ---- Choosing ---- */

static bool same_workload(const struct case_row *a, const struct case_row *b) {
    return strcmp(a->model, b->model) == 0 && strcmp(a->precision, b->precision) == 0 &&
           strcmp(a->options, b->options) == 0 && strcmp(a->shape, b->shape) == 0;
}

/* Workloads of highest rank first, a workload's cases together. */
static int by_rank(const void *left, const void *right) {
    const struct plot_candidate *a = left, *b = right;
    return a->workload_rank != b->workload_rank     ? (a->workload_rank > b->workload_rank ? -1 : 1)
           : a->workload_place != b->workload_place ? (a->workload_place > b->workload_place ? 1 : -1)
           : a->rank != b->rank                     ? (a->rank > b->rank ? -1 : 1)
                                                    : (a->row > b->row) - (a->row < b->row);
}

static int by_place(const void *left, const void *right) {
    const struct plot_candidate *a = left, *b = right;
    return a->type_place != b->type_place ? (a->type_place > b->type_place) - (a->type_place < b->type_place)
           : a->workload_place != b->workload_place
               ? (a->workload_place > b->workload_place) - (a->workload_place < b->workload_place)
               : (a->row > b->row) - (a->row < b->row);
}

/* Where the candidate's VAE type and its workload first appear in the run. */
static void find_places(const struct record *record, struct plot_candidate *candidate) {
    const struct case_row *rows = record->tables[TABLE_CASES].rows;
    size_t type = 0, workload = 0;
    while (strcmp(rows[type].vae_type, candidate->row->vae_type) != 0) {
        type++;
    }
    while (!same_workload(&rows[workload], candidate->row)) {
        workload++;
    }
    candidate->type_place = type;
    candidate->workload_place = workload;
}

/* "6 refused, 1 crashed" of the cases that have no such figure. */
static void note_left_out(struct plot *plot, const struct record *record, const bool *has_figure) {
    const struct case_row *rows = record->tables[TABLE_CASES].rows;
    size_t count = record->tables[TABLE_CASES].count;
    char text[512] = "";
    for (size_t i = 0; i < count; i++) {
        size_t same = 0, first = count;
        for (size_t j = count; j-- > 0;) {
            if (!has_figure[j] && strcmp(rows[j].outcome, rows[i].outcome) == 0) {
                first = j;
                same++;
            }
        }
        if (first != i) {
            continue; /* has the figure, or was counted with the first of its outcome */
        }
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%zu %.40s", used ? ", " : "", same,
                 rows[i].outcome[0] ? rows[i].outcome : "without an outcome");
    }
    if (text[0]) {
        plot_add_note(plot, "%s: %s.", plot->without, text);
    }
}

/* Moves what is to be drawn to the front, whole workloads as long as they fit, since their cases are to be compared.
 * Returns how many. */
static size_t choose_workloads(struct plot_candidate *candidates, size_t count, size_t most) {
    if (count <= most) {
        return count;
    }
    for (size_t i = 0; i < count; i++) {
        candidates[i].workload_rank = candidates[i].rank;
        for (size_t j = 0; j < count; j++) {
            if (candidates[j].workload_place == candidates[i].workload_place) {
                candidates[i].workload_rank = fmax(candidates[i].workload_rank, candidates[j].rank);
            }
        }
    }
    qsort(candidates, count, sizeof *candidates, by_rank);
    size_t end = most;
    while (end > 0 && candidates[end].workload_place == candidates[end - 1].workload_place) {
        end--;
    }
    return end > 0 ? end : most; /* one workload with more cases than fit */
}

struct plot_candidate *plot_choose(struct plot *plot, const struct record *record, plot_judge *judge,
                                   const void *context, size_t most, const char *noun, size_t *count) {
    size_t case_count = record->tables[TABLE_CASES].count, found = 0;
    struct plot_candidate *chosen = calloc(case_count + 1, sizeof *chosen);
    bool *has_figure = calloc(case_count + 1, sizeof *has_figure);
    plot->short_of_memory |= !chosen || !has_figure;
    for (size_t i = 0; !plot->short_of_memory && i < case_count; i++) {
        struct plot_candidate candidate = {.row = RECORD_ROW(record, TABLE_CASES, i, case_row)};
        has_figure[i] = judge(record, candidate.row, &candidate, context);
        if (has_figure[i]) {
            chosen[found++] = candidate;
        }
    }
    for (size_t i = 0; i < found; i++) {
        find_places(record, &chosen[i]);
    }
    *count = choose_workloads(chosen, found, most);
    plot->drawn_count = *count;
    plot->cut_count = found - *count;
    plot->left_out_count = case_count - found;
    if (plot->cut_count > 0) {
        plot_add_note(plot, "%zu of %zu cases are drawn: those of the %s.", *count, found, noun);
    }
    if (*count > 0) {
        qsort(chosen, *count, sizeof *chosen, by_place);
        note_left_out(plot, record, has_figure);
    }
    free(has_figure);
    return chosen;
}

/* ---- The plot ---- */

struct plot *plot_create(const struct record *record, enum plot_id id) {
    struct plot *plot = calloc(1, sizeof *plot);
    if (!plot) {
        return NULL;
    }
    plot->id = id;
    plot->axis.low = NAN;
    plot->axis.high = NAN;
    plot->line_pixels = 20;
    plot->without = "Without this figure";
    if (record->tables[TABLE_CASES].count > 0) {
        builders[id](plot, record);
    }
    if (plot->short_of_memory) {
        plot_free(plot);
        return NULL;
    }
    return plot;
}

void plot_free(struct plot *plot) {
    if (plot) {
        free(plot->lines);
        free(plot->marks);
        free(plot->series);
        free(plot->panels);
        free(plot->points);
        free(plot);
    }
}

bool plot_is_empty(const struct plot *plot) {
    return plot->line_count == 0 && plot->panel_count == 0;
}

bool plot_has_data(const struct record *record, enum plot_id id) {
    struct plot *plot = plot_create(record, id);
    bool has_data = plot && !plot_is_empty(plot);
    plot_free(plot);
    return has_data;
}
