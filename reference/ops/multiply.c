/* Product element by element: a gate (Dauphin et al. 2016), a modulation by position (SpatialNorm of MoVQ), a mask.
 *
 * y[n,c,i,j] = a[n,c,i,j] * b[n, c or 0, i,j]
 */
#include "reference/ops/real.h"

void REAL_NAME(multiply)(const struct op_call *call) {
    const int64_t channels = call->out_shape.dims[1], pixels = plane_size(&call->out_shape);
    const bool whole = call->in_shapes[1].dims[1] == channels;

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t plane = 0; plane < call->out_shape.dims[0] * channels; plane++) {
        const real *a = (const real *)call->in[0] + plane * pixels;
        const real *b = (const real *)call->in[1] + (whole ? plane : plane / channels) * pixels;
        real *y = (real *)call->out + plane * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            y[i] = a[i] * b[i];
        }
    }
}
