/* A run as JUnit XML, the format that CI servers read: one testcase a case. */
#ifndef RESULTS_JUNIT_H
#define RESULTS_JUNIT_H

#include "results/store.h"

/* passed, refused, improved: passes. failed, invalid, regressed: <failure>. crashed, timed_out, out_of_memory: <error>;
 * so are mistrusted, unstable and inconclusive: they failed to find out. unsupported, skipped, waived: <skipped> with
 * the reason. A fact "run_failure" (the harness failed) becomes a testcase of its own with an <error>.
 * Whole text in fresh memory, valid XML whatever the record's texts hold. False, with a message, when memory is short.
 */
bool junit_format(const struct record *record, char **text, size_t *size_bytes, struct results_error *error);

#endif
