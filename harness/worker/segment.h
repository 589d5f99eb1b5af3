/* The shared memory of a worker: one sealed memfd in which the harness places tensors, each with guard bands before and
 * behind, so that a write outside is seen. The harness alone lays out; the worker gets offsets. */
#ifndef HARNESS_WORKER_SEGMENT_H
#define HARNESS_WORKER_SEGMENT_H

#include <stdbool.h>

#include "base/error.h"

enum { SEGMENT_GUARD_BYTES = 4096, SEGMENT_ALIGNMENT_BYTES = 64 };

struct segment;

/* A tensor placed in the segment. */
struct segment_tensor {
    char name[64];
    enum vaemark_dtype dtype;
    int32_t rank;
    int64_t shape[VAEMARK_MAX_RANK];
    size_t offset_bytes, size_bytes;
};

/* A memfd of that size, sealed against shrinking and growing. */
enum vaemark_status segment_create(size_t size_bytes, struct segment **segment, struct error *error);
void segment_free(struct segment *segment);
int segment_fd(const struct segment *segment);
size_t segment_size_bytes(const struct segment *segment);

/* How many bytes a tensor takes with its guards: sum these to size a segment. */
size_t segment_footprint_bytes(size_t tensor_size_bytes);

/* Places the next tensor: fills in offset and size, writes the guards. VAEMARK_OUT_OF_MEMORY when full. */
enum vaemark_status segment_place(struct segment *segment, struct segment_tensor *tensor, struct error *error);
void *segment_data(const struct segment *segment, const struct segment_tensor *tensor);
/* Forgets all placements. */
void segment_reset(struct segment *segment);
/* Fills a tensor with the poison that no decoder writes: every element a NaN of one odd bit pattern (integers:
 * 0x7FC0DEAD). */
void segment_poison(struct segment *segment, const struct segment_tensor *tensor);
/* How many elements still hold poison. */
int64_t segment_count_poison(const struct segment *segment, const struct segment_tensor *tensor);
/* The same for memory outside a segment: a worker's image buffer. */
void poison_fill(void *data, enum vaemark_dtype dtype, int64_t element_count);
int64_t poison_count(const void *data, enum vaemark_dtype dtype, int64_t element_count);

/* Guard bands: bytes of a pattern that depends on their place, so that a shifted copy does not pass. */
void guard_fill(void *guard, size_t size_bytes);
bool guard_intact(const void *guard, size_t size_bytes);
/* True when every guard band is as it was; else `where` names the tensor and the side. */
bool segment_guards_intact(const struct segment *segment, char *where, size_t size_bytes);

#endif
