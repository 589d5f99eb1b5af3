/* One case, from a fresh worker to rows in the record. */
#ifndef HARNESS_RUN_RUN_CASE_H
#define HARNESS_RUN_RUN_CASE_H

#include "harness/case.h"
#include "harness/oracle/oracle.h"
#include "results/record.h"

struct ceilings;

struct run_settings {
    const struct suite *suite;
    int64_t threads; /* 0: all */
    uint64_t seed;
    double timeout_s;
    uint64_t memory_limit_bytes; /* of the decoder under test; 0: the default */
    struct ceilings *ceilings;   /* what profiles are held against; NULL: no profiles */
};

/* Runs the case and appends its rows. Returns the outcome as the row has it ("passed", ...). Only a fault of the
 * harness itself (no memory, no oracle) is an error. */
enum vaemark_status run_case(const struct run_settings *settings, const struct run_case *item, struct oracles *oracles,
                             struct record *record, const char *repro, const char **outcome, struct error *error);

#endif
