#include "tests/kernels/support_kernels.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/kernels/support_graphs.h"
#include "tests/kernels/support_wide.h"

size_t support_runnable_sets(const struct kernel_set **sets) {
    size_t count, runnable = 0;
    const struct kernel_set *const *all = kernel_sets(&count);
    for (size_t i = 0; i < count; i++) {
        if (all[i]->is_supported()) {
            sets[runnable++] = all[i];
        } else {
            fprintf(stderr, "skipped: this processor lacks %s\n", all[i]->name);
        }
    }
    sets[runnable++] = &kernel_set_wide;
    return runnable;
}

float *support_random_lines(size_t floats, uint64_t seed) {
    float *lines = aligned_alloc(LINE_BYTES, (floats * sizeof(float) + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES);
    for (size_t i = 0; i < floats; i++) {
        lines[i] = support_random(&seed);
    }
    return lines;
}
