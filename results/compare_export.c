/* A comparison as JSON, for programs, and as Markdown, for a comment. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "results/compare.h"
#include "results/format.h"
#include "results/markdown.h"
#include "results/verdict.h"

enum { NAME_BYTES = 300, VALUE_BYTES = 200 };

/* ---- JSON ---- */

static json_t *real_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text_or_null(const char *text) {
    json_t *value = text ? json_string(text) : NULL;
    return value ? value : json_null();
}

static json_t *make_difference(const struct difference *d) {
    return json_pack("{s:s, s:o, s:o, s:o, s:b, s:o, s:o}", "outcome", change_name(d->change), "latency_ratio",
                     real_or_null(d->latency_ratio), "latency_ratio_low", real_or_null(d->latency_ratio_low),
                     "latency_ratio_high", real_or_null(d->latency_ratio_high), "latency_differs", d->latency_differs,
                     "memory_peak_change_bytes", d->memory_known ? json_integer(d->memory_bytes) : json_null(),
                     "psnr_change_db", real_or_null(d->psnr_db));
}

static json_t *make_row(const struct case_row *row, const struct difference *difference) {
    if (!row) {
        return json_null();
    }
    json_t *made = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "outcome", text_or_null(row->outcome), "reason",
                             text_or_null(row->reason), "repro", text_or_null(row->repro), "latency_median_ns",
                             real_or_null(row->latency_median_ns), "memory_peak_bytes",
                             row->memory_peak_bytes < 0 ? json_null() : json_integer(row->memory_peak_bytes), "psnr_db",
                             real_or_null(row->psnr_db));
    if (difference) {
        json_object_set_new(made, "against_first", make_difference(difference));
    }
    return made;
}

static json_t *make_cases(const struct comparison *c, bool only_changed) {
    json_t *cases = json_array();
    for (size_t i = 0; i < c->case_count; i++) {
        const struct compared_case *item = &c->cases[i];
        if (only_changed && !item->any) {
            continue;
        }
        json_t *rows = json_array();
        for (size_t r = 0; r < c->run_count; r++) {
            json_array_append_new(rows, make_row(item->rows[r], r ? &item->differences[r] : NULL));
        }
        json_array_append_new(
            cases, json_pack("{s:o, s:b, s:o}", "id", text_or_null(item->id), "changed", item->any, "runs", rows));
    }
    return cases;
}

static json_t *make_runs(const struct comparison *c) {
    json_t *runs = json_array();
    for (size_t r = 0; r < c->run_count; r++) {
        struct verdict verdict;
        verdict_of(c->records[r], &verdict);
        json_array_append_new(runs, json_pack("{s:o, s:s, s:i, s:o}", "path", text_or_null(c->paths[r]), "verdict",
                                              verdict.sentence, "exit_code", verdict.exit_code, "suite",
                                              text_or_null(record_fact(c->records[r], "suite"))));
    }
    return runs;
}

static json_t *make_facts(const struct comparison *c) {
    json_t *facts = json_array();
    for (size_t i = 0; i < c->fact_count; i++) {
        json_t *values = json_array();
        for (size_t r = 0; r < c->run_count; r++) {
            json_array_append_new(values, text_or_null(c->facts[i].values[r]));
        }
        json_array_append_new(facts, json_pack("{s:o, s:b, s:o}", "key", text_or_null(c->facts[i].key), "serious",
                                               c->facts[i].serious, "values", values));
    }
    return facts;
}

