/* The verdict on a run: its exit code, its cases counted by outcome, and one sentence for people. */
#ifndef RESULTS_VERDICT_H
#define RESULTS_VERDICT_H

#include "results/record.h"

/* How cases end, what needs somebody's eyes first. */
enum outcome {
    OUTCOME_FAILED,
    OUTCOME_CRASHED,
    OUTCOME_TIMED_OUT,
    OUTCOME_OUT_OF_MEMORY,
    OUTCOME_INVALID,   /* of a gate: the outputs differ by more than the case's bounds */
    OUTCOME_REGRESSED, /* of a gate */
    OUTCOME_OTHER,     /* a word that this version does not know: it must not hide, and counts as failed */
    OUTCOME_MISTRUSTED,
    OUTCOME_UNSTABLE,
    OUTCOME_INCONCLUSIVE, /* of a gate: the budget was spent */
    OUTCOME_WAIVED,
    OUTCOME_UNSUPPORTED,
    OUTCOME_SKIPPED,
    OUTCOME_REFUSED,
    OUTCOME_IMPROVED, /* of a gate */
    OUTCOME_PASSED,
    OUTCOME_COUNT
};

/* OUTCOME_OTHER for a word that is not known. */
enum outcome outcome_find(const char *word);
const char *outcome_name(enum outcome outcome); /* "timed_out"; "other" for OUTCOME_OTHER */

/* The exit codes a verdict has; harness/exit_code.h has them all. */
enum { VERDICT_PASSED = 0, VERDICT_FAILED = 1, VERDICT_INCONCLUSIVE = 3 };
/* What one case of this outcome means for the exit code of its run. */
int outcome_exit_code(enum outcome outcome);

struct verdict {
    int exit_code; /* the worst wins: failed, inconclusive, passed; nothing compared is inconclusive, never green */
    size_t case_count, count[OUTCOME_COUNT];
    char sentence[512]; /* "Failed: 2 of 24 cases failed, 1 crashed; 20 passed, 1 refused as it must be." */
};
void verdict_of(const struct record *record, struct verdict *verdict);

#endif
