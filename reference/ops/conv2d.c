/* Convolution (cross-correlation) with zero padding: LeCun et al. 1989; torch.nn.Conv2d.
 *
 * y[n,o,i,j] = b[o] + sum over c,u,v of w[o,c,u,v] * x[n,c, i*stride+u-padding, j*stride+v-padding]
 *
 * A task is a tile of PRODUCT_WIDTH consecutive output pixels and a chunk of output channels. For PRODUCT_DEPTH
 * products (c,u,v) at a time, the input pixels that they need are gathered into a panel once and serve all channels of
 * the chunk.
 */
#include <omp.h>

#include "reference/ops/product.h"

struct conv2d {
    const real *x, *weight, *bias; /* (N,C,H,W), (O,C/groups,kh,kw), (O) or NULL */
    real *y;                       /* (N,O,OH,OW) */
    int64_t in_channels, height, width, out_channels, out_height, out_width;
    int64_t kernel_height, kernel_width, stride, padding, groups;
    int64_t depth; /* products an output element: C/groups * kh * kw */
};

static struct conv2d conv2d_of(const struct op_call *call) {
    const struct shape *in = &call->in_shapes[0], *weight = &call->parameter_shapes[0], *out = &call->out_shape;

    return (struct conv2d){
        .x = call->in[0],
        .weight = call->parameters[0],
        .bias = call->parameters[1],
        .y = call->out,
        .in_channels = in->dims[1],
        .height = in->dims[2],
        .width = in->dims[3],
        .out_channels = out->dims[1],
        .out_height = out->dims[2],
        .out_width = out->dims[3],
        .kernel_height = weight->dims[2],
        .kernel_width = weight->dims[3],
        .stride = call->attributes->conv2d.stride,
        .padding = call->attributes->conv2d.padding,
        .groups = call->attributes->conv2d.groups,
        .depth = weight->dims[1] * weight->dims[2] * weight->dims[3],
    };
}

/* One row of the panel: for `count` output pixels from `first` on, the input pixel that tap (u,v) meets there. */
static void conv2d_gather_tap(real *row, const struct conv2d *conv, const real *plane, int64_t u, int64_t v,
                              int64_t first, int64_t count) {
    int64_t t = 0;

    while (t < count) { /* a run of pixels in one output row */
        const int64_t i = (first + t) / conv->out_width, j = (first + t) % conv->out_width;
        const int64_t run = min_int64(conv->out_width - j, count - t);
        const int64_t y = i * conv->stride + u - conv->padding;
        const int64_t x = j * conv->stride + v - conv->padding;
        const bool row_inside = y >= 0 && y < conv->height;
        if (row_inside && conv->stride == 1 && x >= 0 && x + run <= conv->width) {
            const real *source = plane + y * conv->width + x;
            for (int64_t s = 0; s < run; s++) {
                row[t + s] = source[s];
            }
        } else {
            for (int64_t s = 0; s < run; s++) {
                const int64_t xs = x + s * conv->stride;
                const bool inside = row_inside && xs >= 0 && xs < conv->width;
                row[t + s] = inside ? plane[y * conv->width + xs] : 0;
            }
        }
        t += run;
    }
}

/* Rows [k, k + rows) of the panel. `image` is the group's channels of one sample. */
static void conv2d_gather(real *panel, int64_t stride, const struct conv2d *conv, const real *image, int64_t k,
                          int64_t rows, int64_t first, int64_t count) {
    const int64_t taps = conv->kernel_height * conv->kernel_width;

    for (int64_t r = 0; r < rows; r++) {
        const int64_t c = (k + r) / taps, tap = (k + r) % taps;
        const real *plane = image + c * conv->height * conv->width;
        real *row = panel + r * stride;
        conv2d_gather_tap(row, conv, plane, tap / conv->kernel_width, tap % conv->kernel_width, first, count);
        for (int64_t t = count; t < stride; t++) {
            row[t] = 0;
        }
    }
}

/* Output channels [o, o_end) of output pixels [first, first + count) of sample n; the channels are of one group. */
static void conv2d_tile(const struct conv2d *conv, real *panel, int64_t n, int64_t group, int64_t o, int64_t o_end,
                        int64_t first, int64_t count) {
    const int64_t group_channels = conv->in_channels / conv->groups, out_plane = conv->out_height * conv->out_width;
    const real *image = conv->x + (n * conv->in_channels + group * group_channels) * conv->height * conv->width;
    const int64_t stride = product_stride(count);
    real sums[PRODUCT_WIDTH];

    for (int64_t k = 0; k < conv->depth; k += PRODUCT_DEPTH) {
        const int64_t rows = min_int64(PRODUCT_DEPTH, conv->depth - k);
        conv2d_gather(panel, stride, conv, image, k, rows, first, count);
        for (int64_t channel = o; channel < o_end; channel++) {
            real *y = conv->y + (n * conv->out_channels + channel) * out_plane + first;
            const real bias = conv->bias == NULL ? 0 : conv->bias[channel];
            product_row(sums, conv->weight + channel * conv->depth + k, panel, rows, stride);
            for (int64_t t = 0; t < count; t++) {
                y[t] = (k == 0 ? bias : y[t]) + sums[t];
            }
        }
    }
}

void REAL_NAME(conv2d)(const struct op_call *call) {
    const struct conv2d conv = conv2d_of(call);
    const int64_t out_plane = conv.out_height * conv.out_width, group_rows = conv.out_channels / conv.groups;
    const int64_t tiles = (out_plane + PRODUCT_WIDTH - 1) / PRODUCT_WIDTH;
    const int64_t images = call->in_shapes[0].dims[0] * conv.groups; /* (sample, group) */
    const int64_t chunks = product_chunks(group_rows, images * tiles, call->threads);
    const int64_t chunk_rows = (group_rows + chunks - 1) / chunks;

#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 1)
    for (int64_t task = 0; task < images * tiles * chunks; task++) {
        const int64_t image = task / (tiles * chunks), tile = task / chunks % tiles, chunk = task % chunks;
        const int64_t n = image / conv.groups, group = image % conv.groups, first = tile * PRODUCT_WIDTH;
        const int64_t o = group * group_rows + min_int64(chunk * chunk_rows, group_rows);
        const int64_t o_end = group * group_rows + min_int64((chunk + 1) * chunk_rows, group_rows);
        real *panel = (real *)call->scratch + (int64_t)omp_get_thread_num() * PRODUCT_DEPTH * PRODUCT_WIDTH;
        conv2d_tile(&conv, panel, n, group, o, o_end, first, min_int64(PRODUCT_WIDTH, out_plane - first));
    }
}

size_t REAL_NAME(conv2d_scratch_size_bytes)(const struct op_call *call) {
    return (size_t)call->threads * PRODUCT_DEPTH * PRODUCT_WIDTH * sizeof(real);
}
