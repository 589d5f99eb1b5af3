/* A comparison for people at a terminal: what changed first, then all figures, then in what the runs differ. */
#include <stdlib.h>
#include <string.h>

#include "results/compare.h"
#include "results/format.h"
#include "results/readable.h"
#include "results/verdict.h"

enum { DEFAULT_COLUMNS = 80, NARROWEST_CASE = 16, GAP = 2, CELL = 15 /* the widest figure */ };

struct printer {
    FILE *out;
    const struct comparison *c;
    const struct compare_style *style;
    size_t columns;
};

static char letter(size_t run) {
    return (char)('A' + (int)run);
}

/* ---- Text of any origin, cut to a width ---- */

static void print_cut(FILE *out, const char *text, size_t width, bool pad) {
    char *readable = readable_text(text, false);
    const char *shown = readable ? readable : "?";
    size_t length = text_width(shown);
    if (length > width) { /* cut in the middle: model and shape tell cases apart */
        size_t tail = (width - 1) / 2, head = width - 1 - tail;
        fprintf(out, "%.*s…%s", (int)text_prefix_bytes(shown, head), shown,
                shown + text_prefix_bytes(shown, length - tail));
    } else {
        fprintf(out, "%s%*s", shown, pad ? (int)(width - length) : 0, "");
    }
    free(readable);
}

/* Words in lines of the terminal's width, indented. A word that is longer than a line stays whole: it may be copied. */
static void print_wrapped(const struct printer *p, size_t indent, const char *text) {
    char *readable = readable_text(text, false);
    size_t column = 0;
    for (const char *word = readable ? readable : ""; *word;) {
        size_t bytes = strcspn(word, " ");
        char *copy = strndup(word, bytes);
        size_t width = copy ? text_width(copy) : 0;
        bool fits = column + 1 + width <= p->columns;
        if (column == 0 || !fits) {
            fprintf(p->out, "%s%*s", column ? "\n" : "", (int)indent, "");
            column = indent;
        } else {
            fputc(' ', p->out);
            column++;
        }
        fprintf(p->out, "%s", copy ? copy : "");
        column += width;
        free(copy);
        word += bytes;
        word += strspn(word, " ");
    }
    fputc('\n', p->out);
    free(readable);
}

static void print_title(const struct printer *p, const char *colour, const char *title, size_t count) {
    bool coloured = p->style->colour && colour[0];
    fprintf(p->out, "\n%s%s%s (%zu)\n", coloured ? colour : "", title, coloured ? "\x1b[0m" : "", count);
}

/* ---- Parts ---- */

static void print_runs(const struct printer *p) {
    for (size_t r = 0; r < p->c->run_count; r++) {
        const char *suite = record_fact(p->c->records[r], "suite");
        const char *commit = record_fact(p->c->records[r], "vaemark_git_commit");
        struct verdict verdict;
        verdict_of(p->c->records[r], &verdict);
        fprintf(p->out, "%c  ", letter(r));
        print_cut(p->out, p->c->paths[r], p->columns - 3, false);
        char line[900];
        snprintf(line, sizeof line, "suite %s, commit %s. %s", suite ? suite : "unknown", commit ? commit : "unknown",
                 verdict.sentence);
        fputc('\n', p->out);
        print_wrapped(p, 3, line);
    }
}

static void print_warnings(const struct printer *p) {
    for (size_t i = 0; i < p->c->fact_count; i++) {
        if (p->c->facts[i].serious) {
            fputs(i == 0 ? "\n" : "", p->out);
            char line[400];
            snprintf(line, sizeof line, "Warning: the runs differ in %s: they did not decode the same.",
                     p->c->facts[i].key);
            print_wrapped(p, 0, line);
        }
    }
}

/* Both have it, with another outcome. */
static void print_change(const struct printer *p, const struct compared_case *item, size_t run) {
    const struct case_row *row = item->rows[run];
    char line[300];
    fputs("  ", p->out);
    print_cut(p->out, item->id, p->columns - 2, false);
    snprintf(line, sizeof line, "%c: %.100s -> %.100s", letter(run), item->rows[0]->outcome, row->outcome);
    fputc('\n', p->out);
    print_wrapped(p, 4, line);
    if (row->reason[0]) {
        print_wrapped(p, 6, row->reason);
    }
    if (outcome_exit_code(outcome_find(row->outcome)) != VERDICT_PASSED && row->repro[0]) {
        char *repro = readable_text(row->repro, false); /* in one line: it is to be copied */
        fprintf(p->out, "      repeat: %s\n", repro ? repro : "?");
        free(repro);
    }
}

