/* The one inner loop of convolution, linear and attention: a row of weights times a panel of columns.
 *
 * A panel holds PRODUCT_DEPTH rows of up to PRODUCT_WIDTH columns (64 KiB of floats, so it stays in a core's cache
 * while all the output channels read it). The inner loop runs over columns, which makes it a loop that every compiler
 * vectorises, and each output element sums its products in the order of k, four at a time, block by block: the order
 * depends on the depth alone, never on threads, batch or image size. */
#ifndef REFERENCE_OPS_PRODUCT_H
#define REFERENCE_OPS_PRODUCT_H

#include "reference/ops/real.h"

enum { PRODUCT_DEPTH = 256, PRODUCT_WIDTH = 64 };

/* Columns from one row of the panel to the next. Narrow panels (1x1 images, (N,C) linears) are not filled up. */
static inline int64_t product_stride(int64_t width) {
    return width <= 8 ? 8 : PRODUCT_WIDTH;
}

/* sums[t] = sum over k of weights[k] * panel[k * stride + t]; columns from width to stride are computed for nothing. */
static inline void product_row(real *restrict sums, const real *restrict weights, const real *restrict panel,
                               int64_t depth, int64_t stride) {
    int64_t k = 0;

    for (int64_t t = 0; t < stride; t++) {
        sums[t] = 0;
    }
    for (; k + 4 <= depth; k += 4) {
        const real w0 = weights[k], w1 = weights[k + 1], w2 = weights[k + 2], w3 = weights[k + 3];
        const real *restrict x0 = panel + k * stride, *restrict x1 = x0 + stride;
        const real *restrict x2 = x1 + stride, *restrict x3 = x2 + stride;
        for (int64_t t = 0; t < stride; t++) {
            sums[t] += w0 * x0[t] + w1 * x1[t] + w2 * x2[t] + w3 * x3[t];
        }
    }
    for (; k < depth; k++) {
        for (int64_t t = 0; t < stride; t++) {
            sums[t] += weights[k] * panel[k * stride + t];
        }
    }
}

/* Into how many chunks to cut `rows` output rows so that `tiles` tiles of them keep all threads busy. */
static inline int64_t product_chunks(int64_t rows, int64_t tiles, int threads) {
    const int64_t wanted = (4 * (int64_t)threads + tiles - 1) / tiles, most = (rows + 15) / 16;

    return wanted < 1 ? 1 : min_int64(wanted, most);
}

#endif
