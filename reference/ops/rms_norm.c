/* Root mean square normalisation by pixel, over channels: Zhang & Sennrich 2019. Two conventions of one formula:
 * RMSNorm of AutoencoderDC has an epsilon under the root, RMS_norm of Qwen-Image and Wan is an L2 norm times sqrt(C),
 * which only has a floor.
 *
 * y[c] = x[c] / max(sqrt(mean_c(x^2) + epsilon), floor) * weight[c] + bias[c]; the mean in double in either precision
 */
#include "reference/ops/real.h"

enum { BLOCK_PIXELS = 64 }; /* side by side, so that memory is read along rows */

static void normalise_block(const struct op_call *call, const real *x, real *y, int64_t pixels, int64_t count) {
    const real *weight = call->parameters[0], *bias = call->parameters[1]; /* (C) */
    const int64_t channels = call->out_shape.dims[1];
    double scale[BLOCK_PIXELS] = {0};

    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < count; i++) {
            scale[i] += (double)x[c * pixels + i] * (double)x[c * pixels + i];
        }
    }
    for (int64_t i = 0; i < count; i++) {
        const double root = sqrt(scale[i] / (double)channels + call->attributes->rms_norm.epsilon);
        scale[i] = 1.0 / (root < call->attributes->rms_norm.floor ? call->attributes->rms_norm.floor : root);
    }
    for (int64_t c = 0; c < channels; c++) {
        const double offset = bias == NULL ? 0.0 : (double)bias[c];
        for (int64_t i = 0; i < count; i++) {
            y[c * pixels + i] = (real)((double)x[c * pixels + i] * scale[i] * (double)weight[c] + offset);
        }
    }
}

void REAL_NAME(rms_norm)(const struct op_call *call) {
    const struct shape *shape = &call->out_shape;
    const int64_t pixels = plane_size(shape), blocks = (pixels + BLOCK_PIXELS - 1) / BLOCK_PIXELS;

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t task = 0; task < shape->dims[0] * blocks; task++) {
        const int64_t first = task % blocks * BLOCK_PIXELS;
        const int64_t start = task / blocks * shape->dims[1] * pixels + first;
        normalise_block(call, (const real *)call->in[0] + start, (real *)call->out + start, pixels,
                        min_int64(BLOCK_PIXELS, pixels - first));
    }
}
