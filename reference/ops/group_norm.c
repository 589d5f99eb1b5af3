/* Group normalisation: Wu & He 2018, Group Normalization; torch.nn.GroupNorm.
 *
 * y = (x - mean) / sqrt(variance + epsilon) * weight[c] + bias[c], mean and biased variance over the C/groups channels
 * and all pixels of a sample's group. Two passes, summed in double in either precision: groups reach millions of
 * elements, where E[x^2] - E[x]^2 loses all digits.
 */
#include "reference/ops/real.h"

enum { LANES = 8 }; /* independent sums, so that one addition need not wait for the one before */

/* sum of (x - shift)^power, power 1 or 2 */
static double group_norm_sum(const real *x, int64_t count, double shift, int power) {
    double lanes[LANES] = {0}, sum = 0;
    int64_t i = 0;

    if (power == 1) {
        for (; i + LANES <= count; i += LANES) {
            for (int64_t lane = 0; lane < LANES; lane++) {
                lanes[lane] += (double)x[i + lane] - shift;
            }
        }
    } else {
        for (; i + LANES <= count; i += LANES) {
            for (int64_t lane = 0; lane < LANES; lane++) {
                const double difference = (double)x[i + lane] - shift;
                lanes[lane] += difference * difference;
            }
        }
    }
    for (; i < count; i++) {
        const double difference = (double)x[i] - shift;
        lanes[i % LANES] += power == 1 ? difference : difference * difference;
    }
    for (int lane = 0; lane < LANES; lane++) {
        sum += lanes[lane];
    }
    return sum;
}

void REAL_NAME(group_norm)(const struct op_call *call) {
    const struct shape *shape = &call->in_shapes[0];
    const int64_t groups = call->attributes->group_norm.groups, pixels = plane_size(shape);
    const int64_t group_channels = shape->dims[1] / groups, count = group_channels * pixels;
    const real *weight = call->parameters[0], *bias = call->parameters[1]; /* (C) */

#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 1)
    for (int64_t task = 0; task < shape->dims[0] * groups; task++) {
        const int64_t first_channel = task % groups * group_channels;
        const real *x = (const real *)call->in[0] + task * count; /* (C/groups,H,W) */
        real *y = (real *)call->out + task * count;
        const double mean = group_norm_sum(x, count, 0, 1) / (double)count;
        const double variance = group_norm_sum(x, count, mean, 2) / (double)count;
        const double reciprocal = 1.0 / sqrt(variance + call->attributes->group_norm.epsilon);
        for (int64_t c = 0; c < group_channels; c++) {
            const double scale = reciprocal * (double)weight[first_channel + c];
            const double offset = (double)bias[first_channel + c];
            for (int64_t i = c * pixels; i < (c + 1) * pixels; i++) {
                y[i] = (real)(((double)x[i] - mean) * scale + offset);
            }
        }
    }
}
