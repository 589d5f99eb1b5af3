/* What was recorded, for people and for programs. */
#ifndef RESULTS_SHOW_H
#define RESULTS_SHOW_H

#include <stdio.h>

#include "results/record.h"

/* A table of cases: id, outcome, latency with interval, memory, PSNR, and the worst reasons below it. `columns`: width
 * of the terminal (0: not one). */
void show_summary(FILE *out, const struct record *record, int columns);
/* One case, everything: figures, checks with bounds and derivations, samples, the trace's largest entries, the repro
 * line. False if there is no such case. */
bool show_case(FILE *out, const struct record *record, const char *case_id);
/* The profile of a case, if it has one, or why not. False where no step has a time. */
bool show_profile(FILE *out, const struct record *record, const char *case_id);
/* The longest step of each case that has a profile, with its rates: of a run of single operations (suite kernels), the
 * operation by shape. Nothing where no case has one. */
void show_profiles(FILE *out, const struct record *record);
/* The whole record, or one case of it (case_id may be NULL), as one JSON document: {"environment": {...}, "cases":
 * [...], ...}. Unknown numbers are null. */
bool show_json(FILE *out, const struct record *record, const char *case_id);
/* The same with several cases, which must exist. */
bool show_json_cases(FILE *out, const struct record *record, const char *const *case_ids, size_t case_count);
/* One table with a line of names, quoted as RFC 4180 says, lines ending in LF; unknown is empty. False after write
 * errors. */
bool show_csv(FILE *out, const struct record *record, enum table_id table);
/* The sentence on fuse-QKV: where it ran, with how many modules, where it was refused, or what went wrong. */
void show_fuse_qkv_sentence(FILE *out, const struct record *record);
/* The same, where cases that were not decided are listed elsewhere: their number. */
void show_fuse_qkv_brief(FILE *out, const struct record *record);

#endif
