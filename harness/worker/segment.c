#include "harness/worker/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reference/tensor.h"

struct segment {
    int fd;
    unsigned char *memory;
    size_t size_bytes, used_bytes;
    struct segment_tensor *placed;
    size_t placed_count, placed_capacity;
};

/* One bit pattern a dtype, stored little end first; every float is a quiet NaN with an odd payload. */
static const uint64_t poison_patterns[VAEMARK_DTYPE_COUNT] = {
    [VAEMARK_F32] = 0x7FC0DEAD, [VAEMARK_F64] = 0x7FF8DEAD7FC0DEAD, [VAEMARK_F16] = 0x7EAD,
    [VAEMARK_BF16] = 0x7FED,    [VAEMARK_I32] = 0x7FC0DEAD,         [VAEMARK_I64] = 0x7FC0DEAD,
};

static unsigned char guard_byte(size_t index) {
    return (unsigned char)(0xA5u ^ (index * 37u));
}

void guard_fill(void *guard, size_t size_bytes) {
    unsigned char *bytes = guard;
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = guard_byte(i);
}

bool guard_intact(const void *guard, size_t size_bytes) {
    const unsigned char *bytes = guard;
    for (size_t i = 0; i < size_bytes; i++)
        if (bytes[i] != guard_byte(i))
            return false;
    return true;
}

void poison_fill(void *data, enum vaemark_dtype dtype, int64_t element_count) {
    size_t element_bytes = dtype_size_bytes(dtype);
    unsigned char *bytes = data;
    for (int64_t i = 0; i < element_count; i++)
        memcpy(bytes + (size_t)i * element_bytes, &poison_patterns[dtype], element_bytes);
}

int64_t poison_count(const void *data, enum vaemark_dtype dtype, int64_t element_count) {
    size_t element_bytes = dtype_size_bytes(dtype);
    const unsigned char *bytes = data;
    int64_t count = 0;
    for (int64_t i = 0; i < element_count; i++)
        count += memcmp(bytes + (size_t)i * element_bytes, &poison_patterns[dtype], element_bytes) == 0;
    return count;
}

static size_t round_up(size_t size_bytes) {
    return (size_bytes + SEGMENT_ALIGNMENT_BYTES - 1) / SEGMENT_ALIGNMENT_BYTES * SEGMENT_ALIGNMENT_BYTES;
}

/* The guard behind a tensor starts at its very last byte and reaches to the end of its footprint. */
static size_t guard_behind_bytes(size_t tensor_size_bytes) {
    return round_up(tensor_size_bytes) - tensor_size_bytes + SEGMENT_GUARD_BYTES;
}

size_t segment_footprint_bytes(size_t tensor_size_bytes) {
    if (tensor_size_bytes > SIZE_MAX - 2 * SEGMENT_GUARD_BYTES - SEGMENT_ALIGNMENT_BYTES)
        return SIZE_MAX;
    return SEGMENT_GUARD_BYTES + tensor_size_bytes + guard_behind_bytes(tensor_size_bytes);
}

static enum vaemark_status segment_map(struct segment *segment, struct error *error) {
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    segment->fd = memfd_create("vaemark-segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (segment->fd < 0 || ftruncate(segment->fd, (off_t)segment->size_bytes) != 0 ||
        fcntl(segment->fd, F_ADD_SEALS, seals) != 0)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no shared memory of %zu bytes for a worker: %s",
                         segment->size_bytes, strerror(errno));
    void *memory = mmap(NULL, segment->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd, 0);
    if (memory == MAP_FAILED)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "cannot map %zu bytes of shared memory: %s", segment->size_bytes,
                         strerror(errno));
    segment->memory = memory;
    /* A process forked later must not keep this memory alive behind our back. */
    madvise(memory, segment->size_bytes, MADV_DONTFORK);
    return VAEMARK_OK;
}

enum vaemark_status segment_create(size_t size_bytes, struct segment **segment, struct error *error) {
    *segment = NULL;
    if (size_bytes == 0 || size_bytes > (size_t)INT64_MAX)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "a segment of %zu bytes is not possible", size_bytes);
    struct segment *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a segment");
    made->fd = -1;
    made->size_bytes = size_bytes;
    enum vaemark_status status = segment_map(made, error);
    if (status != VAEMARK_OK) {
        segment_free(made);
        return status;
    }
    *segment = made;
    return VAEMARK_OK;
}

void segment_free(struct segment *segment) {
    if (!segment)
        return;
    if (segment->memory)
        munmap(segment->memory, segment->size_bytes);
    if (segment->fd >= 0)
        close(segment->fd);
    free(segment->placed);
    free(segment);
}

