#include "harness/worker/host.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "harness/worker/resident.h"
#include "harness/worker/segment.h"

/* Records lie apart from the memory they describe, so that a stray write cannot forge them. */
struct allocation {
    struct allocation *older, *newer;
    unsigned char *block;  /* what is freed */
    unsigned char *memory; /* what the decoder got */
    size_t size_bytes;
    enum vaemark_memory_class memory_class;
};

struct host {
    struct vaemark_host abi;
    struct host_counts counts;
    struct allocation *oldest, *newest;
    uint64_t scratch_bytes; /* all but weights, now */
    struct host_limit limit;
    bool broken;
};

static void count_allocation(struct host *host, const struct allocation *allocation) {
    struct host_counts *counts = &host->counts;
    enum vaemark_memory_class class = allocation->memory_class;
    counts->current_bytes[class] += allocation->size_bytes;
    counts->allocated_bytes[class] += allocation->size_bytes;
    if (counts->current_bytes[class] > counts->peak_bytes[class])
        counts->peak_bytes[class] = counts->current_bytes[class];
    if (class != VAEMARK_MEMORY_WEIGHTS)
        host->scratch_bytes += allocation->size_bytes;
    if (host->scratch_bytes > counts->peak_total_bytes)
        counts->peak_total_bytes = host->scratch_bytes;
}

/* The memory behind a front guard that keeps the alignment asked for; NULL when it does not fit or memory is short. */
static bool place_block(struct allocation *allocation, size_t alignment_bytes) {
    size_t front_bytes = alignment_bytes > HOST_GUARD_BYTES ? alignment_bytes : HOST_GUARD_BYTES;
    size_t total_bytes;
    if (__builtin_add_overflow(allocation->size_bytes, front_bytes + HOST_GUARD_BYTES, &total_bytes))
        return false;
    void *block = NULL;
    if (posix_memalign(&block, alignment_bytes < sizeof(void *) ? sizeof(void *) : alignment_bytes, total_bytes) != 0)
        return false;
    allocation->block = block;
    allocation->memory = allocation->block + front_bytes;
    guard_fill(allocation->memory - HOST_GUARD_BYTES, HOST_GUARD_BYTES);
    guard_fill(allocation->memory + allocation->size_bytes, HOST_GUARD_BYTES);
    return true;
}

static bool fits(const struct host *host, size_t size_bytes) {
    uint64_t live_bytes = host->scratch_bytes + host->counts.current_bytes[VAEMARK_MEMORY_WEIGHTS];
    const struct host_limit *limit = &host->limit;
    const size_t large_bytes = 1 << 20;
    if (limit->live_bytes == 0)
        return true;
    if (live_bytes > limit->live_bytes || size_bytes > limit->live_bytes - live_bytes)
        return false;
    if (limit->process_bytes == 0 || size_bytes < large_bytes || live_bytes + size_bytes < limit->live_bytes / 2)
        return true;
    malloc_trim(0);
    return resident_of(getpid(), limit->segment_size_bytes) + size_bytes <= limit->process_bytes;
}

static void *host_allocate(void *user, size_t size_bytes, size_t alignment_bytes,
                           enum vaemark_memory_class memory_class) {
    struct host *host = user;
    if ((unsigned)memory_class >= VAEMARK_MEMORY_CLASS_COUNT || alignment_bytes == 0 ||
        alignment_bytes > (size_t)1 << 30 || (alignment_bytes & (alignment_bytes - 1)) != 0 || !fits(host, size_bytes))
        return NULL;
    struct allocation *allocation = malloc(sizeof *allocation);
    if (!allocation)
        return NULL;
    *allocation = (struct allocation){.older = host->newest, .size_bytes = size_bytes, .memory_class = memory_class};
    if (!place_block(allocation, alignment_bytes)) {
        free(allocation);
        return NULL;
    }
    if (host->newest)
        host->newest->newer = allocation;
    else
        host->oldest = allocation;
    host->newest = allocation;
    count_allocation(host, allocation);
    return allocation->memory;
}

static bool allocation_intact(const struct allocation *allocation) {
    return guard_intact(allocation->memory - HOST_GUARD_BYTES, HOST_GUARD_BYTES) &&
           guard_intact(allocation->memory + allocation->size_bytes, HOST_GUARD_BYTES);
}

static void drop(struct host *host, struct allocation *allocation) {
    if (!allocation_intact(allocation))
        host->broken = true;
    host->counts.current_bytes[allocation->memory_class] -= allocation->size_bytes;
    if (allocation->memory_class != VAEMARK_MEMORY_WEIGHTS)
        host->scratch_bytes -= allocation->size_bytes;
    *(allocation->older ? &allocation->older->newer : &host->oldest) = allocation->newer;
    *(allocation->newer ? &allocation->newer->older : &host->newest) = allocation->older;
    free(allocation->block);
    free(allocation);
}

static void host_release(void *user, void *memory) {
    struct host *host = user;
    if (!memory)
        return;
    struct allocation *allocation = host->newest;
    while (allocation && allocation->memory != memory)
        allocation = allocation->older;
    if (allocation)
        drop(host, allocation);
    else
        host->broken = true;
}

struct host *host_create(void) {
    struct host *host = calloc(1, sizeof *host);
    if (host)
        host->abi = (struct vaemark_host){
            .struct_size = sizeof host->abi, .user = host, .allocate = host_allocate, .release = host_release};
    return host;
}

void host_free(struct host *host) {
    if (!host)
        return;
    for (struct allocation *allocation = host->newest, *older; allocation; allocation = older) {
        older = allocation->older;
        free(allocation->block);
        free(allocation);
    }
    free(host);
}

const struct vaemark_host *host_abi(const struct host *host) {
    return &host->abi;
}

void host_set_limit(struct host *host, const struct host_limit *limit) {
    host->limit = *limit;
}

void host_read_counts(const struct host *host, struct host_counts *counts) {
    *counts = host->counts;
}

void host_reset_peaks(struct host *host) {
    for (size_t i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++)
        host->counts.peak_bytes[i] = host->counts.current_bytes[i];
    host->counts.peak_total_bytes = host->scratch_bytes;
}

bool host_check_guards(struct host *host) {
    for (const struct allocation *a = host->oldest; a && !host->broken; a = a->newer)
        if (!allocation_intact(a))
            host->broken = true;
    return !host->broken;
}

enum vaemark_status host_hash_weights(const struct host *host, char hex[65], struct error *error) {
    struct hash *hash = hash_begin();
    if (!hash)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for hashing the weights");
    for (const struct allocation *a = host->oldest; a; a = a->newer)
        if (a->memory_class == VAEMARK_MEMORY_WEIGHTS)
            hash_update(hash, a->memory, a->size_bytes);
    hash_finish(hash, hex);
    return VAEMARK_OK;
}
