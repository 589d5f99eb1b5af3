/* Stored runs side by side, case by case, each against the first. Information, not a verdict: stored runs were not
 * measured side by side. */
#ifndef RESULTS_COMPARE_H
#define RESULTS_COMPARE_H

#include <stdio.h>

#include "results/record.h"

enum { COMPARE_MOST_RUNS = 26 }; /* A to Z */

enum change {
    CHANGE_NONE,    /* the same outcome */
    CHANGE_WORSE,   /* passed -> failed, crashed -> out_of_memory is CHANGE_OTHER */
    CHANGE_BETTER,  /* failed -> passed */
    CHANGE_OTHER,   /* another outcome, no better and no worse */
    CHANGE_MISSING, /* a case of the first run that this one lacks */
    CHANGE_ADDED,   /* a case that the first run lacks */
    CHANGE_ABSENT,  /* in neither of the two */
    CHANGE_COUNT
};
const char *change_name(enum change change); /* "worse" */

/* A case in one run against the same in the first. NaN where one of the two does not know. */
struct difference {
    enum change change;
    double latency_ratio, latency_ratio_low, latency_ratio_high; /* from the ends of both intervals */
    bool latency_differs;                                        /* both intervals are known and do not overlap */
    bool memory_known;
    int64_t memory_bytes; /* allocator's peak, which is exact: larger by so much */
    double psnr_db;       /* better by so much; 0 where both are exact */
    bool any;             /* is there something to tell? */
};

struct compared_case {
    const char *id;
    const struct case_row *rows[COMPARE_MOST_RUNS]; /* NULL: not in this run */
    struct difference differences[COMPARE_MOST_RUNS];
    bool any;
};

/* A fact of the surroundings in which the runs differ. */
struct compared_fact {
    char key[160];
    bool serious; /* the runs did not decode the same: suite, seed, weights */
    const char *values[COMPARE_MOST_RUNS];
};

struct comparison {
    size_t run_count, case_count, common_count; /* common: cases that the first run and another have */
    const char *const *paths;
    const struct record *const *records;
    struct compared_case *cases; /* in the order of the first run, then what others add */
    struct compared_fact *facts;
    size_t fact_count;
};

/* Borrows paths and records, at most COMPARE_MOST_RUNS. NULL when memory is short. */
struct comparison *compare_runs(const struct record *const *records, const char *const *paths, size_t run_count);
void comparison_free(struct comparison *comparison);

struct compare_style {
    int columns; /* width of the terminal; 0: not one */
    bool colour;
    bool only_changed;
};
void compare_print(FILE *out, const struct comparison *comparison, const struct compare_style *style);
/* False when memory is short or after write errors. */
bool compare_print_json(FILE *out, const struct comparison *comparison, bool only_changed);
void compare_print_markdown(FILE *out, const struct comparison *comparison, bool only_changed);

/* What tables of any kind say of a difference: "0.97x", "+1.20 MiB", "-3.1 dB", "same", "-". */
struct difference_texts {
    char latency[64], memory[80], psnr[64];
};
struct difference_texts difference_describe(const struct difference *difference);
extern const char compare_disclaimer[];

#endif
