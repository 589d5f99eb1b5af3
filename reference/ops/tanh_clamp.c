/* The soft clamp before TAESD's first convolution (madebyollin/taesd, class Clamp).
 *
 * y = limit * tanh(x / limit)
 */
#include "reference/ops/real.h"

void REAL_NAME(tanh_clamp)(const struct op_call *call) {
    const int64_t count = shape_element_count(&call->out_shape);
    const real *x = call->in[0]; /* any shape */
    real *y = call->out;         /* the same */
    const real limit = (real)call->attributes->tanh_clamp.limit;

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        y[i] = limit * tanh(x[i] / limit);
    }
}
