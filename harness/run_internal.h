/* Between the parts of a run. */
#ifndef HARNESS_RUN_INTERNAL_H
#define HARNESS_RUN_INTERNAL_H

#include "harness/run.h"
#include "results/record.h"

/* The machine, the command line, the suite and its settings. */
void run_record_facts(const struct run *run, struct record *record, int argc, char **argv);

#endif
