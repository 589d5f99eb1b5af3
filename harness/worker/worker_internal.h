/* What the worker*.c files share. */
#ifndef HARNESS_WORKER_WORKER_INTERNAL_H
#define HARNESS_WORKER_WORKER_INTERNAL_H

#include "harness/worker/wire.h"
#include "harness/worker/worker.h"
#include "harness/worker/worker_process.h"

struct worker {
    struct worker_process process;
    int socket_fd;
    struct line_buffer input;
    struct segment *segment;
    struct worker_hello hello;
    struct worker_fate fate;
    double timeout_s;
    int64_t next_id;
    bool external;        /* exec: what it says of its memory is its word */
    bool command_missing; /* it could not be started at all: no fate, but unavailable */
};

/* $VAEMARK_BINARY, else our own binary. Allocated; NULL if unknown. */
char *worker_binary_path(void);

/* Sends a message and waits for its answer until the deadline. Takes `request` over (which may be NULL: no fields);
 * *answer is the caller's to release. A typed error of the worker is returned as it came. When the worker is gone, or
 * goes in this call, its fate is set, all its processes are ended, and the error is VAEMARK_INTERNAL with the reason
 * (VAEMARK_OUT_OF_MEMORY, where that is its fate). */
enum vaemark_status worker_request(struct worker *worker, const char *type, json_t *request, json_t **answer,
                                   struct error *error);

/* For an answer that reads well as JSON but not as an answer: `error` holds what was wrong with it. Sets the fate,
 * ends the worker, puts the reason into `error`. */
enum vaemark_status worker_break(struct worker *worker, const char *type, struct error *error);

/* Fate: the first one stays. */
void worker_set_fate(struct worker *worker, enum worker_fate_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Exits of its own within the time, and not by our hand. */
void worker_wait_exit(struct worker *worker, int64_t deadline_ns);

#endif
