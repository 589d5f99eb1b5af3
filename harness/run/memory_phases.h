/* Memory by phase: what a decoder holds after open, after prepare, in a decode and after close. Asked for before and
 * after what is timed, never in between. */
#ifndef HARNESS_RUN_MEMORY_PHASES_H
#define HARNESS_RUN_MEMORY_PHASES_H

#include "harness/checks/checks.h"

/* The resident set of a worker that has nothing open yet. */
void memory_phase_record_start(struct judgement *j);
/* Asks the worker what it holds, records it, and starts the next phase's peaks. */
enum vaemark_status memory_phase_end(struct judgement *j, const char *phase, struct error *error);
/* Records what the worker has told already. */
void memory_phase_record(struct judgement *j, const char *phase, const struct worker_memory *memory);

#endif
