/* The nearest row of a codebook for every pixel: van den Oord et al. 2017; diffusers' VectorQuantizer, whose result is
 * x + (row - x), rounding included.
 *
 * y[n,:,i,j] = x + (table[r] - x), r the first of the rows least far from x[n,:,i,j]; distances in double
 */
#include "reference/ops/real.h"

static int64_t nearest_row(const real *x, int64_t pixels, const real *table, const struct shape *shape) {
    const int64_t channels = shape->dims[1];
    double least = INFINITY;
    int64_t nearest = 0;

    for (int64_t r = 0; r < shape->dims[0]; r++) {
        double distance = 0;
        for (int64_t c = 0; c < channels; c++) {
            const double difference = (double)x[c * pixels] - (double)table[r * channels + c];
            distance += difference * difference;
        }
        if (distance < least) {
            least = distance;
            nearest = r;
        }
    }
    return nearest;
}

void REAL_NAME(quantize)(const struct op_call *call) {
    const int64_t channels = call->out_shape.dims[1], pixels = plane_size(&call->out_shape);
    const real *table = call->parameters[0]; /* (rows, C) */

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < call->out_shape.dims[0] * pixels; i++) {
        const int64_t start = i / pixels * channels * pixels + i % pixels;
        const real *x = (const real *)call->in[0] + start;
        real *y = (real *)call->out + start;
        const real *row = table + nearest_row(x, pixels, table, &call->parameter_shapes[0]) * channels;
        for (int64_t c = 0; c < channels; c++) {
            y[c * pixels] = x[c * pixels] + (row[c] - x[c * pixels]);
        }
    }
}
