/* The host's allocator, inside a worker: where a decoder gets its memory. It counts bytes by class and puts a guard
 * band before and behind each allocation, looked at on release and whenever memory is asked about.
 * Used by the decoding thread alone. */
#ifndef HARNESS_WORKER_HOST_H
#define HARNESS_WORKER_HOST_H

#include <stdbool.h>

#include "base/error.h"

enum { HOST_GUARD_BYTES = 128 };

struct host_counts {
    uint64_t current_bytes[VAEMARK_MEMORY_CLASS_COUNT];
    uint64_t peak_bytes[VAEMARK_MEMORY_CLASS_COUNT];
    uint64_t allocated_bytes[VAEMARK_MEMORY_CLASS_COUNT]; /* ever */
    uint64_t peak_total_bytes;                            /* of all but weights together */
};

struct host;

struct host *host_create(void); /* NULL when memory is short */
/* Frees the decoder's leftovers, too: what it forgot must not hide behind a sanitizer's report of ours. */
void host_free(struct host *host);
/* The callbacks for a decoder; valid as long as the host. */
const struct vaemark_host *host_abi(const struct host *host);

/* From now on what would make more than that live at once is refused: the decoder gets NULL. 0: no limit. Past half of
 * it the process itself is looked at before large allocations, and is not to hold more than `process_limit_bytes`: what
 * the decoder has elsewhere, and what the heap did not give back, count, too. */
struct host_limit {
    uint64_t live_bytes, process_bytes; /* 0: none */
    size_t segment_size_bytes;          /* shared memory that does not count (resident.h) */
};
void host_set_limit(struct host *host, const struct host_limit *limit);

void host_read_counts(const struct host *host, struct host_counts *counts);
/* Peaks start again from what is allocated now. */
void host_reset_peaks(struct host *host);
/* False for ever after a guard band was found broken, or memory was released that was not allocated. */
bool host_check_guards(struct host *host);
/* SHA-256 over the bytes of all live allocations of class weights, oldest first. */
enum vaemark_status host_hash_weights(const struct host *host, char hex[65], struct error *error);

#endif
