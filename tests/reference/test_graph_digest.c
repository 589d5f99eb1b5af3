/* A digest that misses something lets an oracle of one graph judge another. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "reference/builder.h"
#include "tests/reference/support_graphs.h"

typedef value make_graph(struct builder *b, value x);

static void digest_of(make_graph *make, char hex[65]) {
    struct builder b;
    struct vaemark_graph *graph = NULL;
    struct error error = {.status = VAEMARK_OK};
    builder_begin(&b);
    cr_assert_eq(builder_finish(&b, make(&b, builder_input(&b, "latents", 4, 4, 1)), &graph, &error), VAEMARK_OK, "%s",
                 error.message);
    cr_assert_eq(graph_digest(graph, hex, &error), VAEMARK_OK);
    graph_free(graph);
}

static value conv(struct builder *b, value x, struct conv2d_options options) {
    options.in = 4;
    options.out = 4;
    return builder_conv2d(b, x, options, "m");
}
static value plain(struct builder *b, value x) {
    return conv(b, x, (struct conv2d_options){.kernel = 3});
}
static value other_kernel(struct builder *b, value x) {
    return conv(b, x, (struct conv2d_options){.kernel = 5, .padding = 1});
}
static value other_stride(struct builder *b, value x) {
    return conv(b, x, (struct conv2d_options){.kernel = 3, .stride = 2});
}
static value other_padding(struct builder *b, value x) {
    return conv(b, x, (struct conv2d_options){.kernel = 3, .padding = 2});
}
static value no_bias(struct builder *b, value x) {
    return conv(b, x, (struct conv2d_options){.kernel = 3, .no_bias = true});
}
static value other_name(struct builder *b, value x) {
    return builder_conv2d(b, x, (struct conv2d_options){.in = 4, .out = 4, .kernel = 3}, "n");
}
static value norm(struct builder *b, value x) {
    return builder_group_norm(b, x, 4, 2, 1e-6, "m");
}
static value other_groups(struct builder *b, value x) {
    return builder_group_norm(b, x, 4, 4, 1e-6, "m");
}
static value other_epsilon(struct builder *b, value x) {
    return builder_group_norm(b, x, 4, 2, 1e-5, "m");
}
static value clamp(struct builder *b, value x) {
    return builder_tanh_clamp(b, x, 3);
}
static value other_limit(struct builder *b, value x) {
    return builder_tanh_clamp(b, x, 4);
}
static value add(struct builder *b, value x) {
    return builder_weighted_add(b, 1, x, 2, builder_silu(b, x));
}
static value add_swapped(struct builder *b, value x) {
    return builder_weighted_add(b, 2, x, 1, builder_silu(b, x));
}
static value add_reordered(struct builder *b, value x) {
    return builder_weighted_add(b, 1, builder_silu(b, x), 2, x);
}
static value affine(struct builder *b, value x) {
    const double scale = 0.5, shift = 0.25;
    return builder_affine(b, x, &scale, &shift, 1);
}
static value other_shift(struct builder *b, value x) {
    const double scale = 0.5, shift = 0.5;
    return builder_affine(b, x, &scale, &shift, 1);
}
static value other_scale(struct builder *b, value x) {
    const double scale = 0.25, shift = 0.25;
    return builder_affine(b, x, &scale, &shift, 1);
}
static value twice(struct builder *b, value x) {
    return builder_upsample_nearest(b, x, 2);
}
static value thrice(struct builder *b, value x) {
    return builder_upsample_nearest(b, x, 3);
}
static value slice(struct builder *b, value x) {
    return builder_slice(b, x, 0, 2);
}
static value other_first(struct builder *b, value x) {
    return builder_slice(b, x, 1, 2);
}
static value other_count(struct builder *b, value x) {
    return builder_slice(b, x, 0, 3);
}
static value row(struct builder *b, value x) {
    return builder_scale_shift(b, x, builder_embedding(b, 8, 8, 1, "m"));
}
static value other_row(struct builder *b, value x) {
    return builder_scale_shift(b, x, builder_embedding(b, 8, 8, 2, "m"));
}
static value silu(struct builder *b, value x) {
    return builder_silu(b, x);
}
static value relu(struct builder *b, value x) {
    return builder_relu(b, x);
}
static value framed(struct builder *b, value x) {
    return conv(b, x, (struct conv2d_options){.kernel = 3, .frames = 3});
}
static value other_frames(struct builder *b, value x) {
    return conv(b, x, (struct conv2d_options){.kernel = 3, .frames = 2});
}
static value rms(struct builder *b, value x) {
    return builder_rms_norm(b, x, 4, 1e-5, 0, false, "weight", "m");
}
static value rms_other_epsilon(struct builder *b, value x) {
    return builder_rms_norm(b, x, 4, 1e-6, 0, false, "weight", "m");
}
static value rms_with_floor(struct builder *b, value x) {
    return builder_rms_norm(b, x, 4, 1e-5, 1e-12, false, "weight", "m");
}
static value batch(struct builder *b, value x) {
    return builder_batch_norm(b, x, 4, 1e-5, "m");
}
static value batch_other_epsilon(struct builder *b, value x) {
    return builder_batch_norm(b, x, 4, 1e-3, "m");
}
static value limits(struct builder *b, value x) {
    return builder_clamp(b, x, -1, 1);
}
static value other_low(struct builder *b, value x) {
    return builder_clamp(b, x, 0, 1);
}
static value other_high(struct builder *b, value x) {
    return builder_clamp(b, x, -1, 2);
}
static value half(struct builder *b, value x) {
    return builder_subsample(b, x, 2);
}
static value third(struct builder *b, value x) {
    return builder_subsample(b, x, 3);
}
static value heads(struct builder *b, value x) {
    return builder_linear_attention(b, builder_repeat_channels(b, x, 4, 3), 4, 1e-15, "m");
}
static value other_heads(struct builder *b, value x) {
    return builder_linear_attention(b, builder_repeat_channels(b, x, 4, 3), 2, 1e-15, "m");
}
static value heads_other_epsilon(struct builder *b, value x) {
    return builder_linear_attention(b, builder_repeat_channels(b, x, 4, 3), 4, 1e-10, "m");
}
static value multiplied(struct builder *b, value x) {
    return builder_multiply(b, x, builder_silu(b, x));
}
static value map(struct builder *b, value x, struct channels_to_space m) {
    return builder_channels_to_space(b, x, m);
}
#define MAP(name, ...)                                             \
    static value name(struct builder *b, value x) {                \
        return map(b, x, (struct channels_to_space){__VA_ARGS__}); \
    }
MAP(shuffle, 2, 1, 4, 2, 1, 0, 1)
MAP(shuffle_factor, 3, 1, 4, 2, 1, 0, 1)
MAP(shuffle_channels, 2, 2, 4, 2, 1, 0, 1)
MAP(shuffle_by_channel, 2, 1, 5, 2, 1, 0, 1)
MAP(shuffle_by_row, 2, 1, 4, 1, 1, 0, 1)
MAP(shuffle_by_column, 2, 1, 4, 2, 2, 0, 1)
MAP(shuffle_offset, 2, 1, 4, 2, 1, 1, 1)
MAP(shuffle_divisor, 2, 1, 4, 2, 1, 0, 2)

Test(graph_digest, tells_every_attribute_apart) {
    static make_graph *const graphs[] = {
        plain,
        other_kernel,
        other_stride,
        other_padding,
        no_bias,
        other_name,
        norm,
        other_groups,
        other_epsilon,
        clamp,
        other_limit,
        add,
        add_swapped,
        add_reordered,
        affine,
        other_shift,
        other_scale,
        twice,
        thrice,
        slice,
        other_first,
        other_count,
        row,
        other_row,
        silu,
        relu,
        framed,
        other_frames,
        rms,
        rms_other_epsilon,
        rms_with_floor,
        batch,
        batch_other_epsilon,
        limits,
        other_low,
        other_high,
        half,
        third,
        heads,
        other_heads,
        heads_other_epsilon,
        multiplied,
        shuffle,
        shuffle_factor,
        shuffle_channels,
        shuffle_by_channel,
        shuffle_by_row,
        shuffle_by_column,
        shuffle_offset,
        shuffle_divisor,
    };
    enum { COUNT = sizeof graphs / sizeof *graphs };
    char digests[COUNT][65];
    for (size_t i = 0; i < COUNT; i++) {
        char again[65];
        digest_of(graphs[i], digests[i]);
        digest_of(graphs[i], again);
        cr_assert_str_eq(digests[i], again);
        for (size_t k = 0; k < i; k++) {
            cr_expect_str_neq(digests[i], digests[k], "graphs %zu and %zu", i, k);
        }
    }
}

/* Names of modules are for people, weights have a digest of their own. */
Test(graph_digest, is_of_the_program_alone) {
    struct vaemark_graph *graph = graphs_attention();
    char before[65], after[65];
    cr_assert_eq(graph_digest(graph, before, NULL), VAEMARK_OK);
    graphs_bind(graph);
    graph->nodes[0].module = "elsewhere";
    cr_assert_eq(graph_digest(graph, after, NULL), VAEMARK_OK);
    cr_expect_str_eq(before, after);
    graph->parameters[0].name = "elsewhere.weight";
    cr_assert_eq(graph_digest(graph, after, NULL), VAEMARK_OK);
    cr_expect_str_neq(before, after);
    graphs_free(graph);
}
