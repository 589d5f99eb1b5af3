/* Linear on the channel axis: torch.nn.Linear on tokens, which is a 1x1 convolution of the image.
 *
 * y[n,o,t] = b[o] + sum over c of w[o,c] * x[n,c,t], t a pixel; (N,C) has one column a sample.
 *
 * Of (N,C) the samples are the columns, so that a batch reads the weights once.
 */
#include <omp.h>

#include "reference/ops/product.h"

struct linear {
    const real *x, *weight, *bias; /* (N,C,...), (O,C), (O) or NULL */
    real *y;                       /* (N,O,...) */
    int64_t in_channels, out_channels;
    int64_t images, columns;           /* separate images, and columns in each */
    int64_t channel_step, column_step; /* in x, from one element to the next along that axis */
    int64_t out_channel_step;          /* the same in y */
    int64_t out_column_step;
};

static struct linear linear_of(const struct op_call *call) {
    const struct shape *in = &call->in_shapes[0];
    const bool flat = in->rank == 2;
    const int64_t pixels = plane_size(in);

    return (struct linear){
        .x = call->in[0],
        .weight = call->parameters[0],
        .bias = call->parameters[1],
        .y = call->out,
        .in_channels = in->dims[1],
        .out_channels = call->out_shape.dims[1],
        .images = flat ? 1 : in->dims[0],
        .columns = flat ? in->dims[0] : pixels,
        .channel_step = flat ? 1 : pixels,
        .column_step = flat ? in->dims[1] : 1,
        .out_channel_step = flat ? 1 : pixels,
        .out_column_step = flat ? call->out_shape.dims[1] : 1,
    };
}

/* Output channels [o, o_end) of columns [first, first + count) of one image. */
static void linear_tile(const struct linear *linear, real *panel, int64_t image, int64_t o, int64_t o_end,
                        int64_t first, int64_t count) {
    const real *x = linear->x + image * linear->in_channels * linear->columns + first * linear->column_step;
    real *y = linear->y + image * linear->out_channels * linear->columns + first * linear->out_column_step;
    const int64_t stride = product_stride(count);
    real sums[PRODUCT_WIDTH];

    for (int64_t k = 0; k < linear->in_channels; k += PRODUCT_DEPTH) {
        const int64_t rows = min_int64(PRODUCT_DEPTH, linear->in_channels - k);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t t = 0; t < stride; t++) {
                panel[r * stride + t] = t < count ? x[(k + r) * linear->channel_step + t * linear->column_step] : 0;
            }
        }
        for (int64_t channel = o; channel < o_end; channel++) {
            real *row = y + channel * linear->out_channel_step;
            const real bias = linear->bias == NULL ? 0 : linear->bias[channel];
            product_row(sums, linear->weight + channel * linear->in_channels + k, panel, rows, stride);
            for (int64_t t = 0; t < count; t++) {
                real *element = row + t * linear->out_column_step;
                *element = (k == 0 ? bias : *element) + sums[t];
            }
        }
    }
}

void REAL_NAME(linear)(const struct op_call *call) {
    const struct linear linear = linear_of(call);
    const int64_t tiles = (linear.columns + PRODUCT_WIDTH - 1) / PRODUCT_WIDTH;
    const int64_t chunks = product_chunks(linear.out_channels, linear.images * tiles, call->threads);
    const int64_t chunk_rows = (linear.out_channels + chunks - 1) / chunks;

#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 1)
    for (int64_t task = 0; task < linear.images * tiles * chunks; task++) {
        const int64_t image = task / (tiles * chunks), first = task / chunks % tiles * PRODUCT_WIDTH;
        const int64_t chunk = task % chunks;
        const int64_t o = min_int64(chunk * chunk_rows, linear.out_channels);
        const int64_t o_end = min_int64((chunk + 1) * chunk_rows, linear.out_channels);
        real *panel = (real *)call->scratch + (int64_t)omp_get_thread_num() * PRODUCT_DEPTH * PRODUCT_WIDTH;
        linear_tile(&linear, panel, image, o, o_end, first, min_int64(PRODUCT_WIDTH, linear.columns - first));
    }
}

size_t REAL_NAME(linear_scratch_size_bytes)(const struct op_call *call) {
    return (size_t)call->threads * PRODUCT_DEPTH * PRODUCT_WIDTH * sizeof(real);
}
