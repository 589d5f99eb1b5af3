/* Two images mixed by a mask: MaskConditionDecoder of Zhu et al. 2023, Designing a Better Asymmetric VQGAN. Where the
 * decode has no condition the first image stays as it is.
 *
 * y[n,c,i,j] = x[n,c,i,j] * m[n,0,i,j] + z[n,c,i,j] * (1 - m[n,0,i,j])
 */
#include <string.h>

#include "reference/ops/real.h"

void REAL_NAME(mix)(const struct op_call *call) {
    const int64_t channels = call->out_shape.dims[1], pixels = plane_size(&call->out_shape);

    if (call->in_shapes[1].rank == 0 || call->in_shapes[2].rank == 0) {
        memcpy(call->out, call->in[0], (size_t)shape_element_count(&call->out_shape) * sizeof(real));
        return;
    }
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t plane = 0; plane < call->out_shape.dims[0] * channels; plane++) {
        const real *x = (const real *)call->in[0] + plane * pixels;
        const real *z = (const real *)call->in[1] + plane * pixels;
        const real *m = (const real *)call->in[2] + plane / channels * pixels;
        real *y = (real *)call->out + plane * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            y[i] = x[i] * m[i] + z[i] * (1 - m[i]);
        }
    }
}
