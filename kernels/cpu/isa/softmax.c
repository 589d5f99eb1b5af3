/* A block of a streamed softmax (Milakov, Gimelshein: "Online normalizer calculation for softmax"): rows keep a running
 * maximum and sum, so that nothing grows with the square of the tokens. A NaN among the scores makes the row's sum NaN.
 */
#include <math.h>

#include "kernels/cpu/isa/isa.h"

/* Columns of the last panel beyond the keys are -inf before and 0 after. */
static void mask_columns(float *scores, size_t rows, size_t key_count) {
    size_t panel = key_count / PANEL, used = key_count % PANEL;
    if (used == 0)
        return;
    for (size_t row = 0; row < rows; row++)
        for (size_t column = used; column < PANEL; column++)
            scores[(panel * rows + row) * PANEL + column] = -INFINITY;
}

ALWAYS_INLINE float row_maximum(const float *scores, size_t rows, size_t panels) {
    vec greatest = vec_set(-INFINITY);
    for (size_t panel = 0; panel < panels; panel++)
        for (size_t v = 0; v < PANEL_VECTORS; v++) {
            vec x = vec_load(scores + panel * rows * PANEL + v * VECTOR_LANES);
            greatest = vec_select(x > greatest, x, greatest);
        }
    float maximum = -INFINITY;
    for (size_t lane = 0; lane < VECTOR_LANES; lane++)
        maximum = greatest[lane] > maximum ? greatest[lane] : maximum;
    return maximum;
}

ALWAYS_INLINE float exponentiate_row(float *scores, float maximum, size_t rows, size_t panels) {
    vec total = {0};
    for (size_t panel = 0; panel < panels; panel++)
        for (size_t v = 0; v < PANEL_VECTORS; v++) {
            float *p = scores + panel * rows * PANEL + v * VECTOR_LANES;
            vec x = vec_load(p);
            ivec masked = x == -INFINITY;
            x = vec_select(masked, (vec){0}, vec_exp(x - maximum));
            vec_store(p, x);
            total += x;
        }
    float sum = 0.0f;
    for (size_t lane = 0; lane < VECTOR_LANES; lane++)
        sum += total[lane];
    return sum;
}

void VARIANT(softmax_block)(float *scores, float *maximum, float *sum, float *scale, size_t rows, size_t key_count) {
    const size_t panels = (key_count + PANEL - 1) / PANEL;
    mask_columns(scores, rows, key_count);
    for (size_t row = 0; row < rows; row++) {
        float *line = scores + row * PANEL;
        float greatest = row_maximum(line, rows, panels);
        if (!(greatest > maximum[row]))
            greatest = maximum[row];
        /* Before the first block the maximum is -inf, and sums and outputs are 0. */
        scale[row] = maximum[row] == greatest ? 1.0f : expf(maximum[row] - greatest);
        sum[row] = sum[row] * scale[row] + exponentiate_row(line, greatest, rows, panels);
        maximum[row] = greatest;
    }
}

void VARIANT(scale_rows)(float *lines, const float *scale, size_t rows, size_t panels) {
    for (size_t panel = 0; panel < panels; panel++)
        for (size_t row = 0; row < rows; row++) {
            float *line = lines + (panel * rows + row) * PANEL;
            for (size_t v = 0; v < PANEL_VECTORS; v++)
                vec_store(line + v * VECTOR_LANES, vec_load(line + v * VECTOR_LANES) * scale[row]);
        }
}
