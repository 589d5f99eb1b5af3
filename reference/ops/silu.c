/* Sigmoid-weighted linear unit: Elfwing et al. 2017; torch.nn.SiLU.
 *
 * y = x / (1 + exp(-x))
 */
#include "reference/ops/real.h"

void REAL_NAME(silu)(const struct op_call *call) {
    const int64_t count = shape_element_count(&call->out_shape);
    const real *x = call->in[0]; /* any shape */
    real *y = call->out;         /* the same */

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        y[i] = x[i] / (1 + exp(-x[i]));
    }
}
