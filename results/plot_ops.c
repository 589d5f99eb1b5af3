/* Where the time of a decode goes: the share of each op in what the decoder's trace tells. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_build.h"

enum {
    MOST_CASES = 60,
    MOST_OPS = 256, /* told apart; a trace may claim anything */
    MOST_SHOWN = 7, /* colours that are told apart; the rest is "other" */
};

struct op {
    const char *name;
    double weight; /* its shares, summed over the cases drawn */
    size_t place;  /* its column in `shares` */
};

struct traces {
    double *totals_ns; /* of each case of the record */
    double *shares;    /* (cases, MOST_OPS + 1): the last is of ops that were not told apart */
    struct op ops[MOST_OPS + 1];
    size_t op_count, case_count;
};

/* Where this op's shares are summed. */
static size_t find_op(struct traces *traces, const char *name) {
    for (size_t i = 0; i < traces->op_count; i++) {
        if (strcmp(traces->ops[i].name, name) == 0) {
            return i;
        }
    }
    if (traces->op_count == MOST_OPS) {
        return MOST_OPS;
    }
    traces->ops[traces->op_count] = (struct op){.name = name, .place = traces->op_count};
    return traces->op_count++;
}

/* Sums times by case and op, then divides by the case's sum. */
static bool read_traces(struct traces *traces, const struct record *record) {
    const struct case_row *rows = record->tables[TABLE_CASES].rows;
    struct plot_cursor cursor = {0};
    traces->case_count = record->tables[TABLE_CASES].count;
    traces->totals_ns = calloc(traces->case_count, sizeof *traces->totals_ns);
    traces->shares = calloc(traces->case_count * (MOST_OPS + 1), sizeof *traces->shares);
    if (!traces->totals_ns || !traces->shares) {
        return false;
    }
    for (size_t i = 0; i < record->tables[TABLE_TRACE].count; i++) {
        const struct trace_row *trace = RECORD_ROW(record, TABLE_TRACE, i, trace_row);
        const struct case_row *row = trace->time_ns > 0 ? plot_find_case(record, trace->case_id, &cursor) : NULL;
        if (row) {
            size_t index = (size_t)(row - rows);
            traces->totals_ns[index] += (double)trace->time_ns;
            traces->shares[index * (MOST_OPS + 1) + find_op(traces, trace->op)] += (double)trace->time_ns;
        }
    }
    for (size_t i = 0; i < traces->case_count * (MOST_OPS + 1); i++) {
        double total_ns = traces->totals_ns[i / (MOST_OPS + 1)];
        traces->shares[i] = total_ns > 0 ? traces->shares[i] / total_ns : 0;
    }
    return true;
}

static bool has_trace(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                      const void *context) {
    const struct traces *traces = context;
    candidate->rank = traces->totals_ns[row - (const struct case_row *)record->tables[TABLE_CASES].rows];
    return candidate->rank > 0;
}

static int by_weight(const void *left, const void *right) {
    const struct op *a = left, *b = right;
    return a->weight != b->weight ? (a->weight > b->weight ? -1 : 1) : strcmp(a->name, b->name);
}

/* Ops by what they weigh in the cases drawn: each case counts the same, however long it takes. */
static void rank_ops(struct traces *traces, const struct record *record, const struct plot_candidate *chosen,
                     size_t count) {
    const struct case_row *rows = record->tables[TABLE_CASES].rows;
    for (size_t i = 0; i < count; i++) {
        for (size_t o = 0; o < traces->op_count; o++) {
            traces->ops[o].weight += traces->shares[(size_t)(chosen[i].row - rows) * (MOST_OPS + 1) + o];
        }
    }
    qsort(traces->ops, traces->op_count, sizeof traces->ops[0], by_weight);
}

static double add_segment(struct plot *plot, double from, double share, int series) {
    double to = from + 100 * share;
    if (share > 0) {
        plot_add_mark(plot, &(struct plot_mark){.line = plot->line_count - 1,
                                                .kind = PLOT_MARK_BAR,
                                                .series = series,
                                                .x = (from + to) / 2,
                                                .low = from,
                                                .high = to});
    }
    return to;
}

/* Returns the share of "other". */
static double add_case(struct plot *plot, const struct record *record, const struct traces *traces, size_t shown,
                       const struct case_row *row) {
    size_t index = (size_t)(row - (const struct case_row *)record->tables[TABLE_CASES].rows);
    struct plot_line *line = plot_add_line(plot, row);
    if (!line) {
        return 0;
    }
    plot_label(line->label, record, row, true);
    snprintf(line->value, sizeof line->value, "%s", format_time(traces->totals_ns[index]).text);
    double from = 0, other = 1;
    for (size_t o = 0; o < shown; o++) {
        double share = traces->shares[index * (MOST_OPS + 1) + traces->ops[o].place];
        from = add_segment(plot, from, share, (int)o);
        other -= share;
    }
    other = other > 1e-9 ? other : 0; /* what rounding left is not an op */
    add_segment(plot, from, other, PLOT_SERIES_GREY);
    return other;
}

static void build(struct plot *plot, const struct record *record, struct traces *traces) {
    size_t count;
    double other = 0;
    struct plot_candidate *chosen =
        plot_choose(plot, record, has_trace, traces, MOST_CASES, "slowest workloads", &count);
    rank_ops(traces, record, chosen, count);
    size_t shown = traces->op_count < MOST_SHOWN ? traces->op_count : MOST_SHOWN;
    while (shown > 0 && !(traces->ops[shown - 1].weight > 0)) {
        shown--;
    }
    for (size_t o = 0; count > 0 && o < shown; o++) {
        plot_add_series(plot, traces->ops[o].name[0] ? traces->ops[o].name : "(no name)", PLOT_MARK_BAR, (int)o);
    }
    for (size_t i = 0; i < count; i++) {
        other += add_case(plot, record, traces, shown, chosen[i].row);
    }
    if (other > 0) {
        plot_add_series(plot, "other", PLOT_MARK_BAR, PLOT_SERIES_GREY);
    }
    plot_widen(plot, 0);
    plot_widen(plot, 100);
    free(chosen);
}

void plot_build_ops(struct plot *plot, const struct record *record) {
    struct traces *traces = calloc(1, sizeof *traces);
    plot->axis.unit = PLOT_SHARE;
    plot->axis.title = "share of the traced time";
    if (!traces || !read_traces(traces, record)) {
        plot->short_of_memory = true;
    } else {
        build(plot, record, traces);
    }
    if (traces) {
        free(traces->totals_ns);
        free(traces->shares);
    }
    free(traces);
}
