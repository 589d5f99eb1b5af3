/* Which kernels a test goes through, and lines to feed them with. */
#ifndef TESTS_KERNELS_SUPPORT_KERNELS_H
#define TESTS_KERNELS_SUPPORT_KERNELS_H

#include "kernels/cpu/kernels.h"

enum { MOST_SETS = 8 };

/* The variants that this machine can run, and the tile of AVX-512 made of whatever it has (support_wide.h); says which
 * it lacks. */
size_t support_runnable_sets(const struct kernel_set **sets);

#define FOR_EACH_SET(kernels)                               \
    const struct kernel_set *sets_[MOST_SETS];              \
    const size_t set_count_ = support_runnable_sets(sets_); \
    for (size_t s_ = 0; s_ < set_count_; s_++)              \
        for (const struct kernel_set *kernels = sets_[s_]; kernels != NULL; kernels = NULL)

/* So many numbers in [-1, 1), aligned as lines are; the caller frees them. */
float *support_random_lines(size_t floats, uint64_t seed);

#endif
