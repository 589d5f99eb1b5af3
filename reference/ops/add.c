/* Weighted sum of two tensors: the residual connection (He et al. 2015) with both weights 1, and the steps of the
 * consistency decoder (Song et al. 2023, Consistency Models) with others.
 *
 * y = alpha * a + beta * b
 */
#include "reference/ops/real.h"

void REAL_NAME(add)(const struct op_call *call) {
    const int64_t count = shape_element_count(&call->out_shape);
    const real alpha = (real)call->attributes->add.alpha, beta = (real)call->attributes->add.beta;
    const real *a = call->in[0], *b = call->in[1]; /* any shape, the same */
    real *y = call->out;

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        y[i] = alpha * a[i] + beta * b[i];
    }
}
