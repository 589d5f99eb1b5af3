/* Mean and sum of squared deviations of columns. Two passes over a few lines that stay in cache: the first finds a
 * shift near the mean, the second sums (x - shift) and its square; what the shift misses is put right in double.
 * Nothing cancels, also where |mean| >> deviation. (Chan, Golub, LeVeque: "Algorithms for computing the sample
 * variance".) */
#include "kernels/cpu/isa/isa.h"

ALWAYS_INLINE void column_moments(double *mean, double *m2, const float *in, size_t count) {
    vec total = {0};
    for (size_t i = 0; i < count; i++)
        total += vec_load(in + i * PANEL);
    const vec shift = total * (1.0f / (float)count);
    vec first = {0}, second = {0};
    for (size_t i = 0; i < count; i++) {
        vec d = vec_load(in + i * PANEL) - shift;
        first += d;
        second = d * d + second;
    }
    for (size_t lane = 0; lane < VECTOR_LANES; lane++) {
        double d = first[lane];
        mean[lane] = (double)shift[lane] + d / (double)count;
        m2[lane] = (double)second[lane] - d * d / (double)count;
    }
}

void VARIANT(moments)(double *mean, double *m2, const float *in, size_t count) {
    for (size_t v = 0; v < PANEL_VECTORS; v++) {
        const size_t lane = v * VECTOR_LANES;
        column_moments(mean + lane, m2 + lane, in + lane, count);
    }
}

/* Of a line in single precision, four sums side by side in every variant; what is summed over many lines is double. */
void VARIANT(square_lines)(double *sums, const float *in, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float part[PANEL / 4] = {0};
        for (size_t lane = 0; lane < PANEL; lane++) {
            part[lane % 4] += in[i * PANEL + lane] * in[i * PANEL + lane];
        }
        sums[i] += ((double)part[0] + (double)part[1]) + ((double)part[2] + (double)part[3]);
    }
}
