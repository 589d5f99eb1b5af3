/* Limits: torch.clamp.
 *
 * y = min(max(x, low), high). Written so that NaN, which compares false, stays NaN.
 */
#include "reference/ops/real.h"

void REAL_NAME(clamp)(const struct op_call *call) {
    const int64_t count = shape_element_count(&call->out_shape);
    const real low = (real)call->attributes->clamp.low, high = (real)call->attributes->clamp.high;
    const real *x = call->in[0]; /* any shape */
    real *y = call->out;         /* the same */

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        y[i] = x[i] < low ? low : x[i] > high ? high : x[i];
    }
}
