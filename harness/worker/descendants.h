/* Ending whole trees of processes. Both users are child subreapers: whatever loses its parent, also after setsid() or a
 * double fork, becomes their child, so a tree is gone when the last child is reaped. */
#ifndef HARNESS_WORKER_DESCENDANTS_H
#define HARNESS_WORKER_DESCENDANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Kills every descendant of the calling process and reaps until none is left. For the keeper, which owns them all. */
void descendants_end_all(void);

/* Every descendant of the calling process, at most `capacity`, by going through all of /proc. */
size_t descendants_list(pid_t *pids, size_t capacity);

/* Kills the trees below those children of the caller that left its session and for which `is_known` is false, and reaps
 * them. For the harness, when a keeper died and what it watched became ours. Gives up after two seconds. */
void descendants_end_strays(bool (*is_known)(pid_t pid));

#endif
