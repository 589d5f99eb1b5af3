/* Conditioning by scale and shift: Perez et al. 2017, FiLM; Dhariwal & Nichol 2021 ("scale_shift" of a residual block).
 *
 * y[n,c] = x[n,c] * (1 + e[n,c]) + e[n,C+c]; e is (N,2C), or (1,2C) for all samples.
 */
#include "reference/ops/real.h"

void REAL_NAME(scale_shift)(const struct op_call *call) {
    const struct shape *shape = &call->out_shape;
    const int64_t channels = shape->dims[1], pixels = plane_size(shape);
    const real *e = call->in[1]; /* (1 or N, 2C) */
    const int64_t e_step = call->in_shapes[1].dims[0] == 1 ? 0 : 2 * channels;

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t plane = 0; plane < shape->dims[0] * channels; plane++) {
        const real *row = e + plane / channels * e_step;
        const real scale = 1 + row[plane % channels], shift = row[channels + plane % channels];
        const real *x = (const real *)call->in[0] + plane * pixels;
        real *y = (real *)call->out + plane * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            y[i] = x[i] * scale + shift;
        }
    }
}
