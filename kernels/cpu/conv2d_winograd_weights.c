/* Weights of Winograd's convolutions: G g G^T of each pair of channels, computed from the packed form at each decode.
 */
#include "kernels/cpu/conv2d_winograd.h"

enum { MOST_AXIS = 8, BLOCK_FLOATS = 9 * PANEL * PANEL };

#define STREAMED_BYTES ((size_t)16 << 20) /* more weights are written past the caches, which they would flush */

/* G: the powers 0 to 2 of each point over prod_{q != p} (p - q); of infinity the highest power alone. */
static void find_g(float g[MOST_AXIS][3], size_t m) {
    static const double points[MOST_AXIS - 1] = {0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5};
    for (size_t i = 0; i <= m; i++) {
        double divisor = 1.0;
        for (size_t k = 0; k <= m; k++) {
            divisor *= k == i ? 1.0 : points[i] - points[k];
        }
        g[i][0] = (float)(1.0 / divisor);
        g[i][1] = (float)(points[i] / divisor);
        g[i][2] = (float)(points[i] * points[i] / divisor);
    }
    g[m + 1][0] = g[m + 1][1] = 0.0f;
    g[m + 1][2] = 1.0f;
}

/* A block of weights, (9, 16, 16), as floats: as packed, or widened into `scratch`. */
static const float *weight_block(float *scratch, const struct run *run, const struct step *step, size_t block) {
    const size_t in_panels = step->conv2d.in_panels;
    if (step->weight_bf16 == NULL) {
        return step->weight + block * BLOCK_FLOATS;
    }
    conv2d_widen_weights(scratch, run->kernels, step, block / in_panels, block % in_panels);
    return scratch;
}

/* One block of weights, as points. `place` is its own in the transformed weights, `block` its own in the packed ones.
 */
static void transform_weight_block(const struct run *run, const struct step *step, const struct winograd_sizes *s,
                                   const float (*g)[3], float *place, size_t block, bool stream) {
    float scratch[BLOCK_FLOATS] __attribute__((aligned(LINE_BYTES)));
    run->kernels->winograd_weights(place, s->weight_stride, weight_block(scratch, run, step, block), s->m, g, stream);
}

void conv2d_winograd_transform_weights(const struct run *run, const struct step *step, size_t first, size_t panels) {
    const struct winograd_sizes s = conv2d_winograd_sizes(step);
    float *weights = run_shared_workspace(run), g[MOST_AXIS][3];
    const bool stream = s.points * s.weight_stride * sizeof(float) > STREAMED_BYTES;
    find_g(g, s.m);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < panels * s.in_panels; i++) {
        transform_weight_block(run, step, &s, (const float(*)[3])g, weights + i * PANEL * PANEL,
                               first * s.in_panels + i, stream);
    }
}

void conv2d_winograd_transform_own_weights(float *out, const struct run *run, const struct step *step, size_t first,
                                           size_t panels, size_t first_in, size_t count) {
    const struct winograd_sizes s = conv2d_winograd_sizes(step);
    float g[MOST_AXIS][3];
    find_g(g, s.m);
    for (size_t i = 0; i < panels * count; i++) {
        const size_t block = (first + i / count) * s.in_panels + first_in + i % count;
        transform_weight_block(run, step, &s, (const float(*)[3])g, out + i * PANEL * PANEL, block, false);
    }
}
