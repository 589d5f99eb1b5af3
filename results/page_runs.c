/* Several runs on one page: each one's verdict, each case in all of them, and in what their surroundings differ. */
#include <stdlib.h>
#include <string.h>

#include "results/combined.h"
#include "results/format.h"
#include "results/page_parts.h"

bool page_has_runs(const struct page *page) {
    return page->run_count > 1;
}

bool page_has_comparison(const struct page *page) {
    return page->run_count > 1 && page->case_count > 0;
}

static const char *fact_or_dash(const struct record *record, const char *key) {
    const char *value = record_fact(record, key);
    return value && value[0] ? value : "-";
}

/* ---- Verdicts ---- */

static void write_verdict(struct page *page, const struct report_run *run) {
    struct verdict verdict;
    verdict_of(run->record, &verdict);
    const char *tone = verdict.exit_code == 0 ? "good" : verdict.exit_code == 3 ? "doubt" : "bad";
    const char *symbol = verdict.exit_code == 0 ? "✓" : verdict.exit_code == 3 ? "?" : "✗";
    html(page->out,
         "<tr class=\"@\"><th scope=\"row\">@</th><td data-label=\"Verdict\"><span class=\"mark @\" "
         "aria-hidden=\"true\">@</span> @</td>",
         tone, run->label, tone, symbol, verdict.sentence);
    page_cell(page, "Suite", fact_or_dash(run->record, "suite"));
    page_cell(page, "Started", fact_or_dash(run->record, "run_started"));
    page_cell(page, "Commit", fact_or_dash(run->record, "vaemark_git_commit"));
    html(page->out, "<td data-label=\"File\"><code>@</code></td></tr>\n", run->path);
}

static void write_verdicts(struct page *page) {
    fputs("<div class=\"scroll\" role=\"region\" aria-label=\"Table of runs\" tabindex=\"0\">\n<table class=\"runs "
          "stacked\">\n"
          "<thead><tr><th scope=\"col\">Run</th><th scope=\"col\">Verdict</th><th scope=\"col\">Suite</th>"
          "<th scope=\"col\">Started</th><th scope=\"col\">Commit</th><th "
          "scope=\"col\">File</th></tr></thead>\n<tbody>\n",
          page->out);
    for (size_t r = 0; r < page->run_count; r++) {
        write_verdict(page, &page->runs[r]);
    }
    fputs("</tbody>\n</table>\n</div>\n", page->out);
}

/* ---- Case by case ---- */

static const struct case_row *find_case(const struct record *record, const char *id) {
    for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        if (strcmp(row->id, id) == 0) {
            return row;
        }
    }
    return NULL;
}

static void write_case_in_run(struct page *page, const struct report_run *run, const char *id) {
    const struct case_row *row = find_case(run->record, id);
    char latency[LATENCY_TEXT_BYTES];
    html(page->out, "<td class=\"compared\" data-label=\"@\">", run->label);
    if (!row) {
        fputs("<span class=\"none\">not in this run</span></td>", page->out);
        return;
    }
    struct figure memory = format_bytes(row->memory_peak_bytes), psnr = format_decibels(row->psnr_db);
    page_latency_text(latency, row);
    page_badge(page, row->outcome);
    if (strcmp(latency, "-") != 0) {
        html(page->out, " <span class=\"figures\">@<br>@, @</span>", latency, memory.text, psnr.text);
    }
    fputs("</td>", page->out);
}

static bool is_in_earlier_run(const struct page *page, size_t run, const char *id) {
    for (size_t r = 0; r < run; r++) {
        if (find_case(page->runs[r].record, id)) {
            return true;
        }
    }
    return false;
}

static void write_cases_of_run(struct page *page, size_t run) {
    const struct record *record = page->runs[run].record;
    for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
        const char *id = RECORD_ROW(record, TABLE_CASES, i, case_row)->id;
        if (is_in_earlier_run(page, run, id) || find_case(record, id) != RECORD_ROW(record, TABLE_CASES, i, case_row)) {
            continue;
        }
        html(page->out, "<tr><th scope=\"row\">@</th>", id);
        for (size_t r = 0; r < page->run_count; r++) {
            write_case_in_run(page, &page->runs[r], id);
        }
        fputs("</tr>\n", page->out);
    }
}