/* Runs with such a change of this case: "B, C". Returns how many. */
static size_t list_runs(const struct comparison *c, const struct compared_case *item, enum change change,
                        char text[4 * COMPARE_MOST_RUNS]) {
    size_t count = 0;
    text[0] = '\0';
    for (size_t r = 1; r < c->run_count; r++) {
        if (item->differences[r].change == change) {
            size_t length = strlen(text);
            snprintf(text + length, 4 * COMPARE_MOST_RUNS - length, "%s%c", count ? ", " : "", letter(r));
            count++;
        }
    }
    return count;
}

static void print_part(const struct printer *p, enum change change) {
    for (size_t i = 0; i < p->c->case_count; i++) {
        const struct compared_case *item = &p->c->cases[i];
        char runs[4 * COMPARE_MOST_RUNS];
        bool both = item->rows[0] != NULL && change != CHANGE_MISSING;
        if (list_runs(p->c, item, change, runs) == 0) {
            continue;
        }
        for (size_t r = 1; both && r < p->c->run_count; r++) {
            if (item->differences[r].change == change) {
                print_change(p, item, r);
            }
        }
        if (!both) {
            size_t behind = text_width(runs) + 12;
            fputs("  ", p->out);
            print_cut(p->out, item->id, p->columns > behind + NARROWEST_CASE ? p->columns - behind : NARROWEST_CASE,
                      false);
            fprintf(p->out, "  %s %s\n", change == CHANGE_MISSING ? "not in" : "only in", runs);
        }
    }
}

static void print_changes(const struct printer *p) {
    static const struct {
        enum change change;
        const char *title, *colour;
    } parts[] = {{CHANGE_WORSE, "Worse", "\x1b[31m"},
                 {CHANGE_BETTER, "Better", "\x1b[32m"},
                 {CHANGE_OTHER, "Another outcome", ""},
                 {CHANGE_MISSING, "Missing", ""},
                 {CHANGE_ADDED, "Not in A", ""}};
    size_t total = 0;
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        char runs[4 * COMPARE_MOST_RUNS];
        size_t count = 0;
        for (size_t i = 0; i < p->c->case_count; i++) {
            size_t found = list_runs(p->c, &p->c->cases[i], parts[k].change, runs);
            count += parts[k].change <= CHANGE_OTHER ? found : found > 0;
        }
        if (count > 0) {
            print_title(p, parts[k].colour, parts[k].title, count);
            print_part(p, parts[k].change);
        }
        total += count;
    }
    if (total == 0) {
        fprintf(p->out, "\nEvery case ended as in the first run.\n");
    }
}

/* ---- Figures ---- */

enum figure_kind { LATENCY, MEMORY, PSNR };

static void write_cell(char cell[80], const struct compared_case *item, size_t run, enum figure_kind kind) {
    struct difference_texts texts = difference_describe(&item->differences[run]);
    snprintf(cell, 80, "%s", kind == LATENCY ? texts.latency : kind == MEMORY ? texts.memory : texts.psnr);
}

static bool is_compared(const struct comparison *c, const struct compared_case *item) {
    bool another = false;
    for (size_t r = 1; r < c->run_count; r++) {
        another |= item->rows[r] != NULL;
    }
    return item->rows[0] && another;
}

/* What the columns of a table are: a figure of a run against the first. */
struct figure_column {
    const char *title;
    size_t run, width;
    enum figure_kind kind;
};

