/* Channels [first, first + count). */
#include <string.h>

#include "reference/ops/real.h"

void REAL_NAME(slice)(const struct op_call *call) {
    const int64_t pixels = plane_size(&call->in_shapes[0]);
    const int64_t in_count = call->in_shapes[0].dims[1] * pixels;     /* (C,H,W) */
    const int64_t out_count = call->attributes->slice.count * pixels; /* (count,H,W) */

    for (int64_t n = 0; n < call->out_shape.dims[0]; n++) {
        memcpy((real *)call->out + n * out_count,
               (const real *)call->in[0] + n * in_count + call->attributes->slice.first * pixels,
               (size_t)out_count * sizeof(real));
    }
}
