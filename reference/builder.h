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
    int32_t frames; /* weights are stored as (O,C,frames,kh,kw), of which the last frame's are used; 0: (O,C,kh,kw) */
    double gain;    /* of synthetic weights; 0: 1.4 */
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
/* qkv: (N, 3 C, H, W), q, then k, then v. */
value builder_packed_attention(struct builder *b, value qkv, const char *module);
/* x: (N, 3 C, H, W), q, k and v of each head of `head_channels` side by side. */
value builder_linear_attention(struct builder *b, value x, int32_t head_channels, double epsilon, const char *module);
/* weight, and where `biased` a bias; x / max(sqrt(mean(x^2) + epsilon), floor). The leaf is the weight's: "gamma". */
value builder_rms_norm(struct builder *b, value x, int64_t channels, double epsilon, double floor, bool biased,
                       const char *leaf, const char *module);
value builder_batch_norm(struct builder *b, value x, int64_t channels, double epsilon, const char *module);
value builder_multiply(struct builder *b, value x, value y);
/* x m + y (1 - m), or x where m or y is absent. */
value builder_mix(struct builder *b, value x, value y, value m);
value builder_clamp(struct builder *b, value x, double low, double high);
value builder_subsample(struct builder *b, value x, int32_t factor);
/* Channels become pixels, or (factor 1) are picked: see channels_to_space in graph.h. `offset` and `divisor` as there;
 * a divisor of 0 means 1. */
struct channels_to_space {
    int32_t factor;
    int64_t channels, by_channel, by_row, by_column, offset, divisor;
};
value builder_channels_to_space(struct builder *b, value x, struct channels_to_space map);
/* Every channel `times` times, one beside the other: torch.repeat_interleave on axis 1. */
value builder_repeat_channels(struct builder *b, value x, int64_t channels, int64_t times);
value builder_lookup(struct builder *b, value codes, int64_t rows, int64_t dim, const char *module);
/* Codes (N,H,W) below `count`, the graph's first input. */
value builder_codes(struct builder *b, const char *name, int64_t count);
/* An input that may be absent, as all optional ones of a graph together. */
value builder_optional_input(struct builder *b, const char *name, int64_t channels, int32_t scale);

/* A parameter that checkpoints have and no node reads (yet): a codebook, statistics for the pipeline, kernels over
 * frames that a single picture never runs. Its index, -1 after an error. */
int32_t builder_declare(struct builder *b, const char *module, const char *leaf, struct shape shape,
                        enum parameter_role role);

#endif
