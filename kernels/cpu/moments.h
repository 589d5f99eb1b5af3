/* Statistics of channels in parts: whoever has some lines in cache sums them, and a norm merges the parts. */
#ifndef KERNELS_CPU_MOMENTS_H
#define KERNELS_CPU_MOMENTS_H

#include "kernels/cpu/plan.h"

/* Count, mean and sum of squared deviations of a set. Of a value there are (images, panels, parts, 16) of them. */
struct moments {
    double count, mean, m2;
};

/* Sets are merged in double and in fixed order, so that nothing cancels and threads do not matter (Chan, Golub,
 * LeVeque: "Updating formulae and a pairwise algorithm for computing sample variances", 1979). */
void moments_merge(struct moments *into, double count, double mean, double m2);
/* A panel's 16 columns over rows of count lines, row_stride floats apart. */
void moments_of_lines(struct moments columns[PANEL], const struct kernel_set *kernels, const float *lines, size_t rows,
                      size_t count, size_t row_stride);

/* Where a group norm's value comes out of a convolution that can sum what it stores, it does: the norm then has nothing
 * to read but the parts. */
void moments_fuse(struct plan *plan);

#endif
