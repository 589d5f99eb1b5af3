#include "kernels/cpu/arena.h"

#include <stdlib.h>

struct placement {
    struct arena_block *block;
    size_t index;        /* keeps the order of equal sizes fixed */
    size_t rounded_size; /* a multiple of the alignment */
};

static int compare_sizes(const void *a, const void *b) {
    const struct placement *x = a, *y = b;
    if (x->rounded_size != y->rounded_size) {
        return x->rounded_size < y->rounded_size ? 1 : -1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static bool alive_together(const struct arena_block *a, const struct arena_block *b) {
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

/* The tightest gap between the placed blocks that are alive together with `wanted`, or the end of them. `placed` is
 * sorted by offset. */
static size_t find_gap(const struct placement *wanted, const struct placement *const *placed, size_t placed_count) {
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (size_t i = 0; i < placed_count; i++) {
        const struct arena_block *other = placed[i]->block;
        if (!alive_together(wanted->block, other)) {
            continue;
        }
        if (other->offset_bytes > end) {
            size_t gap = other->offset_bytes - end;
            if (gap >= wanted->rounded_size && gap < best_gap) {
                best = end;
                best_gap = gap;
            }
        }
        size_t other_end = other->offset_bytes + placed[i]->rounded_size;
        end = other_end > end ? other_end : end;
    }
    return best != SIZE_MAX ? best : end;
}

static void insert_by_offset(const struct placement **placed, size_t placed_count, const struct placement *added) {
    size_t at = placed_count;
    while (at > 0 && placed[at - 1]->block->offset_bytes > added->block->offset_bytes) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = added;
}

/* False if rounding up or the sum of all sizes, which bounds every offset, overflows. */
static bool round_sizes(struct placement *order, struct arena_block *blocks, size_t count, size_t alignment) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t rounded;
        if (__builtin_add_overflow(blocks[i].size_bytes, alignment - 1, &rounded)) {
            return false;
        }
        rounded = rounded / alignment * alignment;
        if (__builtin_add_overflow(total, rounded, &total)) {
            return false;
        }
        order[i] = (struct placement){.block = &blocks[i], .index = i, .rounded_size = rounded};
    }
    return true;
}

bool arena_assign(struct arena_block *blocks, size_t count, size_t alignment_bytes, size_t *size_bytes) {
    struct placement *order = calloc(count + 1, sizeof *order);
    const struct placement **placed = calloc(count + 1, sizeof *placed);
    bool assigned = false;
    size_t placed_count = 0;

    *size_bytes = 0;
    if (order == NULL || placed == NULL || !round_sizes(order, blocks, count, alignment_bytes)) {
        goto cleanup;
    }
    qsort(order, count, sizeof *order, compare_sizes);
    for (size_t i = 0; i < count; i++) {
        struct arena_block *block = order[i].block;
        if (order[i].rounded_size == 0) {
            block->offset_bytes = 0;
            continue;
        }
        block->offset_bytes = find_gap(&order[i], placed, placed_count);
        insert_by_offset(placed, placed_count++, &order[i]);
        size_t end = block->offset_bytes + order[i].rounded_size;
        *size_bytes = end > *size_bytes ? end : *size_bytes;
    }
    assigned = true;
cleanup:
    free(placed);
    free(order);
    return assigned;
}
