/* Constants of a model applied to its channels: TAESD's 2x - 1, the consistency decoder's standardised latents.
 *
 * y[n,c,...] = scale[c] * x[n,c,...] + shift[c]; one constant of each serves every channel.
 */
#include "reference/ops/real.h"

void REAL_NAME(affine)(const struct op_call *call) {
    const struct shape *shape = &call->out_shape;
    const int64_t channels = shape->rank < 2 ? 1 : shape->dims[1];
    const int64_t planes = shape->rank < 2 ? 1 : shape->dims[0] * channels;
    const int64_t pixels = shape_element_count(shape) / planes;
    const bool single = call->attributes->affine.count == 1;

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t plane = 0; plane < planes; plane++) {
        const int64_t c = single ? 0 : plane % channels;
        const real scale = (real)call->attributes->affine.scale[c], shift = (real)call->attributes->affine.shift[c];
        const real *x = (const real *)call->in[0] + plane * pixels;
        real *y = (real *)call->out + plane * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            y[i] = scale * x[i] + shift;
        }
    }
}
