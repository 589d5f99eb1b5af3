/* What the processes below this one hold in memory, for the keeper, which looks every few milliseconds: so it must cost
 * little. Counted are anonymous memory, shared memory and what of either was swapped out. Pages of files (weights that
 * are mapped) are not: the kernel can drop them. Of shared memory each process is allowed the worker's segment, which
 * is the harness's. What processes share after a fork counts for each of them. */
#ifndef HARNESS_WORKER_RESIDENT_H
#define HARNESS_WORKER_RESIDENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RESIDENT_MAX_PROCESSES = 1024 };

struct resident {
    pid_t pids[RESIDENT_MAX_PROCESSES];
    size_t count;
    int64_t listed_ns;         /* when the processes were looked for last; 0: never */
    size_t segment_size_bytes; /* allowed to each */
};

/* The sum over all descendants of the calling process. */
uint64_t resident_below(struct resident *resident);
/* Of one process; 0 when it is gone. */
uint64_t resident_of(pid_t pid, size_t segment_size_bytes);

#endif