void page_write_comparison(struct page *page) {
    fputs(
        "<p>Outcome, latency with its interval, memory peak and PSNR. Runs that were made one "
        "after "
        "the other differ by what the machine did meanwhile: this table shows where to look, it decides nothing.</p>\n"
        "<div class=\"scroll\" role=\"region\" aria-label=\"Cases by run\" tabindex=\"0\">\n<table class=\"compare "
        "stacked\">\n"
        "<thead><tr><th scope=\"col\">Case</th>",
        page->out);
    for (size_t r = 0; r < page->run_count; r++) {
        html(page->out, "<th scope=\"col\">@</th>", page->runs[r].label);
    }
    fputs("</tr></thead>\n<tbody>\n", page->out);
    for (size_t r = 0; r < page->run_count; r++) {
        write_cases_of_run(page, r);
    }
    fputs("</tbody>\n</table>\n</div>\n", page->out);
}

/* ---- Facts that differ ---- */

static bool is_new_key(const struct page *page, size_t run, const char *key) {
    for (size_t r = 0; r < run; r++) {
        if (record_fact(page->runs[r].record, key)) {
            return false;
        }
    }
    return true;
}

static bool all_agree(const struct page *page, const char *key) {
    const char *first = record_fact(page->runs[0].record, key);
    for (size_t r = 0; r < page->run_count; r++) {
        const char *value = record_fact(page->runs[r].record, key);
        if (!first || !value || strcmp(first, value) != 0) {
            return false;
        }
    }
    return true;
}

static void write_fact(struct page *page, const struct environment_fact *fact) {
    html(page->out, "<tr><th scope=\"row\">@</th>", fact->key);
    for (size_t r = 0; r < page->run_count; r++) {
        const char *value = record_fact(page->runs[r].record, fact->key);
        html(page->out, value && value[0] ? "<td data-label=\"@\">" : "<td class=\"none\" data-label=\"@\">",
             page->runs[r].label);
        page_write_fact_value(page, value ? value : "", fact->unit);
        fputs("</td>", page->out);
    }
    fputs("</tr>\n", page->out);
}

static size_t write_differing(struct page *page, bool write) {
    size_t count = 0;
    for (size_t r = 0; r < page->run_count; r++) {
        const struct record *record = page->runs[r].record;
        for (size_t i = 0; i < record->fact_count; i++) {
            if (is_new_key(page, r, record->facts[i].key) && !all_agree(page, record->facts[i].key)) {
                count++;
                if (write) {
                    write_fact(page, &record->facts[i]);
                }
            }
        }
    }
    return count;
}

static void write_differences(struct page *page) {
    size_t count = write_differing(page, false);
    fprintf(page->out, "<h3>In what their surroundings differ</h3>\n");
    if (count == 0) {
        fputs("<p>In nothing that was recorded.</p>\n", page->out);
        return;
    }
    fprintf(
        page->out,
        "<details>\n<summary>%zu fact%s differ%s</summary>\n<div class=\"scroll\" role=\"region\" aria-label=\"Facts "
        "that differ\" tabindex=\"0\">\n<table class=\"differences stacked\">\n<thead><tr><th scope=\"col\">Fact</th>",
        count, count == 1 ? "" : "s", count == 1 ? "s" : "");
    for (size_t r = 0; r < page->run_count; r++) {
        html(page->out, "<th scope=\"col\">@</th>", page->runs[r].label);
    }
    fputs("</tr></thead>\n<tbody>\n", page->out);
    write_differing(page, true);
    fputs("</tbody>\n</table>\n</div>\n</details>\n", page->out);
}

void page_write_runs(struct page *page) {
    write_verdicts(page);
    write_differences(page);
}