static bool is_shown(const struct printer *p, const struct compared_case *item) {
    return is_compared(p->c, item) && (item->any || !p->style->only_changed);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Sets the widths of columns and returns that of the cases' names: the longest, or what is left. */
static size_t fit_columns(const struct printer *p, struct figure_column *columns, size_t count) {
    size_t longest = NARROWEST_CASE, others = 0;
    for (size_t k = 0; k < count; k++) {
        columns[k].width = text_width(columns[k].title);
    }
    for (size_t i = 0; i < p->c->case_count; i++) {
        if (is_shown(p, &p->c->cases[i])) {
            longest = larger(longest, text_width(p->c->cases[i].id));
            for (size_t k = 0; k < count; k++) {
                char cell[80];
                write_cell(cell, &p->c->cases[i], columns[k].run, columns[k].kind);
                columns[k].width = larger(columns[k].width, text_width(cell));
            }
        }
    }
    for (size_t k = 0; k < count; k++) {
        others += columns[k].width + GAP;
    }
    size_t left = p->columns > others + NARROWEST_CASE ? p->columns - others : NARROWEST_CASE;
    return longest < left ? longest : left;
}

/* One line a case. */
static void print_figures(const struct printer *p, struct figure_column *columns, size_t count) {
    size_t width = fit_columns(p, columns, count), left_out = 0;
    fputc('\n', p->out);
    print_cut(p->out, "case", width, true);
    for (size_t k = 0; k < count; k++) {
        fprintf(p->out, "  %*s", (int)columns[k].width, columns[k].title);
    }
    fputc('\n', p->out);
    for (size_t i = 0; i < p->c->case_count; i++) {
        const struct compared_case *item = &p->c->cases[i];
        left_out += is_compared(p->c, item) && !is_shown(p, item);
        if (!is_shown(p, item)) {
            continue;
        }
        print_cut(p->out, item->id, width, true);
        for (size_t k = 0; k < count; k++) {
            char cell[80];
            write_cell(cell, item, columns[k].run, columns[k].kind);
            fprintf(p->out, "  %*s", (int)columns[k].width, cell);
        }
        fputc('\n', p->out);
    }
    if (left_out > 0) {
        fprintf(p->out, "%zu case%s with nothing changed\n", left_out, left_out == 1 ? "" : "s");
    }
}

static void print_pair(const struct printer *p) {
    struct figure_column columns[] = {
        {"latency B/A", 1, 0, LATENCY}, {"memory peak", 1, 0, MEMORY}, {"PSNR", 1, 0, PSNR}};
    print_figures(p, columns, sizeof columns / sizeof *columns);
}

/* A table a figure, a column a run; where they do not fit side by side, several tables. */
static void print_many(const struct printer *p) {
    static const char *const names[] = {"latency", "memory peak", "PSNR"};
    size_t at_once = (p->columns - NARROWEST_CASE) / (CELL + GAP);
    at_once = at_once > 0 ? at_once : 1;
    for (enum figure_kind kind = LATENCY; kind <= PSNR; kind++) {
        fprintf(p->out, "\nAgainst A: %s", names[kind]);
        for (size_t first = 1; first < p->c->run_count; first += at_once) {
            struct figure_column columns[COMPARE_MOST_RUNS] = {{0}};
            char letters[COMPARE_MOST_RUNS][2] = {{0}};
            size_t count = 0;
            for (size_t r = first; r < p->c->run_count && count < at_once; r++, count++) {
                letters[count][0] = letter(r);
                columns[count] = (struct figure_column){letters[count], r, 0, kind};
            }
            print_figures(p, columns, count);
        }
    }
}

static void print_surroundings(const struct printer *p) {
    if (p->c->fact_count == 0) {
        return;
    }
    print_title(p, "", "The runs differ in", p->c->fact_count);
    for (size_t i = 0; i < p->c->fact_count; i++) {
        fprintf(p->out, "  %s\n", p->c->facts[i].key);
        for (size_t r = 0; r < p->c->run_count; r++) {
            fprintf(p->out, "    %c  ", letter(r));
            print_cut(p->out, p->c->facts[i].values[r] ? p->c->facts[i].values[r] : "-", p->columns - 7, false);
            fputc('\n', p->out);
        }
    }
}

void compare_print(FILE *out, const struct comparison *comparison, const struct compare_style *style) {
    enum { NARROWEST = 40, THREE_FIGURES = 60 };
    struct printer p = {.out = out, .c = comparison, .style = style, .columns = DEFAULT_COLUMNS};
    if (style->columns > 0) {
        p.columns = style->columns < NARROWEST ? NARROWEST : (size_t)style->columns;
    }
    print_runs(&p);
    print_warnings(&p);
    if (comparison->common_count == 0) {
        fprintf(out, "\nThe runs have no case in common: nothing was compared.\n");
    }
    print_changes(&p);
    if (comparison->common_count > 0) {
        (comparison->run_count == 2 && p.columns >= THREE_FIGURES ? print_pair : print_many)(&p);
        print_wrapped(&p, 0, "~ the 95 % intervals overlap; ? one of the two has no interval");
        print_wrapped(&p, 0, compare_disclaimer);
    }
    print_surroundings(&p);
}
