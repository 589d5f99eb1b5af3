/* A run: a suite on this machine, into one HDF5 file. */
#ifndef HARNESS_RUN_RUN_H
#define HARNESS_RUN_RUN_H

#include "harness/exports.h"
#include "harness/selection.h"

/* What the command line asked for. */
struct run {
    struct selection selection;
    long long threads;
    double timeout_s;            /* 0: the suite's */
    uint64_t memory_limit_bytes; /* 0: the suite's */
    const char *out;
    struct exports exports;
    bool no_oracle_store;
    bool profile;
    bool resume, fresh; /* go on with an interrupted run; throw its journal away */
};

/* Expands the selection, runs its cases and writes the result file. Returns the exit code. */
int run_suite(struct run *run, int argc, char **argv);

#endif
