/* Every timed sample of a case, by how far it is from the case's median. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_build.h"
#include "results/statistics.h"

enum {
    MOST_CASES = 48,
    MOST_DOTS = 500, /* a case */
    MOST_DOTS_ALL = 12000,
    STRIP_PIXELS = 26,
};

static bool has_samples(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                        const void *context) {
    (void)record, (void)context;
    double median = row->latency_median_ns;
    double width = (row->latency_high_ns - row->latency_low_ns) / median;
    candidate->rank = isfinite(width) ? width : 0;
    return row->sample_count > 1 && median > 0 && isfinite(median);
}

static double per_cent(double value, double of) {
    return (value / of - 1) * 100;
}

/* The n-th of an even spread over the height of a line that no eye takes for a pattern (golden ratio). */
static double spread(size_t n) {
    double place = (double)n * 0.6180339887498949;
    return (place - floor(place) - 0.5) * 0.62;
}

struct strip {
    const struct case_row *row;
    size_t line;
    int series;
    size_t every; /* one of so many samples is drawn */
};

static size_t count_samples(const struct record *record, const struct case_row *row) {
    size_t count = 0;
    for (size_t i = 0; i < record->tables[TABLE_SAMPLES].count; i++) {
        const struct sample_row *sample = RECORD_ROW(record, TABLE_SAMPLES, i, sample_row);
        count += strcmp(sample->case_id, row->id) == 0 && strcmp(sample->phase, "timed") == 0;
    }
    return count;
}

static void add_dots(struct plot *plot, const struct record *record, const struct strip *strip) {
    size_t timed = 0, warm_ups = 0;
    for (size_t i = 0; i < record->tables[TABLE_SAMPLES].count; i++) {
        const struct sample_row *sample = RECORD_ROW(record, TABLE_SAMPLES, i, sample_row);
        if (sample->wall_ns <= 0 || sample->decodes <= 0 || strcmp(sample->case_id, strip->row->id) != 0) {
            continue;
        }
        double time_ns = (double)sample->wall_ns / (double)sample->decodes;
        bool is_timed = strcmp(sample->phase, "timed") == 0;
        size_t number = is_timed ? timed++ : warm_ups++;
        if (is_timed && number % strip->every != 0) {
            continue;
        }
        double x = per_cent(time_ns, strip->row->latency_median_ns);
        plot_add_mark(plot, &(struct plot_mark){.line = strip->line,
                                                .kind = is_timed ? PLOT_MARK_DOT : PLOT_MARK_HOLLOW,
                                                .series = strip->series,
                                                .x = x,
                                                .low = x,
                                                .high = x,
                                                .offset = spread(number)});
    }
}

/* A few far samples must not press all others together: what is beyond `limit` becomes an arrow at the edge. */
static void limit_axis(struct plot *plot) {
    double *values = calloc(plot->mark_count + 1, sizeof *values);
    size_t count = 0, beyond = 0;
    plot->short_of_memory |= !values;
    for (size_t i = 0; values && i < plot->mark_count; i++) {
        if (plot->marks[i].kind == PLOT_MARK_DOT) {
            values[count++] = plot->marks[i].x;
        }
    }
    double limit = fmax(3 * statistics_quantile(values, count, 0.95), 3);
    free(values);
    for (size_t i = 0; i < plot->mark_count; i++) {
        struct plot_mark *mark = &plot->marks[i];
        bool far = mark->x > limit;
        bool decode = mark->kind == PLOT_MARK_DOT || mark->kind == PLOT_MARK_HOLLOW;
        if (decode && far) {
            beyond++;
            mark->kind = PLOT_MARK_BEYOND;
            mark->x = mark->low = mark->high = limit;
        }
        plot_widen(plot, fmax(mark->low, -100));
        plot_widen(plot, fmin(mark->high, limit));
    }
    if (beyond > 0) {
        plot_add_series(plot, "further right", PLOT_MARK_BEYOND, PLOT_SERIES_GREY);
        plot_add_note(plot, "%zu decode%s further right than +%.3g %%.", beyond, beyond == 1 ? " is" : "s are", limit);
    }
}

static bool add_strip(struct plot *plot, const struct record *record, const struct case_row *row, size_t case_count) {
    size_t count = count_samples(record, row);
    size_t most = MOST_DOTS_ALL / case_count < MOST_DOTS ? MOST_DOTS_ALL / case_count : MOST_DOTS;
    struct plot_line *line = count > 0 ? plot_add_line(plot, row) : NULL;
    if (!line) {
        return false;
    }
    plot_label(line->label, record, row, false);
    snprintf(line->value, sizeof line->value, "%s", format_time(row->latency_median_ns).text);
    struct strip strip = {.row = row,
                          .line = plot->line_count - 1,
                          .series = plot_find_series(plot, plot_decoder_name(record, row), PLOT_MARK_DOT),
                          .every = (count + most - 1) / most};
    struct plot_mark band = {.line = strip.line,
                             .kind = PLOT_MARK_BAND,
                             .series = PLOT_SERIES_GREY,
                             .low = per_cent(row->latency_low_ns, row->latency_median_ns),
                             .high = per_cent(row->latency_high_ns, row->latency_median_ns)};
    if (band.low <= band.high) {
        plot_add_mark(plot, &band);
    }
    add_dots(plot, record, &strip);
    return strip.every > 1;
}

void plot_build_samples(struct plot *plot, const struct record *record) {
    size_t count, thinned = 0;
    plot->without = "With fewer than two timed samples";
    struct plot_candidate *chosen =
        plot_choose(plot, record, has_samples, NULL, MOST_CASES, "workloads with the widest intervals", &count);
    plot->axis.unit = PLOT_PERCENT;
    plot->axis.title = "time of a decode, against the case's median";
    plot->line_pixels = STRIP_PIXELS;
    for (size_t i = 0; i < count; i++) {
        thinned += add_strip(plot, record, chosen[i].row, count);
    }
    if (plot->line_count > 0) {
        plot_add_series(plot, "95 % interval of the median", PLOT_MARK_BAND, PLOT_SERIES_GREY);
        if (plot_has_mark(plot, PLOT_MARK_HOLLOW)) {
            plot_add_series(plot, "warm-up", PLOT_MARK_HOLLOW, PLOT_SERIES_GREY);
        }
        limit_axis(plot);
    }
    if (thinned > 0) {
        plot_add_note(plot, "Of %zu case%s with very many samples only an even choice is drawn.", thinned,
                      thinned == 1 ? "" : "s");
    }
    free(chosen);
}