bool compare_print_json(FILE *out, const struct comparison *comparison, bool only_changed) {
    json_t *document = json_pack("{s:s, s:o, s:i, s:o, s:o}", "note", compare_disclaimer, "runs", make_runs(comparison),
                                 "common_cases", (int)comparison->common_count, "cases",
                                 make_cases(comparison, only_changed), "differences", make_facts(comparison));
    bool done = document && json_dumpf(document, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;
    json_decref(document);
    return done;
}

/* ---- Markdown ---- */

static void print_run_list(FILE *out, const struct comparison *c) {
    for (size_t r = 0; r < c->run_count; r++) {
        struct verdict verdict;
        verdict_of(c->records[r], &verdict);
        fprintf(out, "- **%c** ", 'A' + (int)r);
        markdown_print_text(out, c->paths[r], NAME_BYTES);
        fprintf(out, ": %s\n", verdict.sentence);
    }
    for (size_t i = 0; i < c->fact_count; i++) {
        if (c->facts[i].serious) {
            fprintf(out, "- **Warning:** the runs differ in ");
            markdown_print_text(out, c->facts[i].key, NAME_BYTES);
            fprintf(out, ": they did not decode the same\n");
        }
    }
}

static void print_case_row(FILE *out, const struct comparison *c, const struct compared_case *item, size_t run) {
    const struct difference *d = &item->differences[run];
    struct difference_texts texts = difference_describe(d);
    fprintf(out, "| ");
    markdown_print_code(out, item->id, NAME_BYTES);
    fprintf(out, " | %s%s", c->run_count > 2 ? (const char[]){(char)('A' + (int)run), ':', ' ', '\0'} : "",
            d->change == CHANGE_NONE ? "" : change_name(d->change));
    fprintf(out, "%s", d->change == CHANGE_NONE ? "" : ": ");
    markdown_print_text(out, item->rows[0] ? item->rows[0]->outcome : "not there", NAME_BYTES);
    if (d->change != CHANGE_NONE) {
        fprintf(out, " -\\> ");
        markdown_print_text(out, item->rows[run] ? item->rows[run]->outcome : "not there", NAME_BYTES);
    }
    fprintf(out, " | %s | %s | %s |\n", texts.latency, texts.memory, texts.psnr);
}

static int place_of(enum change change) {
    return change == CHANGE_NONE ? CHANGE_COUNT : (int)change;
}

static void print_cases(FILE *out, const struct comparison *c, bool only_changed) {
    size_t left_out = 0, unchanged = 0;
    fprintf(out, "\n| case | outcome | latency against A | memory peak | PSNR |\n| --- | --- | ---: | ---: | ---: |\n");
    for (int place = 0; place <= CHANGE_COUNT; place++) {
        for (size_t i = 0; i < c->case_count; i++) {
            for (size_t r = 1; r < c->run_count; r++) {
                const struct difference *d = &c->cases[i].differences[r];
                if (place_of(d->change) != place || d->change == CHANGE_ABSENT) {
                    continue;
                }
                bool hidden = only_changed && !d->any;
                unchanged += hidden;
                left_out += !hidden && ftell(out) > MARKDOWN_LARGEST_BYTES * 3 / 4;
                if (!hidden && ftell(out) <= MARKDOWN_LARGEST_BYTES * 3 / 4) {
                    print_case_row(out, c, &c->cases[i], r);
                }
            }
        }
    }
    if (unchanged > 0) {
        fprintf(out, "\n%zu with nothing changed.\n", unchanged);
    }
    if (left_out > 0) {
        fprintf(out, "\n%zu more rows were left out here.\n", left_out);
    }
}

void compare_print_markdown(FILE *out, const struct comparison *c, bool only_changed) {
    fprintf(out, "## vaemark compare\n\n");
    print_run_list(out, c);
    print_cases(out, c, only_changed);
    fprintf(out, "\n\\~: the 95 %% intervals overlap; ?: one of the two has no interval. %s\n", compare_disclaimer);
    if (c->fact_count == 0) {
        return;
    }
    fprintf(out, "\n<details><summary>The runs differ in %zu fact%s</summary>\n\n| fact |", c->fact_count,
            c->fact_count == 1 ? "" : "s");
    for (size_t r = 0; r < c->run_count; r++) {
        fprintf(out, " %c |", 'A' + (int)r);
    }
    fprintf(out, "\n| --- |");
    for (size_t r = 0; r < c->run_count; r++) {
        fprintf(out, " --- |");
    }
    fputc('\n', out);
    for (size_t i = 0; i < c->fact_count && ftell(out) < MARKDOWN_LARGEST_BYTES * 9 / 10; i++) {
        fprintf(out, "| ");
        markdown_print_text(out, c->facts[i].key, NAME_BYTES);
        for (size_t r = 0; r < c->run_count; r++) {
            fprintf(out, " | ");
            markdown_print_text(out, c->facts[i].values[r] ? c->facts[i].values[r] : "-", VALUE_BYTES);
        }
        fprintf(out, " |\n");
    }
    fprintf(out, "\n</details>\n");
}
