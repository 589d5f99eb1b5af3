/* The arena: one block of memory for all values of a plan, places assigned by lifetime before the run. */
#ifndef KERNELS_CPU_ARENA_H
#define KERNELS_CPU_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value that must keep its bytes from the step that writes it to the last that reads it, both included. */
struct arena_block {
    size_t size_bytes;
    int32_t first_step, last_step;
    size_t offset_bytes; /* result */
};

/* Assigns offsets (multiples of alignment_bytes) so that blocks alive together never overlap; *size_bytes is the
 * arena's size. Largest first, each into the tightest gap that its lifetime leaves ("greedy by size", Pisarchyk and
 * Lee, "Efficient memory management for deep neural net inference"). Blocks of size 0 get offset 0. False where memory
 * is short or the sum of sizes overflows. */
bool arena_assign(struct arena_block *blocks, size_t count, size_t alignment_bytes, size_t *size_bytes);

#endif
