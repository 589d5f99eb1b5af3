/* Nearest-neighbour resizing to a whole fraction of the size: torch.nn.functional.interpolate(mode="nearest").
 *
 * y[n,c,i,j] = x[n,c, i * factor, j * factor]
 */
#include "reference/ops/real.h"

void REAL_NAME(subsample)(const struct op_call *call) {
    const struct shape *in = &call->in_shapes[0], *out = &call->out_shape;
    const int64_t factor = call->attributes->subsample.factor, height = out->dims[2], width = out->dims[3];

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t row = 0; row < out->dims[0] * out->dims[1] * height; row++) {
        const int64_t plane = row / height, i = row % height;
        const real *x = (const real *)call->in[0] + (plane * in->dims[2] + i * factor) * in->dims[3];
        real *y = (real *)call->out + row * width;
        for (int64_t j = 0; j < width; j++) {
            y[j] = x[j * factor];
        }
    }
}
