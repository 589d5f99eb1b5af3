/* Concatenation on the channel axis, a first: the skip connections of a UNet (Ronneberger et al. 2015). */
#include <string.h>

#include "reference/ops/real.h"

void REAL_NAME(concat)(const struct op_call *call) {
    const int64_t batch = call->out_shape.dims[0];
    const int64_t a_count = shape_element_count(&call->in_shapes[0]) / batch; /* (C1,H,W) */
    const int64_t b_count = shape_element_count(&call->in_shapes[1]) / batch; /* (C2,H,W) */

    for (int64_t n = 0; n < batch; n++) {
        real *y = (real *)call->out + n * (a_count + b_count);
        memcpy(y, (const real *)call->in[0] + n * a_count, (size_t)a_count * sizeof(real));
        memcpy(y + a_count, (const real *)call->in[1] + n * b_count, (size_t)b_count * sizeof(real));
    }
}
