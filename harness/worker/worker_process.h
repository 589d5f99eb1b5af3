/* A worker's process as the harness holds it: the keeper's pid, the leash, the captured stderr, and the table that
 * Ctrl-C goes through. */
#ifndef HARNESS_WORKER_WORKER_PROCESS_H
#define HARNESS_WORKER_WORKER_PROCESS_H

#include <stdbool.h>

#include "base/error.h"

enum { WORKER_STDERR_KEPT_BYTES = 2048 };

struct worker_process {
    int keeper_pid; /* 0: gone */
    int worker_pid; /* 0: not known yet */
    int leash_fd, stderr_fd, log_fd;
    bool leash_dropped; /* the keeper's end is closed */
    int exec_errno;     /* not 0: the command could not be started */
    bool exited;        /* the worker has ended; `wait_status` tells how */
    int wait_status;
    int64_t over_limit_bytes; /* not 0: ended by the keeper, because so much was held */
    uint64_t memory_limit_bytes;
    double oom_kills_before;                 /* of the cgroup, when it was started */
    int64_t rss_peak_bytes, rss_bytes;       /* as last read */
    char tail[WORKER_STDERR_KEPT_BYTES + 1]; /* of stderr, zero-terminated */
    size_t tail_length;
};

/* The command line of a worker for a backend's name, as one NULL-terminated list; exec:COMMAND is split like shell
 * words, without expansions. */
enum vaemark_status worker_command_make(const char *backend, char ***command, struct error *error);
void worker_command_free(char **command);

struct worker_process_start {
    char **command;
    int socket_fd, segment_fd; /* the worker's ends; the caller closes its copies */
    const char *stderr_path;   /* may be NULL */
    uint64_t memory_limit_bytes;
};

/* Starts keeper and worker. */
enum vaemark_status worker_process_spawn(struct worker_process *process, const struct worker_process_start *start,
                                         struct error *error);
/* Takes what the keeper has to say, without waiting. */
void worker_process_read_reports(struct worker_process *process);
/* Takes what is in the pipe of stderr, without waiting. */
void worker_process_drain_stderr(struct worker_process *process);
/* Looks at the highest resident set; keeps the largest seen. */
void worker_process_read_rss(struct worker_process *process);
/* Whether the kernel's out-of-memory killer was at work in our cgroup since the start. */
bool worker_process_saw_oom_kill(const struct worker_process *process);
/* Ends the worker and all below it, reaps the keeper, closes every descriptor. May be called twice. */
void worker_process_end(struct worker_process *process);
/* The last line that was not empty in the captured stderr, as plain printable text. */
void worker_process_last_words(const struct worker_process *process, char *text, size_t size_bytes);

#endif
