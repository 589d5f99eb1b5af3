/* Building graphs. One sticky error: after the first failure every call does nothing and returns value -1, and
 * builder_finish() reports it. Names are paths below a prefix: conv(b, x, ..., "decoder.conv_in") makes the parameters
 * decoder.conv_in.weight and decoder.conv_in.bias. */
#ifndef REFERENCE_BUILDER_H
#define REFERENCE_BUILDER_H

#include "reference/graph.h"

struct builder {
    struct vaemark_graph *graph;
    struct error error; /* status VAEMARK_OK while all is well */
};

typedef int32_t value; /* an index of the graph's values; -1 after an error */

/* Starts a graph. */
void builder_begin(struct builder *b);
/* Hands the graph over, or reports the sticky error and frees what was built. */
enum vaemark_status builder_finish(struct builder *b, value output, struct vaemark_graph **graph, struct error *error);

/* Formats a module path, "up_blocks.%d"; owned by the graph. */
const char *builder_path(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

value builder_input(struct builder *b, const char *name, int32_t rank, int64_t channels, int32_t scale);

struct conv2d_options {
    int64_t in, out;
    int32_t kernel, stride, padding, groups; /* 0: kernel 3, stride 1, padding kernel / 2, groups 1 */
    bool no_bias;
    double gain; /* of synthetic weights; 0: 1.4 */
};
value builder_conv2d(struct builder *b, value x, struct conv2d_options options, const char *module);
value builder_linear(struct builder *b, value x, int64_t in, int64_t out, const char *module);
value builder_linear_no_bias(struct builder *b, value x, int64_t in, int64_t out, const char *module);
value builder_group_norm(struct builder *b, value x, int64_t channels, int32_t groups, double epsilon,
                         const char *module);
value builder_silu(struct builder *b, value x);
value builder_relu(struct builder *b, value x);
value builder_tanh_clamp(struct builder *b, value x, double limit);
value builder_add(struct builder *b, value x, value y);
value builder_weighted_add(struct builder *b, double alpha, value x, double beta, value y);
value builder_affine(struct builder *b, value x, const double *scale, const double *shift, int32_t count);
value builder_scale_shift(struct builder *b, value x, value e);
value builder_upsample_nearest(struct builder *b, value x, int32_t factor);
value builder_avg_pool(struct builder *b, value x);
value builder_concat(struct builder *b, value x, value y);
value builder_slice(struct builder *b, value x, int64_t first, int64_t count);
value builder_embedding(struct builder *b, int64_t rows, int64_t dim, int64_t row, const char *module);
value builder_attention(struct builder *b, value q, value k, value v, const char *module);

#endif
