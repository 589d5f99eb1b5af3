/* What a decoder holds, phase by phase: a stack of the allocator's classes, and the resident set as the system saw it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_build.h"

enum { MOST_CASES = 40, CLASS_COUNT = 4, PHASE_COUNT = 4, PHASE_PIXELS = 16 };

static const char *const class_names[CLASS_COUNT] = {"weights", "activations", "workspace", "tensors"};
static const char *const phase_names[PHASE_COUNT] = {"open", "prepare", "decode", "close"};

/* Cases that differ more than this are each drawn to a scale of their own. */
static const double MOST_DIFFERENT = 20;

struct phase {
    bool known;
    double classes[CLASS_COUNT]; /* bytes */
    double held, rss;            /* at one moment; the resident set less the idle worker's, or NaN */
};

struct phases {
    struct phase phase[PHASE_COUNT];
    double largest; /* of stacks and resident sets */
};

static double known_or_zero(int64_t size_bytes) {
    return size_bytes > 0 ? (double)size_bytes : 0;
}

static struct phase read_phase(const struct memory_row *row, double idle_rss) {
    bool closed = strcmp(row->phase, "close") == 0;
    int64_t rss_bytes = closed ? row->rss_bytes : row->rss_peak_bytes;
    struct phase phase = {.known = true,
                          .classes = {known_or_zero(closed ? row->weights_bytes : row->weights_peak_bytes),
                                      known_or_zero(closed ? row->activations_bytes : row->activations_peak_bytes),
                                      known_or_zero(closed ? row->workspace_bytes : row->workspace_peak_bytes),
                                      known_or_zero(closed ? row->tensors_bytes : row->tensors_peak_bytes)},
                          .rss = rss_bytes > 0 && !isnan(idle_rss) ? fmax((double)rss_bytes - idle_rss, 0) : NAN};
    double sum = phase.classes[0] + phase.classes[1] + phase.classes[2] + phase.classes[3];
    phase.held = closed || row->scratch_peak_bytes < 0 ? sum : phase.classes[0] + (double)row->scratch_peak_bytes;
    return phase;
}

static struct phases read_phases(const struct record *record, const struct case_row *row) {
    struct phases phases = {.largest = 0};
    double idle_rss = NAN;
    for (size_t i = 0; i < record->tables[TABLE_MEMORY].count; i++) {
        const struct memory_row *memory = RECORD_ROW(record, TABLE_MEMORY, i, memory_row);
        if (strcmp(memory->case_id, row->id) != 0) {
            continue;
        }
        if (strcmp(memory->phase, "start") == 0 && memory->rss_bytes > 0) {
            idle_rss = (double)memory->rss_bytes;
        }
        for (size_t p = 0; p < PHASE_COUNT; p++) {
            if (strcmp(memory->phase, phase_names[p]) == 0) {
                phases.phase[p] = read_phase(memory, idle_rss);
            }
        }
    }
    for (size_t p = 0; p < PHASE_COUNT; p++) {
        const struct phase *phase = &phases.phase[p];
        double sum = phase->classes[0] + phase->classes[1] + phase->classes[2] + phase->classes[3];
        phases.largest = fmax(phases.largest, phase->known ? fmax(sum, phase->rss) : 0);
    }
    return phases;
}

static bool has_phases(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                       const void *context) {
    (void)context;
    struct phases phases = read_phases(record, row);
    candidate->rank = phases.largest;
    return phases.largest > 0;
}

static void add_phase(struct plot *plot, const struct plot_candidate *candidate, const struct record *record,
                      const struct phase *phase, const char *name, double scale) {
    struct plot_line *line = plot_add_line(plot, candidate->row);
    if (!line) {
        return;
    }
    plot_label(line->label, record, candidate->row, true);
    snprintf(line->note, sizeof line->note, "%s", name);
    snprintf(line->value, sizeof line->value, "%s", format_bytes((int64_t)phase->held).text);
    double from = 0;
    for (int c = 0; c < CLASS_COUNT; c++) {
        double to = from + phase->classes[c] * scale;
        if (to > from) {
            plot_add_mark(plot, &(struct plot_mark){.line = plot->line_count - 1,
                                                    .kind = PLOT_MARK_BAR,
                                                    .series = c,
                                                    .x = (from + to) / 2,
                                                    .low = from,
                                                    .high = to});
        }
        from = to;
    }
    plot_widen(plot, from);
    if (!isnan(phase->rss)) {
        plot_widen(plot, phase->rss * scale);
        plot_add_mark(plot, &(struct plot_mark){.line = plot->line_count - 1,
                                                .kind = PLOT_MARK_TICK,
                                                .series = PLOT_SERIES_GREY,
                                                .x = phase->rss * scale});
    }
}

/* One scale for all, unless cases are too different for their bars to be seen side by side. */
static bool choose_axis(struct plot *plot, const struct plot_candidate *chosen, size_t count) {
    double largest = 0, smallest = INFINITY;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, chosen[i].rank);
        smallest = fmin(smallest, chosen[i].rank);
    }
    bool shared = largest <= smallest * MOST_DIFFERENT;
    plot->axis.unit = shared ? PLOT_BYTES : PLOT_SHARE;
    plot->axis.title = shared ? "bytes held" : "bytes held, each case to its own scale (100 % is its highest)";
    return shared;
}

/* The classes that any decoder used. */
static void add_legend(struct plot *plot) {
    for (int c = 0; c < CLASS_COUNT; c++) {
        size_t i = 0;
        while (i < plot->mark_count && plot->marks[i].series != c) {
            i++;
        }
        if (i < plot->mark_count) {
            plot_add_series(plot, class_names[c], PLOT_MARK_BAR, c);
        }
    }
}

void plot_build_memory(struct plot *plot, const struct record *record) {
    size_t count;
    struct plot_candidate *chosen =
        plot_choose(plot, record, has_phases, NULL, MOST_CASES, "largest workloads", &count);
    bool shared = choose_axis(plot, chosen, count);
    plot->line_pixels = PHASE_PIXELS;
    for (size_t i = 0; i < count; i++) {
        struct phases phases = read_phases(record, chosen[i].row);
        for (size_t p = 0; p < PHASE_COUNT; p++) {
            if (phases.phase[p].known) {
                add_phase(plot, &chosen[i], record, &phases.phase[p], phase_names[p],
                          shared ? 1 : 100 / phases.largest);
            }
        }
    }
    if (count > 0) {
        add_legend(plot);
        plot_add_series(plot, "resident set, above idle", PLOT_MARK_TICK, PLOT_SERIES_GREY);
    }
    free(chosen);
}
