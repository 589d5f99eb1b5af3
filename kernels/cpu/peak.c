#include "kernels/cpu/peak.h"

extern const struct peak_kernels peak_kernels_avx512, peak_kernels_avx2, peak_kernels_portable;

static const struct peak_kernels *const sets[] = {
#if defined(CPU_X86_64)
    &peak_kernels_avx512,
    &peak_kernels_avx2,
#endif
    &peak_kernels_portable,
};

const struct peak_kernels *const *peak_kernel_sets(size_t *count) {
    *count = sizeof sets / sizeof sets[0];
    return sets;
}

/* An exclusive or of two registers takes one cycle on every processor of interest. (Additions of small constants take
 * none on some.) The empty statement keeps the compiler from working out the end. */
uint64_t peak_chain(uint64_t steps, uint64_t seed) {
    uint64_t x = seed, mask = seed | 1;
    for (uint64_t i = 0; i < steps; i += 32) {
#pragma GCC unroll 32
        for (int k = 0; k < 32; k++) {
            x ^= mask;
            __asm__ volatile("" : "+r"(x), "+r"(mask));
        }
    }
    return x;
}
