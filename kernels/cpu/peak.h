/* Loops that do nothing but reach a limit of this processor: multiply-adds from registers, reads, copies. Not kernels
 * of a decoder, but what those are held against. Compiled once for each instruction set like the kernels (isa/peak.c).
 */
#ifndef KERNELS_CPU_PEAK_H
#define KERNELS_CPU_PEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peak_kernels {
    const char *name;           /* as the kernel table has it: "avx2" */
    int lanes;                  /* floats a vector */
    int accumulators;           /* independent chains of the FMA loop */
    bool fused;                 /* a multiply-add is one instruction; else two */
    bool (*is_supported)(void); /* by this processor; the kernel table's */

    /* `iterations` x `accumulators` x `lanes` multiply-adds on normal numbers; the result depends on all of them. */
    double (*multiply_add)(size_t iterations, double seed);
    /* The sum of count floats, a multiple of 256; `in` is 64-byte aligned. */
    double (*read)(const float *in, size_t count);
    /* The same number of floats from one place to another, not past the cache. */
    void (*copy)(float *out, const float *in, size_t count);
};

/* In the kernel table's order, best first, without amx, whose floats are AVX-512's; `*count` of them. */
const struct peak_kernels *const *peak_kernel_sets(size_t *count);

/* `steps` operations of one cycle each, each waiting for the one before: their time is the clock's. */
uint64_t peak_chain(uint64_t steps, uint64_t seed);

#endif
