/* Rectifier: Nair & Hinton 2010; torch.nn.ReLU.
 *
 * y = max(x, 0). Written so that NaN, which is not smaller than 0, stays NaN.
 */
#include "reference/ops/real.h"

void REAL_NAME(relu)(const struct op_call *call) {
    const int64_t count = shape_element_count(&call->out_shape);
    const real *x = call->in[0]; /* any shape */
    real *y = call->out;         /* the same */

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        y[i] = x[i] < 0 ? 0 : x[i];
    }
}
