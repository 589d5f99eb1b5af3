/* Batch normalisation with the statistics of training: Ioffe & Szegedy 2015; torch.nn.BatchNorm2d in eval mode.
 *
 * y[n,c] = (x[n,c] - running_mean[c]) / sqrt(running_var[c] + epsilon) * weight[c] + bias[c]
 */
#include "reference/ops/real.h"

void REAL_NAME(batch_norm)(const struct op_call *call) {
    const real *mean = call->parameters[0], *variance = call->parameters[1]; /* (C) */
    const real *weight = call->parameters[2], *bias = call->parameters[3];   /* (C) */
    const int64_t channels = call->out_shape.dims[1], pixels = plane_size(&call->out_shape);

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t plane = 0; plane < call->out_shape.dims[0] * channels; plane++) {
        const int64_t c = plane % channels;
        const double scale = (double)weight[c] / sqrt((double)variance[c] + call->attributes->batch_norm.epsilon);
        const real *x = (const real *)call->in[0] + plane * pixels;
        real *y = (real *)call->out + plane * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            y[i] = (real)(((double)x[i] - (double)mean[c]) * scale + (double)bias[c]);
        }
    }
}
