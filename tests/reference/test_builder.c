#include <criterion/criterion.h>
#include <string.h>

#include "reference/builder.h"

/* A module that runs twice, as the UNet of two steps does, has one set of weights. */
Test(builder, shares_the_parameters_of_a_module_that_runs_twice) {
    struct builder b;
    struct vaemark_graph *graph;
    value x;

    builder_begin(&b);
    x = builder_input(&b, "latents", 4, 4, 1);
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 4, .out = 4}, "unet.conv");
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 4, .out = 4}, "unet.conv");
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    cr_expect_eq(graph->parameter_count, 2);
    cr_expect_eq(graph->nodes[0].parameters[1], graph->nodes[1].parameters[1]);
    graph_free(graph);
}

Test(builder, gives_convolutions_their_defaults) {
    struct builder b;
    struct vaemark_graph *graph;
    value x;

    builder_begin(&b);
    x = builder_input(&b, "latents", 4, 6, 1);
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 6, .out = 4}, "three");
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 4, .out = 8, .kernel = 1, .groups = 2, .no_bias = true},
                       "one");
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    cr_expect_eq(graph->nodes[0].attributes.conv2d.padding, 1);
    cr_expect_eq(graph->nodes[0].attributes.conv2d.stride, 1);
    cr_expect_eq(graph->nodes[1].attributes.conv2d.padding, 0);
    cr_expect_eq(graph->nodes[1].parameter_count, 1);
    cr_expect(shape_equal(&graph->parameters[2].shape, &(struct shape){4, {8, 2, 1, 1}}));
    graph_free(graph);
}

/* Numbers of a configuration that cannot be: said once, with the module, and nothing after it does anything. */
static value impossible_groups(struct builder *b, value x) {
    return builder_group_norm(b, x, 4, 3, 1e-6, "decoder.norm");
}
static value no_channels(struct builder *b, value x) {
    return builder_conv2d(b, x, (struct conv2d_options){.in = 4, .out = 0}, "decoder.norm");
}
static value negative_channels(struct builder *b, value x) {
    return builder_linear(b, x, -4, 4, "decoder.norm");
}
static value absurd_channels(struct builder *b, value x) {
    return builder_linear(b, x, INT64_MAX / 2, 4, "decoder.norm");
}
static value unaddressable_channels(struct builder *b, value x) {
    return builder_linear(b, x, INT64_C(1) << 57, 4, "decoder.norm"); /* counts, but not in bytes of a workspace */
}
static value row_outside(struct builder *b, value x) {
    (void)x;
    return builder_embedding(b, 4, 2, 4, "decoder.norm");
}
static value two_shapes(struct builder *b, value x) {
    return builder_linear(b, builder_linear(b, x, 4, 4, "decoder.norm"), 4, 5, "decoder.norm");
}

Test(builder, keeps_its_first_error) {
    static value (*const makes[])(struct builder *,
                                  value) = {impossible_groups,      no_channels, negative_channels, absurd_channels,
                                            unaddressable_channels, row_outside, two_shapes};

    for (size_t i = 0; i < sizeof makes / sizeof makes[0]; i++) {
        struct builder b;
        struct vaemark_graph *graph = (struct vaemark_graph *)1;
        struct error error = {.status = VAEMARK_OK};
        value x;

        builder_begin(&b);
        x = builder_input(&b, "latents", 4, 4, 1);
        x = makes[i](&b, x);
        cr_expect_eq(x, -1, "trial %zu", i);
        x = builder_silu(&b, builder_group_norm(&b, x, 5, 4, 1e-6, "later"));
        cr_expect_eq(builder_finish(&b, x, &graph, &error), VAEMARK_BAD_INPUT, "trial %zu", i);
        cr_expect_null(graph);
        cr_expect(strstr(error.where, "decoder.norm") != NULL, "trial %zu: %s", i, error.where);
    }
}

/* Values that nobody made, and an output that is none, are mistakes of a builder file. */
Test(builder, notices_values_from_nowhere) {
    struct builder b;
    struct vaemark_graph *graph;

    builder_begin(&b);
    cr_expect_eq(builder_silu(&b, 7), -1);
    cr_expect_eq(builder_finish(&b, 0, &graph, NULL), VAEMARK_INTERNAL);
    builder_begin(&b);
    cr_expect_eq(builder_finish(&b, -1, &graph, NULL), VAEMARK_INTERNAL);
}

/* More nodes than the first allocation of the lists holds. */
Test(builder, grows) {
    struct builder b;
    struct vaemark_graph *graph;
    value x;

    builder_begin(&b);
    x = builder_input(&b, "latents", 4, 4, 1);
    for (int i = 0; i < 1000; i++) {
        x = builder_linear_no_bias(&b, x, 4, 4, builder_path(&b, "up_blocks.%d", i));
    }
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    cr_expect_eq(graph->node_count, 1000);
    cr_expect_str_eq(graph->parameters[999].name, "up_blocks.999.weight");
    cr_expect_str_eq(graph->nodes[7].module, "up_blocks.7");
    graph_free(graph);
}
