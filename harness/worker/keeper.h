/* The keeper: a tiny process between harness and worker, one a worker, `vaemark serve --keeper BYTES -- COMMAND`.
 *
 * Nothing that a worker starts may outlive its harness, also not after kill -9 of the harness and also not a grandchild
 * in a session of its own. The harness cannot see to that once it is dead, and a foreign worker cannot be trusted to.
 * The keeper can: it is a child subreaper, so everything below stays below, and it holds one end of a socket (the
 * leash) whose other end the harness alone has. When the leash is dropped, for whatever reason, it kills all that is
 * below. If the keeper itself is killed, its worker gets PR_SET_PDEATHSIG, and the harness ends what it inherits.
 *
 * It also watches what all below it hold in memory (resident.h), whatever the harness does meanwhile, and ends them
 * when that is over the limit. It looks the more often the less is left: the next look comes before memory can have
 * been filled at 8 GiB/s, after 10 to 100 ms. That costs
 * 0.1 % of one CPU where much is left, and 0.7 % for a worker of 16 threads that has little. */
#ifndef HARNESS_WORKER_KEEPER_H
#define HARNESS_WORKER_KEEPER_H

#include <stdint.h>

/* Where the keeper finds its descriptors; the harness puts them there. */
enum { KEEPER_SOCKET_FD = 3, KEEPER_SEGMENT_FD = 4, KEEPER_LEASH_FD = 5, KEEPER_FIRST_FREE_FD = 6 };

enum keeper_event {
    KEEPER_STARTED,     /* `pid` runs */
    KEEPER_EXEC_FAILED, /* `detail` is errno */
    KEEPER_EXITED,      /* `detail` is the wait status */
    KEEPER_OVER_LIMIT   /* all is ended because `resident_kib` is too much */
};

/* What the keeper tells: one packet each. */
struct keeper_report {
    int32_t event, pid, detail;
    int32_t rss_peak_kib; /* KEEPER_EXITED */
    int64_t resident_kib; /* KEEPER_OVER_LIMIT */
};

/* Runs the command and keeps it. Returns the keeper's exit code, when nothing is left below. `memory_limit_bytes`: of
 * all that is below; MEMORY_LIMIT_NONE for none. */
int keeper_run(uint64_t memory_limit_bytes, char **command);

#endif
