/* Mean and sum of squared deviations of columns. Two passes over a few lines that stay in cache: the first finds a
 * shift near the mean, the second sums (x - shift) and its square; what the shift misses is put right in double.
 * Nothing cancels, also where |mean| >> deviation. (Chan, Golub, LeVeque: "Algorithms for computing the sample
 * variance".) */
#include "kernels/cpu/isa/isa.h"

ALWAYS_INLINE void column_moments(double *mean, double *m2, const float *in, size_t rows, size_t count,
                                  size_t row_stride) {
    const size_t all = rows * count;
    vec total = {0};
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < count; i++)
            total += vec_load(in + row * row_stride + i * PANEL);
    const vec shift = total * (1.0f / (float)all);
    vec first = {0}, second = {0};
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < count; i++) {
            vec d = vec_load(in + row * row_stride + i * PANEL) - shift;
            first += d;
            second = d * d + second;
        }
    }
    for (size_t lane = 0; lane < VECTOR_LANES; lane++) {
        double d = first[lane];
        mean[lane] = (double)shift[lane] + d / (double)all;
        m2[lane] = (double)second[lane] - d * d / (double)all;
    }
}

void VARIANT(moments)(double *mean, double *m2, const float *in, size_t rows, size_t count, size_t row_stride) {
    for (size_t v = 0; v < PANEL_VECTORS; v++) {
        const size_t lane = v * VECTOR_LANES;
        column_moments(mean + lane, m2 + lane, in + lane, rows, count, row_stride);
    }
}

void VARIANT(square_lines)(float *squares, const float *in, size_t count) {
    for (size_t i = 0; i < count * PANEL; i += VECTOR_LANES) {
        const vec x = vec_load(in + i);
        vec_store(squares + i, x * x + vec_load(squares + i));
    }
}
