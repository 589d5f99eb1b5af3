/* The summary: one line a case, then what did not pass, worst first, with the command that repeats it. */
#include "results/show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"

enum summary_column { CASE, OUTCOME, LATENCY, MEMORY, WEIGHTS, PSNR, WORST_TILE, CHECKS, SUMMARY_COLUMNS };

static const struct {
    const char *title;
    bool left;       /* aligned */
    int leaves_when; /* the n-th to be left out where the terminal is narrow; 0: never */
} summary_columns[SUMMARY_COLUMNS] = {
    [CASE] = {"case", true, 0},
    [OUTCOME] = {"outcome", true, 0},
    [LATENCY] = {"latency", false, 0},
    [MEMORY] = {"memory peak", false, 4},
    [WEIGHTS] = {"weights", false, 2},
    [PSNR] = {"PSNR", false, 0},
    [WORST_TILE] = {"worst tile", false, 1},
    [CHECKS] = {"checks", false, 3},
};

enum { CELL_BYTES = 256, GAP = 2, LEAVING_COLUMNS = 4, NARROWEST_CASE = 16, READABLE_CASE = 44 };

struct summary_line {
    char cells[SUMMARY_COLUMNS][CELL_BYTES];
};

struct check_counts {
    size_t passed, failed, total; /* total: passed and failed; unsupported and skipped were not judged */
    bool as_planned;              /* the check on memory passed: it judges class by class, as one sum cannot */
};

static struct check_counts count_checks(const struct record *record, const char *case_id) {
    struct check_counts counts = {0};
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        if (!case_id || strcmp(check->case_id, case_id) == 0) {
            counts.passed += strcmp(check->outcome, "passed") == 0;
            counts.failed += strcmp(check->outcome, "failed") == 0;
            counts.as_planned |= strcmp(check->name, "memory-planned") == 0 && strcmp(check->outcome, "passed") == 0;
        }
    }
    counts.total = counts.passed + counts.failed;
    return counts;
}

/* The larger arm of the interval, in percent of the median; with one sample there is no interval to speak of. */
static void write_latency(char cell[CELL_BYTES], const struct case_row *row) {
    struct figure time = format_time(row->latency_median_ns);
    double arm = fmax(row->latency_high_ns - row->latency_median_ns, row->latency_median_ns - row->latency_low_ns);
    double percent = 100 * arm / row->latency_median_ns;
    if (row->sample_count == 1) {
        snprintf(cell, CELL_BYTES, "%s (n=1) ", time.text);
    } else if (isfinite(percent)) {
        snprintf(cell, CELL_BYTES, "%s ±%.*f %%", time.text, percent < 9.95 ? 1 : 0, percent);
    } else {
        snprintf(cell, CELL_BYTES, "%s", time.text);
    }
}

static void fill_line(struct summary_line *line, const struct record *record, const struct case_row *row) {
    struct check_counts counts = count_checks(record, row->id);
    snprintf(line->cells[CASE], CELL_BYTES, "%s", row->id);
    snprintf(line->cells[OUTCOME], CELL_BYTES, "%s", row->outcome);
    write_latency(line->cells[LATENCY], row);
    snprintf(line->cells[MEMORY], CELL_BYTES, "%s%s", format_bytes(row->memory_peak_bytes).text,
             counts.as_planned ? " ✓" : "  ");
    snprintf(line->cells[WEIGHTS], CELL_BYTES, "%s", format_bytes(row->memory_weights_bytes).text);
    snprintf(line->cells[PSNR], CELL_BYTES, "%s", format_decibels(row->psnr_db).text);
    snprintf(line->cells[WORST_TILE], CELL_BYTES, "%s", format_decibels(row->psnr_worst_tile_db).text);
    snprintf(line->cells[CHECKS], CELL_BYTES, "%zu/%zu", counts.passed, counts.total);
}

static size_t total_width(const size_t widths[SUMMARY_COLUMNS]) {
    size_t total = 0;
    for (int c = 0; c < SUMMARY_COLUMNS; c++) {
        total += widths[c] ? widths[c] + GAP : 0;
    }
    return total - GAP;
}

/* Widths that fit `columns`: names of cases are cut a little, then less important columns go (width 0), then names are
 * cut as far as it takes. */