int segment_fd(const struct segment *segment) {
    return segment->fd;
}

size_t segment_size_bytes(const struct segment *segment) {
    return segment->size_bytes;
}

static enum vaemark_status placed_append(struct segment *segment, const struct segment_tensor *tensor,
                                         struct error *error) {
    if (segment->placed_count == segment->placed_capacity) {
        size_t capacity = segment->placed_capacity ? 2 * segment->placed_capacity : 16;
        struct segment_tensor *grown = realloc(segment->placed, capacity * sizeof *grown);
        if (!grown)
            return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the list of tensors");
        segment->placed = grown;
        segment->placed_capacity = capacity;
    }
    segment->placed[segment->placed_count++] = *tensor;
    return VAEMARK_OK;
}

/* The tensor's size from its dtype and shape; every shape of outside is checked here once more. */
static enum vaemark_status tensor_size(const struct segment_tensor *tensor, size_t *size_bytes, struct error *error) {
    if (tensor->rank < 1 || tensor->rank > VAEMARK_MAX_RANK || (unsigned)tensor->dtype >= VAEMARK_DTYPE_COUNT)
        return error_set_at(error, VAEMARK_INVALID_ARGUMENT, tensor->name, "rank %d or dtype %d is out of range",
                            tensor->rank, (int)tensor->dtype);
    struct shape shape = {.rank = tensor->rank};
    memcpy(shape.dims, tensor->shape, sizeof shape.dims);
    int64_t elements = shape_element_count(&shape);
    if (elements < 1 || __builtin_mul_overflow((size_t)elements, dtype_size_bytes(tensor->dtype), size_bytes))
        return error_set_at(error, VAEMARK_INVALID_ARGUMENT, tensor->name, "empty, or too many elements");
    return VAEMARK_OK;
}

enum vaemark_status segment_place(struct segment *segment, struct segment_tensor *tensor, struct error *error) {
    struct segment_tensor place = *tensor;
    enum vaemark_status status = tensor_size(&place, &place.size_bytes, error);
    if (status != VAEMARK_OK)
        return status;
    size_t footprint_bytes = segment_footprint_bytes(place.size_bytes);
    if (footprint_bytes > segment->size_bytes - segment->used_bytes)
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, tensor->name,
                            "%zu bytes do not fit into the shared memory: %zu of %zu are in use", footprint_bytes,
                            segment->used_bytes, segment->size_bytes);
    place.offset_bytes = segment->used_bytes + SEGMENT_GUARD_BYTES;
    status = placed_append(segment, &place, error);
    if (status != VAEMARK_OK)
        return status;
    guard_fill(segment->memory + segment->used_bytes, SEGMENT_GUARD_BYTES);
    guard_fill(segment->memory + place.offset_bytes + place.size_bytes, guard_behind_bytes(place.size_bytes));
    segment->used_bytes += footprint_bytes;
    *tensor = place;
    return VAEMARK_OK;
}

void *segment_data(const struct segment *segment, const struct segment_tensor *tensor) {
    return segment->memory + tensor->offset_bytes;
}

void segment_reset(struct segment *segment) {
    segment->used_bytes = 0;
    segment->placed_count = 0;
}

static int64_t element_count(const struct segment_tensor *tensor) {
    return (int64_t)(tensor->size_bytes / dtype_size_bytes(tensor->dtype));
}

void segment_poison(struct segment *segment, const struct segment_tensor *tensor) {
    poison_fill(segment_data(segment, tensor), tensor->dtype, element_count(tensor));
}

int64_t segment_count_poison(const struct segment *segment, const struct segment_tensor *tensor) {
    return poison_count(segment_data(segment, tensor), tensor->dtype, element_count(tensor));
}

bool segment_guards_intact(const struct segment *segment, char *where, size_t size_bytes) {
    for (size_t i = 0; i < segment->placed_count; i++) {
        const struct segment_tensor *tensor = &segment->placed[i];
        const unsigned char *data = segment_data(segment, tensor);
        const char *side = NULL;
        if (!guard_intact(data - SEGMENT_GUARD_BYTES, SEGMENT_GUARD_BYTES))
            side = "before the start";
        else if (!guard_intact(data + tensor->size_bytes, guard_behind_bytes(tensor->size_bytes)))
            side = "past the end";
        if (side) {
            snprintf(where, size_bytes, "%s of tensor '%s'", side, tensor->name);
            return false;
        }
    }
    if (size_bytes > 0)
        where[0] = '\0';
    return true;
}
