/* What fuse-QKV changes: a case with it against the same case without. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_build.h"

enum { MOST_PAIRS = 40, PAIR_PIXELS = 19, LATENCY = 0, MEMORY = 1, LEAST_SAMPLES = 6 };

/* `list` without the items that begin with fuse_qkv; true if there were any. */
static bool without_fuse_qkv(char *out, size_t size_bytes, const char *list, char separator) {
    static const char key[] = "fuse_qkv";
    size_t used = 0;
    bool found = false;
    out[0] = '\0';
    while (*list) {
        size_t length = strcspn(list, (const char[]){separator, '\0'});
        bool is_key =
            strncmp(list, key, sizeof key - 1) == 0 && (length == sizeof key - 1 || list[sizeof key - 1] == '=');
        if (is_key) {
            found = true;
        } else if (used + length + 2 < size_bytes) {
            used += (size_t)snprintf(out + used, size_bytes - used, "%s%.*s",
                                     used ? (const char[]){separator, '\0'} : "", (int)length, list);
        }
        list += length + (list[length] != '\0');
    }
    return found;
}

static bool is_without(const struct case_row *fused, const struct case_row *other) {
    char options[PLOT_LABEL_BYTES], decoder[PLOT_LABEL_BYTES];
    if (!without_fuse_qkv(options, sizeof options, fused->options, '+')) {
        return false;
    }
    without_fuse_qkv(decoder, sizeof decoder, fused->decoder, ',');
    return strcmp(options[0] ? options : "plain", other->options) == 0 && strcmp(fused->model, other->model) == 0 &&
           strcmp(fused->precision, other->precision) == 0 && strcmp(fused->shape, other->shape) == 0 &&
           strcmp(fused->backend, other->backend) == 0 && fused->threads == other->threads &&
           (strcmp(fused->decoder, other->decoder) == 0 || strcmp(decoder, other->decoder) == 0);
}

static bool has_latency(const struct case_row *row) {
    return row->latency_median_ns > 0 && isfinite(row->latency_median_ns);
}

static bool has_memory(const struct case_row *row) {
    return row->memory_peak_bytes > 0 && row->memory_weights_bytes >= 0;
}

static bool has_pair(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                     const void *context) {
    (void)context;
    for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
        const struct case_row *other = RECORD_ROW(record, TABLE_CASES, i, case_row);
        bool latency = has_latency(row) && has_latency(other);
        bool memory = has_memory(row) && has_memory(other);
        if ((latency || memory) && is_without(row, other)) {
            candidate->other = other;
            candidate->rank = latency ? fabs(row->latency_median_ns / other->latency_median_ns - 1) : 0;
            return true;
        }
    }
    return false;
}

static double change(double on, double off) {
    return (on / off - 1) * 100;
}

/* "+1.2 %", "−0.05 %" */
static void print_change(char *text, size_t size_bytes, double percent, const char *remark) {
    double size = fabs(percent);
    snprintf(text, size_bytes, "%s%.*f %%%s",
             percent > 0   ? "+"
             : percent < 0 ? "−"
                           : "",
             size == 0      ? 0
             : size < 0.095 ? 2
             : size < 99.95 ? 1
                            : 0,
             size, remark);
}

static struct plot_line *add_line(struct plot *plot, const struct record *record, const struct plot_candidate *pair) {
    struct plot_line *line = plot_add_line(plot, pair->row);
    if (line) {
        plot_label(line->label, record, pair->other, true);
    }
    return line;
}

static void add_mark(struct plot *plot, struct plot_mark *mark) {
    mark->line = plot->line_count - 1;
    plot_add_mark(plot, mark);
    plot_widen(plot, mark->low);
    plot_widen(plot, mark->high);
}

/* The interval holds every ratio of two values of the two intervals. */
static void add_latency(struct plot *plot, const struct record *record, const struct plot_candidate *pair) {
    const struct case_row *on = pair->row, *off = pair->other;
    struct plot_line *line = add_line(plot, record, pair);
    if (!line) {
        return;
    }
    bool sure = on->sample_count >= LEAST_SAMPLES && off->sample_count >= LEAST_SAMPLES && on->latency_low_ns > 0 &&
                off->latency_low_ns > 0;
    double x = change(on->latency_median_ns, off->latency_median_ns);
    struct plot_mark mark = {.series = LATENCY, .x = x, .low = x, .high = x};
    if (sure) {
        mark.low = change(on->latency_low_ns, off->latency_high_ns);
        mark.high = change(on->latency_high_ns, off->latency_low_ns);
    }
    bool noise = !(mark.low > 0 || mark.high < 0);
    mark.kind = noise || !sure ? PLOT_MARK_HOLLOW : PLOT_MARK_POINT;
    snprintf(line->note, sizeof line->note, "%s → %s", format_time(off->latency_median_ns).text,
             format_time(on->latency_median_ns).text);
    int64_t least = on->sample_count < off->sample_count ? on->sample_count : off->sample_count;
    char remark[32] = "";
    if (!sure) {
        snprintf(remark, sizeof remark, " (n=%lld)", (long long)(least > 0 ? least : 1));
    }
    print_change(line->value, sizeof line->value, x, !sure ? remark : noise ? " (noise)" : "");
    add_mark(plot, &mark);
}

static void add_memory(struct plot *plot, const struct record *record, const struct plot_candidate *pair) {
    struct plot_line *line = add_line(plot, record, pair);
    if (!line) {
        return;
    }
    int64_t on = pair->row->memory_peak_bytes + pair->row->memory_weights_bytes;
    int64_t off = pair->other->memory_peak_bytes + pair->other->memory_weights_bytes;
    double x = change((double)on, (double)off);
    snprintf(line->note, sizeof line->note, "%s → %s", format_bytes(off).text, format_bytes(on).text);
    print_change(line->value, sizeof line->value, x, "");
    add_mark(plot, &(struct plot_mark){.kind = PLOT_MARK_POINT, .series = MEMORY, .x = x, .low = x, .high = x});
}

void plot_build_fuse_qkv(struct plot *plot, const struct record *record) {
    size_t count;
    struct plot_candidate *chosen =
        plot_choose(plot, record, has_pair, NULL, MOST_PAIRS, "of most different latency", &count);
    plot->axis.unit = PLOT_PERCENT;
    plot->axis.title = "change by fuse-QKV";
    plot->line_pixels = PAIR_PIXELS;
    plot->notes[0] = '\0'; /* most cases have no pair and need none */
    if (plot->cut_count > 0) {
        plot_add_note(plot, "The %zu pairs of most different latency; %zu are left out.", count, plot->cut_count);
    }
    if (count > 0) {
        plot_add_series(plot, "latency", PLOT_MARK_POINT, LATENCY);
        plot_add_series(plot, "memory: weights and peak", PLOT_MARK_POINT, MEMORY);
        plot_widen(plot, 0);
    }
    for (size_t i = 0; i < count; i++) {
        if (has_latency(chosen[i].row) && has_latency(chosen[i].other)) {
            add_latency(plot, record, &chosen[i]);
        }
        if (has_memory(chosen[i].row) && has_memory(chosen[i].other)) {
            add_memory(plot, record, &chosen[i]);
        }
    }
    free(chosen);
}
