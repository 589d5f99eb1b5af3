/* The keeper: a tiny process between harness and worker, one a worker, `vaemark serve --keeper -- COMMAND`.
 *
 * Nothing that a worker starts may outlive its harness, also not after kill -9 of the harness and also not a grandchild
 * in a session of its own. The harness cannot see to that once it is dead, and a foreign worker cannot be trusted to.
 * The keeper can: it is a child subreaper, so everything below stays below, and it holds one end of a socket (the
 * leash) whose other end the harness alone has. When the leash is dropped, for whatever reason, it kills all that is
 * below. If the keeper itself is killed, its worker gets PR_SET_PDEATHSIG, and the harness ends what it inherits. */
#ifndef HARNESS_WORKER_KEEPER_H
#define HARNESS_WORKER_KEEPER_H

#include <stdint.h>

/* Where the keeper finds its descriptors; the harness puts them there. */
enum { KEEPER_SOCKET_FD = 3, KEEPER_SEGMENT_FD = 4, KEEPER_LEASH_FD = 5, KEEPER_FIRST_FREE_FD = 6 };

enum keeper_event {
    KEEPER_STARTED,     /* `pid` runs */
    KEEPER_EXEC_FAILED, /* `detail` is errno */
    KEEPER_EXITED       /* `detail` is the wait status */
};

/* What the keeper tells: one packet each. */
struct keeper_report {
    int32_t event, pid, detail;
    int32_t rss_peak_kib; /* KEEPER_EXITED */
};

/* Runs the command and keeps it. Returns the keeper's exit code, when nothing is left below. */
int keeper_run(char **command);

#endif
