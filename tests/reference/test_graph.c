#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "reference/builder.h"
#include "tests/reference/support_graphs.h"

enum { MAX_VALUES = 64 };

static struct vaemark_tensor latents_of(int64_t n, int64_t c, int64_t h, int64_t w) {
    const struct shape shape = {.rank = 4, .dims = {n, c, h, w}};

    return tensor_make("latents", VAEMARK_F32, &shape, NULL);
}

/* One node behind an input of 4 channels, for the shape of its output or its refusal. */
typedef value one_node(struct builder *b, value x);

static enum vaemark_status infer_one(one_node *make, struct vaemark_tensor latents, struct shape *out,
                                     struct error *error) {
    const struct vaemark_tensors inputs = {.items = &latents, .count = 1};
    struct builder b;
    struct vaemark_graph *graph;
    struct shape shapes[MAX_VALUES];
    enum vaemark_status status;

    builder_begin(&b);
    cr_assert_eq(builder_finish(&b, make(&b, builder_input(&b, "latents", 4, 4, 1)), &graph, error), VAEMARK_OK);
    status = graph_infer_shapes(graph, &inputs, shapes, error);
    *out = shapes[graph->output];
    graph_free(graph);
    return status;
}

static value strided(struct builder *b, value x) {
    return builder_conv2d(b, x, (struct conv2d_options){.in = 4, .out = 6, .kernel = 4, .stride = 2, .padding = 1},
                          "m");
}
static value misfit(struct builder *b, value x) {
    return builder_conv2d(b, x, (struct conv2d_options){.in = 5, .out = 6}, "decoder.conv_in");
}
static value wide_kernel(struct builder *b, value x) {
    return builder_conv2d(b, x, (struct conv2d_options){.in = 4, .out = 6, .kernel = 9, .padding = 1}, "m");
}
static value upsampled(struct builder *b, value x) {
    return builder_upsample_nearest(b, x, 8);
}
static value pooled(struct builder *b, value x) {
    return builder_avg_pool(b, x);
}
static value unet(struct builder *b, value x) {
    return builder_concat(b, builder_upsample_nearest(b, builder_avg_pool(b, x), 2), x);
}
static value sliced(struct builder *b, value x) {
    return builder_slice(b, x, 1, 2);
}
static value sliced_too_far(struct builder *b, value x) {
    return builder_slice(b, x, 2, 3);
}
static value unequal(struct builder *b, value x) {
    return builder_add(b, x, builder_slice(b, x, 0, 2));
}
static value linear(struct builder *b, value x) {
    return builder_linear(b, x, 4, 7, "m");
}

Test(graph, finds_shapes) {
    const struct {
        one_node *make;
        int64_t height, width;
        struct shape out;
    } trials[] = {
        {strided, 9, 8, {4, {1, 6, 4, 4}}},
        {upsampled, 3, 1, {4, {1, 4, 24, 8}}},
        {pooled, 5, 2, {4, {1, 4, 2, 1}}},
        {unet, 4, 6, {4, {1, 8, 4, 6}}},
        {sliced, 3, 3, {4, {1, 2, 3, 3}}},
        {linear, 2, 3, {4, {1, 7, 2, 3}}},
        {upsampled, 65536, 65536, {4, {1, 4, 524288, 524288}}}, /* far beyond 2^31 elements */
    };
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        struct shape out;
        cr_expect_eq(infer_one(trials[i].make, latents_of(1, 4, trials[i].height, trials[i].width), &out, NULL),
                     VAEMARK_OK);
        cr_expect(shape_equal(&out, &trials[i].out), "trial %zu", i);
    }
}

/* The message names the op, its module, what it wanted and what it got. */
Test(graph, refuses_values_that_do_not_fit) {
    const struct {
        one_node *make;
        int64_t height, width;
        const char *says[3];
    } trials[] = {
        {misfit, 8, 8, {"conv2d decoder.conv_in", "5 channels", "1x4x8x8"}},
        {wide_kernel, 6, 8, {"conv2d", "kernel", "1x4x6x8"}},
        {pooled, 1, 8, {"avg_pool", "2x2", "1x4x1x8"}},
        {unet, 5, 4, {"concat", "1x4x4x4", "1x4x5x4"}},
        {sliced_too_far, 2, 2, {"slice", "channels 2 to 5", "1x4x2x2"}},
        {unequal, 2, 2, {"add", "1x4x2x2", "1x2x2x2"}},
        {upsampled, INT64_C(1) << 29, INT64_C(1) << 27, {"upsample_nearest", "addressed", ""}},
    };
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        struct shape out;
        struct error error = {.status = VAEMARK_OK};
        cr_expect_eq(infer_one(trials[i].make, latents_of(1, 4, trials[i].height, trials[i].width), &out, &error),
                     VAEMARK_BAD_INPUT, "trial %zu", i);
        for (int j = 0; j < 3; j++) {
            cr_expect(strstr(error.message, trials[i].says[j]) != NULL, "%s lacks %s", error.message,
                      trials[i].says[j]);
        }
    }
}

