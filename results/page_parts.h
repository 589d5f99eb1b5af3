/* Inside the page: what its sections share, and the sections. */
#ifndef RESULTS_PAGE_PARTS_H
#define RESULTS_PAGE_PARTS_H

#include <stdio.h>

#include "results/html.h"
#include "results/report.h"
#include "results/verdict.h"

/* A case, where it stands on the page. */
struct page_case {
    const struct case_row *row;
    const char *anchor; /* index.html#ANCHOR */
    size_t type_first, workload_first, index;
    size_t checks_passed, checks_failed;
    bool memory_as_planned;
};

struct page {
    FILE *out;
    const struct report_run *runs;
    size_t run_count;
    const struct record *record; /* all runs */
    struct verdict verdict;      /* of all runs */
    struct page_case *cases;     /* by VAE type, then workload, then as they ran */
    size_t case_count;
    const char *folder, *plots_missing;
    char *anchors; /* of all cases, one behind the other */
    bool failed;   /* memory was short on the way */
};

/* ---- page_words.c ---- */

struct outcome_style {
    const char *outcome;
    const char *words;   /* "out of memory" */
    const char *symbol;  /* what tells it from others without colour */
    const char *tone;    /* CSS class: good, bad, doubt, quiet */
    bool in_full;        /* each case is told by itself, with the command that repeats it */
    const char *meaning; /* one sentence; "" for what only a comparison of builds ends in */
};
/* Worst first. */
extern const struct outcome_style outcome_styles[];
extern const size_t outcome_style_count;
/* Never NULL: an outcome that this version does not know looks like a failure, so that it cannot hide. */
const struct outcome_style *outcome_style_find(const char *outcome);
void page_badge(struct page *page, const char *outcome);
/* <td> with figures as vaemark show prints them. `label` is the column's name, for narrow screens. */
void page_cell(struct page *page, const char *label, const char *text);
/* "12.3 ms ±4.7 %", "1.12 s (n=1)", "-". */
enum { LATENCY_TEXT_BYTES = 160 };
void page_latency_text(char text[LATENCY_TEXT_BYTES], const struct case_row *row);
/* Bytes as KiB, MiB; other units behind the value. */
void page_write_fact_value(struct page *page, const char *value, const char *unit);
/* The line of a table that begins the cases of a VAE type, the first of which is at `first`. */
void page_write_type_row(struct page *page, size_t first, size_t column_count);
const char *page_anchor_of(const struct page *page, const char *case_id); /* NULL: no such case */

/* ---- Sections: what stands below their headings ---- */

struct page_section {
    const char *id, *title, *short_title; /* the short one is for the list of contents */
    bool (*is_there)(const struct page *page);
    void (*write)(struct page *page);
};

void page_write_head(struct page *page, const struct page_section *sections, size_t section_count);

bool page_has_runs(const struct page *page); /* several runs: each one's verdict, and how their surroundings differ */
void page_write_runs(struct page *page);
bool page_has_comparison(const struct page *page); /* several runs: each case in all of them */
void page_write_comparison(struct page *page);
bool page_has_cases(const struct page *page);
void page_write_failures(struct page *page);
void page_write_cases(struct page *page);
void page_write_fuse_qkv(struct page *page);
bool page_has_checks(const struct page *page);
void page_write_checks(struct page *page);
void page_write_plots(struct page *page);
bool page_has_profiles(const struct page *page);
void page_write_profiles(struct page *page);
bool page_has_pictures(const struct page *page);
void page_write_pictures(struct page *page);
bool page_has_models(const struct page *page);
void page_write_models(struct page *page);
bool page_has_oracles(const struct page *page);
void page_write_oracles(struct page *page);
void page_write_environment(struct page *page);
void page_write_reading(struct page *page);

#endif