static void fit_widths(size_t widths[SUMMARY_COLUMNS], const struct summary_line *lines, size_t count, int columns) {
    for (int c = 0; c < SUMMARY_COLUMNS; c++) {
        widths[c] = text_width(summary_columns[c].title);
        for (size_t i = 0; i < count; i++) {
            size_t width = text_width(lines[i].cells[c]);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    size_t available = columns > 0 ? (size_t)columns : SIZE_MAX;
    for (int leaving = 1; total_width(widths) > available; leaving++) {
        size_t others = total_width(widths) - widths[CASE];
        bool last = leaving > LEAVING_COLUMNS;
        size_t least = last ? NARROWEST_CASE : READABLE_CASE;
        if (last || others + least <= available) {
            widths[CASE] = others + least <= available ? available - others : least;
            return;
        }
        for (int c = 0; c < SUMMARY_COLUMNS; c++) {
            widths[c] = summary_columns[c].leaves_when == leaving ? 0 : widths[c];
        }
    }
}

static void print_cell(FILE *out, const char *text, size_t width, bool left, bool last) {
    size_t length = text_width(text);
    if (length > width) { /* cut in the middle: model and shape tell cases apart */
        size_t tail = (width - 1) / 2;
        size_t head = width - 1 - tail;
        fprintf(out, "%.*s…%s", (int)text_prefix_bytes(text, head), text,
                text + text_prefix_bytes(text, length - tail));
    } else {
        int padding = (int)(width - length);
        fprintf(out, "%*s%s%*s", left ? 0 : padding, "", text, left && !last ? padding : 0, "");
    }
    fprintf(out, "%s", last ? "\n" : "  ");
}

static void print_line(FILE *out, const char *const cells[SUMMARY_COLUMNS], const size_t widths[SUMMARY_COLUMNS]) {
    int last = SUMMARY_COLUMNS - 1;
    while (!widths[last]) {
        last--;
    }
    for (int c = 0; c <= last; c++) {
        if (widths[c]) {
            print_cell(out, cells[c], widths[c], summary_columns[c].left, c == last);
        }
    }
}

static void print_table(FILE *out, const struct summary_line *lines, size_t count, int columns) {
    size_t widths[SUMMARY_COLUMNS];
    const char *cells[SUMMARY_COLUMNS];
    fit_widths(widths, lines, count, columns);
    for (int c = 0; c < SUMMARY_COLUMNS; c++) {
        cells[c] = summary_columns[c].title;
    }
    print_line(out, cells, widths);
    bool planned = false;
    for (size_t i = 0; i < count; i++) {
        for (int c = 0; c < SUMMARY_COLUMNS; c++) {
            cells[c] = lines[i].cells[c];
        }
        print_line(out, cells, widths);
        planned |= widths[MEMORY] && strstr(cells[MEMORY], "✓");
    }
    if (planned) {
        fprintf(out, "✓ memory is what was planned before the decode\n");
    }
}

/* What needs somebody's eyes comes first; what is as it should be comes last and in short. */
static const struct {
    const char *outcome;
    bool in_full;
} outcome_order[] = {
    {"failed", true},   {"crashed", true}, {"timed_out", true},    {"out_of_memory", true}, {"mistrusted", true},
    {"unstable", true}, {"waived", true},  {"unsupported", false}, {"skipped", false},      {"refused", false},
};
enum { OUTCOME_COUNT = sizeof outcome_order / sizeof outcome_order[0] };

static int find_outcome(const char *outcome) {
    int place = 0;
    while (place < OUTCOME_COUNT && strcmp(outcome_order[place].outcome, outcome) != 0) {
        place++;
    }
    return place;
}

static bool is_quiet(const char *outcome) {
    int place = find_outcome(outcome);
    return strcmp(outcome, "passed") == 0 || (place < OUTCOME_COUNT && !outcome_order[place].in_full);
}

/* A row whose outcome this file does not know is shown in full: a new kind of failure must not hide. */
static bool belongs_to(const struct case_row *row, int place) {
    return strcmp(row->outcome, "passed") != 0 && find_outcome(row->outcome) == place;
}

static void print_in_full(FILE *out, const struct case_row *row) {
    fprintf(out, "\n%s: %s\n", row->id, row->outcome);
    if (row->reason[0]) {
        fprintf(out, "  %s\n", row->reason);
    }
    if (row->repro[0]) {
        fprintf(out, "  repeat: %s\n", row->repro);
    }
}

/* One line a reason, however many cases share it. */
static void print_in_short(FILE *out, const struct record *record, int place) {
    const struct table *cases = &record->tables[TABLE_CASES];
    for (size_t i = 0; i < cases->count; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        size_t same = 0;
        bool told = !belongs_to(row, place);
        for (size_t j = 0; j < cases->count && !told; j++) {
            const struct case_row *other = RECORD_ROW(record, TABLE_CASES, j, case_row);
            bool alike = belongs_to(other, place) && strcmp(other->reason, row->reason) == 0;
            told = alike && j < i;
            same += alike;
        }
        if (!told) {
            fprintf(out, "%zu %s: %s\n", same, row->outcome, row->reason[0] ? row->reason : "no reason was given");
        }
    }
}

static void print_what_did_not_pass(FILE *out, const struct record *record) {
    for (int place = 0; place <= OUTCOME_COUNT; place++) {
        for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
            const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
            if (belongs_to(row, place) && !is_quiet(row->outcome)) {
                print_in_full(out, row);
            }
        }
    }
}

static void print_totals(FILE *out, const struct record *record) {
    size_t count = record->tables[TABLE_CASES].count;
    size_t counted[OUTCOME_COUNT + 1] = {0};
    size_t passed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        bool pass = strcmp(row->outcome, "passed") == 0;
        passed += pass;
        counted[find_outcome(row->outcome)] += !pass;
    }
    fprintf(out, "\n%zu case%s: %zu passed", count, count == 1 ? "" : "s", passed);
    for (int place = 0; place <= OUTCOME_COUNT; place++) {
        if (counted[place]) {
            fprintf(out, ", %zu %s", counted[place],
                    place < OUTCOME_COUNT ? outcome_order[place].outcome : "with another outcome");
        }
    }
    struct check_counts checks = count_checks(record, NULL);
    fprintf(out, "; %zu checks: %zu passed, %zu failed\n", checks.total, checks.passed, checks.failed);
    for (int place = 0; place < OUTCOME_COUNT; place++) {
        if (!outcome_order[place].in_full) {
            print_in_short(out, record, place);
        }
    }
}

void show_summary(FILE *out, const struct record *record, int columns) {
    size_t count = record->tables[TABLE_CASES].count;
    struct summary_line *lines = malloc((count + 1) * sizeof *lines);
    if (!lines || count == 0) {
        fprintf(out, lines ? "No cases were recorded.\n" : "The table of cases does not fit into memory.\n");
        free(lines);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fill_line(&lines[i], record, RECORD_ROW(record, TABLE_CASES, i, case_row));
    }
    print_table(out, lines, count, columns);
    print_what_did_not_pass(out, record);
    show_profiles(out, record);
    print_totals(out, record);
    free(lines);
}
