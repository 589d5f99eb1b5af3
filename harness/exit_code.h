/* Exit codes, the same for every subcommand; the worst wins (4, 2, 1, 3). */
#ifndef HARNESS_EXIT_CODE_H
#define HARNESS_EXIT_CODE_H

enum exit_code {
    EXIT_CODE_PASSED = 0,       /* at least one passed, nothing failed */
    EXIT_CODE_FAILED = 1,       /* failed, crashed, timed out, out of memory, regressed */
    EXIT_CODE_USAGE = 2,        /* usage or bad input; an option that had to be refused */
    EXIT_CODE_INCONCLUSIVE = 3, /* unstable or mistrusted, or nothing but unsupported and skipped */
    EXIT_CODE_HARNESS = 4,      /* the harness itself failed */
    EXIT_CODE_INTERRUPTED = 130
};

#endif
