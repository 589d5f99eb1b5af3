#include <criterion/criterion.h>
#include <stdlib.h>

#include "kernels/cpu/arena.h"
#include "tests/kernels/support_graphs.h"

enum { ALIGNMENT = 64 };

static bool overlap_in_time(const struct arena_block *a, const struct arena_block *b) {
    return a->first_step <= b->last_step && b->first_step <= a->last_step;
}

static bool overlap_in_space(const struct arena_block *a, const struct arena_block *b) {
    return a->size_bytes > 0 && b->size_bytes > 0 && a->offset_bytes < b->offset_bytes + b->size_bytes &&
           b->offset_bytes < a->offset_bytes + a->size_bytes;
}

/* The most bytes alive at one step: no arena can be smaller. */
static size_t least_bytes(const struct arena_block *blocks, size_t count, int32_t steps) {
    size_t most = 0;
    for (int32_t step = 0; step < steps; step++) {
        size_t alive = 0;
        for (size_t i = 0; i < count; i++) {
            alive += blocks[i].first_step <= step && step <= blocks[i].last_step ? blocks[i].size_bytes : 0;
        }
        most = alive > most ? alive : most;
    }
    return most;
}

static size_t random_below(uint64_t *state, size_t limit) {
    return (size_t)((double)(support_random(state) + 1.0f) * 0.5 * (double)limit) % limit;
}

/* Values that are alive together must never share bytes: the one property that all else rests on. */
Test(arena, blocks_alive_together_never_overlap) {
    enum { MOST = 60, STEPS = 40 };
    uint64_t state = 1;
    for (int trial = 0; trial < 500; trial++) {
        struct arena_block blocks[MOST];
        const size_t count = 1 + random_below(&state, MOST);
        size_t size_bytes;
        for (size_t i = 0; i < count; i++) {
            const int32_t first = (int32_t)random_below(&state, STEPS);
            blocks[i] =
                (struct arena_block){.size_bytes = random_below(&state, 5) == 0 ? 0 : random_below(&state, 5000),
                                     .first_step = first,
                                     .last_step = first + (int32_t)random_below(&state, STEPS - (size_t)first)};
        }
        cr_assert(arena_assign(blocks, count, ALIGNMENT, &size_bytes));
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(blocks[i].offset_bytes % ALIGNMENT, 0);
            cr_assert_leq(blocks[i].offset_bytes + blocks[i].size_bytes, size_bytes);
            for (size_t k = 0; k < i; k++) {
                cr_assert(!(overlap_in_time(&blocks[i], &blocks[k]) && overlap_in_space(&blocks[i], &blocks[k])),
                          "trial %d: blocks %zu and %zu overlap", trial, i, k);
            }
        }
        cr_assert_geq(size_bytes, least_bytes(blocks, count, STEPS));
    }
}

/* A chain of values, each alive for two steps, needs room for two: memory is reused. */
Test(arena, chain_needs_two_places) {
    struct arena_block blocks[20];
    size_t size_bytes;
    for (int32_t i = 0; i < 20; i++) {
        blocks[i] = (struct arena_block){.size_bytes = 1024, .first_step = i, .last_step = i + 1};
    }
    cr_assert(arena_assign(blocks, 20, ALIGNMENT, &size_bytes));
    cr_assert_eq(size_bytes, 2048);
}

/* Sizes from outside may be absurd; sums must not wrap into a small arena. */
Test(arena, absurd_sizes_are_refused) {
    struct arena_block blocks[2] = {{.size_bytes = SIZE_MAX - 10}, {.size_bytes = 64}};
    size_t size_bytes;
    cr_assert(!arena_assign(blocks, 2, ALIGNMENT, &size_bytes));
    blocks[0].size_bytes = SIZE_MAX / 2 + 1;
    blocks[1].size_bytes = SIZE_MAX / 2 + 1;
    cr_assert(!arena_assign(blocks, 2, ALIGNMENT, &size_bytes));
}