/* Two inputs: latents (N,4,H,W) and noise.0 (N,3,8H,8W). */
static enum vaemark_status infer_noisy(struct vaemark_tensor *tensors, size_t count, struct error *error) {
    const struct vaemark_tensors inputs = {.items = tensors, .count = count};
    struct builder b;
    struct vaemark_graph *graph;
    struct shape shapes[MAX_VALUES];
    enum vaemark_status status;
    value x, noise;

    builder_begin(&b);
    x = builder_input(&b, "latents", 4, 4, 1);
    noise = builder_input(&b, "noise.0", 4, 3, 8);
    x = builder_concat(&b, noise, builder_upsample_nearest(&b, x, 8));
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    status = graph_infer_shapes(graph, &inputs, shapes, error);
    graph_free(graph);
    return status;
}

static struct vaemark_tensor tensor_of(const char *name, enum vaemark_dtype dtype, struct shape shape) {
    return tensor_make(name, dtype, &shape, NULL);
}

Test(graph, checks_inputs) {
    const struct vaemark_tensor good = tensor_of("latents", VAEMARK_F16, (struct shape){4, {2, 4, 3, 5}});
    const struct vaemark_tensor noise = tensor_of("noise.0", VAEMARK_F32, (struct shape){4, {2, 3, 24, 40}});
    struct vaemark_tensor transposed = good;
    const struct {
        struct vaemark_tensor latents, noise;
        const char *says;
    } trials[] = {
        {tensor_of("latents", VAEMARK_F32, (struct shape){3, {4, 3, 5}}), noise,
         "latents: wanted (N,4,H,W), found 4x3x5"},
        {tensor_of("latents", VAEMARK_F32, (struct shape){4, {2, 16, 3, 5}}), noise, "found 2x16x3x5"},
        {tensor_of("latents", VAEMARK_F32, (struct shape){4, {2, 4, 0, 5}}), noise, "at least 1, found 2x4x0x5"},
        {tensor_of("latents", VAEMARK_F32, (struct shape){4, {2, 4, -3, 5}}), noise, "at least 1"},
        {tensor_of("latents", VAEMARK_F32, (struct shape){4, {INT64_MAX, 4, INT64_MAX, 5}}), noise, "too large"},
        {tensor_of("latents", VAEMARK_F32, (struct shape){4, {1, 4, 1 << 30, 1 << 29}}), noise, "too large"},
        {tensor_of("latents", VAEMARK_I64, (struct shape){4, {2, 4, 3, 5}}), noise, "found I64"},
        {tensor_of("latent", VAEMARK_F32, (struct shape){4, {2, 4, 3, 5}}), noise, "did you mean 'latents'?"},
        {good, tensor_of("noise.0", VAEMARK_F32, (struct shape){4, {2, 3, 24, 24}}),
         "noise.0: wanted 2x3x24x40 to go with latents of 2x4x3x5, found 2x3x24x24"},
        {good, tensor_of("noise.0", VAEMARK_F32, (struct shape){4, {1, 3, 24, 40}}), "wanted 2x3x24x40"},
        {good, good, "'latents' is given twice"},
        {tensor_of("latents", VAEMARK_F32, (struct shape){9, {1}}), noise, "rank 9"},
    };

    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        struct vaemark_tensor tensors[2] = {trials[i].latents, trials[i].noise};
        struct error error = {.status = VAEMARK_OK};
        cr_expect_eq(infer_noisy(tensors, 2, &error), VAEMARK_BAD_INPUT, "trial %zu", i);
        cr_expect(strstr(error.message, trials[i].says) != NULL, "%s lacks %s", error.message, trials[i].says);
    }
    struct vaemark_tensor tensors[2] = {noise, good}; /* any order */
    struct error error = {.status = VAEMARK_OK};
    cr_expect_eq(infer_noisy(tensors, 2, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_eq(infer_noisy(tensors + 1, 1, &error), VAEMARK_BAD_INPUT);
    cr_expect(strstr(error.message, "input noise.0 is missing") != NULL, "%s", error.message);
    transposed.strides[2] = 1;
    transposed.strides[3] = 3;
    tensors[1] = transposed;
    cr_expect_eq(infer_noisy(tensors, 2, &error), VAEMARK_BAD_INPUT);
    cr_expect(strstr(error.message, "contiguous") != NULL, "%s", error.message);
}

/* By hand: conv_in 2*8*35*4*9, three projections and to_out 2*8*35*8 each, attention 4*8*35*35, conv_out 2*3*35*8*9. */
Test(graph, counts_operations_and_traffic) {
    struct vaemark_graph *graph = graphs_attention();
    struct vaemark_tensor latents = latents_of(1, 4, 5, 7);
    const struct vaemark_tensors inputs = {.items = &latents, .count = 1};
    struct shape shapes[MAX_VALUES];

    cr_assert_eq(graph_infer_shapes(graph, &inputs, shapes, NULL), VAEMARK_OK);
    cr_expect_eq(graph_flops(graph, shapes), 2 * 8 * 35 * 36 + 4 * 2 * 8 * 35 * 8 + 4 * 8 * 35 * 35 + 2 * 3 * 35 * 72);
    cr_expect_eq(graph_node_bytes(graph, &graph->nodes[0], shapes, 4), 4 * (4 * 35 + 8 * 35 + 8 * 36 + 8));
    cr_expect_eq(graph_parameter_elements(graph), 8 * 36 + 8 + 16 + 4 * (64 + 8) + 3 * 72 + 3);
    graph_free(graph);
}

/* Large pictures: operation counts beyond 2^32, and no wrap where they would exceed 2^64. */
Test(graph, counts_in_64_bits_and_saturates) {
    struct vaemark_graph *graph = graphs_attention();
    struct vaemark_tensor latents = latents_of(1, 4, 1024, 1024);
    const struct vaemark_tensors inputs = {.items = &latents, .count = 1};
    struct shape shapes[MAX_VALUES];

    cr_assert_eq(graph_infer_shapes(graph, &inputs, shapes, NULL), VAEMARK_OK);
    cr_expect_gt(graph_flops(graph, shapes), 4 * 8 * (UINT64_C(1) << 40));
    latents = latents_of(1, 4, 1 << 27, 1 << 27);
    cr_assert_eq(graph_infer_shapes(graph, &inputs, shapes, NULL), VAEMARK_OK);
    cr_expect_eq(graph_flops(graph, shapes), UINT64_MAX);
    graph_free(graph);
}

Test(graph, knows_the_last_reader_of_each_value) {
    struct vaemark_graph *graph = graphs_attention();
    int32_t last[MAX_VALUES];

    graph_last_uses(graph, last);
    cr_expect_eq(last[graph->inputs[0].value], 0);
    cr_expect_eq(last[graph->nodes[0].output], 7, "the residual reads conv_in's output");
    cr_expect_eq(last[graph->nodes[1].output], 4, "to_v reads the norm last");
    cr_expect_eq(last[graph->output], (int32_t)graph->node_count);
    graph_free(graph);
}

/* A copy owns its strings: it must survive the original (address sanitizer watches). */
Test(graph, clones_deeply) {
    static const double scale[] = {1, 2, 3, 4}, shift[] = {5, 6, 7, 8};
    struct builder b;
    struct vaemark_graph *graph, *copy;
    value x;

    builder_begin(&b);
    x = builder_affine(&b, builder_input(&b, "latents", 4, 4, 1), scale, shift, 4);
    x = builder_linear(&b, x, 4, 2, "m");
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    copy = graph_clone(graph);
    cr_assert_not_null(copy);
    cr_expect_neq(copy->nodes[0].attributes.affine.scale, graph->nodes[0].attributes.affine.scale);
    graph_free(graph);
    cr_expect_str_eq(copy->parameters[0].name, "m.weight");
    cr_expect_str_eq(copy->parameters[0].tensor.name, "m.weight");
    cr_expect_str_eq(copy->inputs[0].name, "latents");
    cr_expect_eq(copy->nodes[0].attributes.affine.shift[3], 8);
    cr_expect_eq(copy->output, x);
    graph_free(copy);
    graph_free(NULL);
}

/* What a plug-in sees. */
Test(graph, is_read_through_the_api) {
    static const double scale[] = {1, 2, 3, 4}, shift[] = {5, 6, 7, 8};
    struct builder b;
    struct vaemark_graph *graph;
    value x, y;

    builder_begin(&b);
    x = builder_affine(&b, builder_input(&b, "latents", 4, 4, 1), scale, shift, 4);
    x = strided(&b, x);
    x = builder_group_norm(&b, x, 6, 3, 1e-5, "n");
    y = builder_weighted_add(&b, 0.5, x, 2, x);
    cr_assert_eq(builder_finish(&b, y, &graph, NULL), VAEMARK_OK);
    cr_expect_eq(graph_api.node_count(graph), 4);
    cr_expect_str_eq(graph_api.node_op(graph, 1), "conv2d");
    cr_expect_str_eq(graph_api.node_module(graph, 2), "n");
    cr_expect_eq(graph_api.node_attribute(graph, 0, "scale.2", -1), 3);
    cr_expect_eq(graph_api.node_attribute(graph, 0, "shift.3", -1), 8);
    cr_expect_eq(graph_api.node_attribute(graph, 0, "shift.4", -1), -1);
    cr_expect_eq(graph_api.node_attribute(graph, 1, "stride", -1), 2);
    cr_expect_eq(graph_api.node_attribute(graph, 1, "groups", -1), 1);
    cr_expect_eq(graph_api.node_attribute(graph, 1, "epsilon", -1), -1);
    cr_expect_eq(graph_api.node_attribute(graph, 2, "epsilon", -1), 1e-5);
    cr_expect_eq(graph_api.node_attribute(graph, 3, "beta", -1), 2);
    cr_expect_eq(graph_api.node_input(graph, 3, 1), (size_t)x);
    cr_expect_eq(graph_api.node_parameter_count(graph, 1), 2);
    cr_expect_eq(graph_api.parameter_tensor(graph, graph_api.node_parameter(graph, 1, 0))->shape[2], 4);
    cr_expect_str_eq(graph_api.input_name(graph, 0), "latents");
    cr_expect_eq(graph_api.output_value(graph), (size_t)y);
    graph_free(graph);
}
