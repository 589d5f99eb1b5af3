/* Average pooling, 2x2 with stride 2: torch.nn.AvgPool2d(2). An odd last row or column is dropped.
 *
 * y[n,c,i,j] = (x[2i,2j] + x[2i,2j+1] + x[2i+1,2j] + x[2i+1,2j+1]) / 4
 */
#include "reference/ops/real.h"

void REAL_NAME(avg_pool)(const struct op_call *call) {
    const struct shape *in = &call->in_shapes[0], *out = &call->out_shape;
    const int64_t height = out->dims[2], width = out->dims[3];

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t row = 0; row < out->dims[0] * out->dims[1] * height; row++) {
        const int64_t plane = row / height, i = row % height;
        const real *upper = (const real *)call->in[0] + (plane * in->dims[2] + 2 * i) * in->dims[3];
        const real *lower = upper + in->dims[3];
        real *y = (real *)call->out + row * width;
        for (int64_t j = 0; j < width; j++) {
            y[j] = (upper[2 * j] + upper[2 * j + 1] + lower[2 * j] + lower[2 * j + 1]) / 4;
        }
    }
}
