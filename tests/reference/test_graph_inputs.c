/* Inputs of the kinds that few models have: integer codes, one frame, conditions that may be absent; and parameters
 * that are a slice of what is stored. */
#include <criterion/criterion.h>
#include <string.h>

#include "reference/builder.h"
#include "tests/reference/support_graphs.h"

enum { MAX_VALUES = 32 };

static struct vaemark_graph *finish(struct builder *b, value output) {
    struct vaemark_graph *graph = NULL;
    struct error error = {.status = VAEMARK_OK};
    cr_assert_eq(builder_finish(b, output, &graph, &error), VAEMARK_OK, "%s", error.message);
    return graph;
}

static struct vaemark_tensor tensor_of(const char *name, enum vaemark_dtype dtype, struct shape shape, void *data) {
    return tensor_make(name, dtype, &shape, data);
}

/* Codes -> rows of a table of 5 x 3. */
static struct vaemark_graph *graph_of_codes(void) {
    struct builder b;
    builder_begin(&b);
    return finish(&b, builder_lookup(&b, builder_codes(&b, "latents", 5), 5, 3, "quantize.embedding"));
}

static enum vaemark_status infer(const struct vaemark_graph *graph, struct vaemark_tensor *items, size_t count,
                                 struct shape *shapes, struct error *error) {
    const struct vaemark_tensors inputs = {.items = items, .count = count};
    return graph_infer_shapes(graph, &inputs, shapes, error);
}

Test(graph_inputs, takes_integer_codes_and_nothing_else) {
    struct vaemark_graph *graph = graph_of_codes();
    const struct {
        struct vaemark_tensor tensor;
        const char *says; /* NULL: taken */
    } trials[] = {
        {tensor_of("latents", VAEMARK_I32, (struct shape){3, {2, 3, 4}}, NULL), NULL},
        {tensor_of("latents", VAEMARK_I64, (struct shape){3, {2, 3, 4}}, NULL), NULL},
        {tensor_of("latents", VAEMARK_F32, (struct shape){3, {2, 3, 4}}, NULL), "wanted integer codes"},
        {tensor_of("latents", VAEMARK_F32, (struct shape){4, {2, 3, 4, 4}}, NULL),
         "wanted integer codes (N,H,W), found 2x3x4x4 of F32"},
        {tensor_of("latents", VAEMARK_I32, (struct shape){3, {2, 0, 4}}, NULL), "at least 1"},
    };
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct vaemark_tensor tensor = trials[i].tensor;
        struct shape shapes[MAX_VALUES];
        struct error error = {.status = VAEMARK_OK};
        const enum vaemark_status status = infer(graph, &tensor, 1, shapes, &error);
        cr_expect_eq(status, trials[i].says ? VAEMARK_BAD_INPUT : VAEMARK_OK, "trial %zu: %s", i, error.message);
        cr_expect(!trials[i].says || strstr(error.message, trials[i].says), "%s", error.message);
        const struct shape wanted = {4, {2, 3, 3, 4}};
        cr_expect(trials[i].says || shape_equal(&shapes[graph->output], &wanted));
    }
    graph_free(graph);
}

/* What lies outside the table would be read outside of memory. */
Test(graph_inputs, refuses_codes_that_are_no_rows) {
    struct vaemark_graph *graph = graph_of_codes();
    const struct {
        int32_t codes[4];
        const char *says;
    } trials[] = {
        {{0, 4, 2, 3}, NULL},
        {{0, 4, 5, 9}, "the code at element 2 is 5, but the codebook has rows 0 to 4"},
        {{0, 0, 0, -1}, "the code at element 3 is -1"},
        {{INT32_MAX, 0, 0, 0}, "element 0 is 2147483647"},
    };
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        int64_t wide[4];
        int32_t codes[4];
        for (int k = 0; k < 4; k++) {
            wide[k] = codes[k] = trials[i].codes[k];
        }
        struct vaemark_tensor tensors[2] = {
            tensor_of("latents", VAEMARK_I32, (struct shape){3, {1, 2, 2}}, codes),
            tensor_of("latents", VAEMARK_I64, (struct shape){3, {1, 2, 2}}, wide),
        };
        for (int t = 0; t < 2; t++) {
            const struct vaemark_tensors inputs = {.items = &tensors[t], .count = 1};
            struct error error = {.status = VAEMARK_OK};
            cr_expect_eq(graph_check_codes(graph, &inputs, &error), trials[i].says ? VAEMARK_BAD_INPUT : VAEMARK_OK);
            cr_expect(!trials[i].says || strstr(error.message, trials[i].says), "%s", error.message);
        }
    }
    graph_free(graph);
}

/* Outside there is a frame axis, inside there is none. */
Test(graph_inputs, drops_the_frame_axis_inside) {
    struct builder b;
    builder_begin(&b);
    struct vaemark_graph *graph = finish(&b, builder_upsample_nearest(&b, builder_input(&b, "latents", 5, 4, 1), 2));
    struct vaemark_tensor latents = tensor_of("latents", VAEMARK_F32, (struct shape){5, {2, 4, 1, 3, 5}}, NULL);
    struct shape shapes[MAX_VALUES];
    struct error error = {.status = VAEMARK_OK};
    const struct shape inside = {4, {2, 4, 6, 10}}, outside = {5, {2, 4, 1, 6, 10}};

    graph->has_frames = true;
    cr_assert_eq(infer(graph, &latents, 1, shapes, &error), VAEMARK_OK, "%s", error.message);
    cr_expect(shape_equal(&shapes[graph->output], &inside) != 0);
    const struct shape image = graph_image_shape(graph, shapes);
    cr_expect(shape_equal(&image, &outside) != 0);

    latents = tensor_of("latents", VAEMARK_F32, (struct shape){4, {2, 4, 3, 5}}, NULL);
    cr_expect_eq(infer(graph, &latents, 1, shapes, &error), VAEMARK_BAD_INPUT);
    cr_expect(strstr(error.message, "wanted (N,4,1,H,W), found 2x4x3x5") != NULL, "%s", error.message);
    latents = tensor_of("latents", VAEMARK_F32, (struct shape){5, {2, 4, 3, 3, 5}}, NULL);
    cr_expect_eq(infer(graph, &latents, 1, shapes, &error), VAEMARK_BAD_INPUT);
    cr_expect(strstr(error.message, "one frame") != NULL, "%s", error.message);
    graph_free(graph);
}

/* latents, and of a picture and a mask that may be absent: a convolution of the picture, mixed in. */
static struct vaemark_graph *graph_with_condition(void) {
    struct builder b;
    builder_begin(&b);
    value x = builder_input(&b, "latents", 4, 4, 1);
    value image = builder_optional_input(&b, "condition.image", 3, 1);
    value mask = builder_optional_input(&b, "condition.mask", 1, 1);
    value y = builder_conv2d(&b, image, (struct conv2d_options){.in = 3, .out = 4}, "condition_encoder.0");
    return finish(&b, builder_silu(&b, builder_mix(&b, x, y, mask)));
}

Test(graph_inputs, leaves_out_what_an_absent_condition_would_feed) {
    struct vaemark_graph *graph = graph_with_condition();
    struct vaemark_tensor tensors[3] = {
        tensor_of("latents", VAEMARK_F32, (struct shape){4, {1, 4, 3, 5}}, NULL),
        tensor_of("condition.image", VAEMARK_F32, (struct shape){4, {1, 3, 3, 5}}, NULL),
        tensor_of("condition.mask", VAEMARK_F32, (struct shape){4, {1, 1, 3, 5}}, NULL),
    };
    struct shape shapes[MAX_VALUES];
    struct error error = {.status = VAEMARK_OK};

    cr_assert_eq(infer(graph, tensors, 3, shapes, &error), VAEMARK_OK, "%s", error.message);
    const uint64_t conditioned = graph_flops(graph, shapes);
    cr_expect_eq(conditioned, 2 * 4 * 15 * 27);
    cr_assert_eq(infer(graph, tensors, 1, shapes, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_eq(graph_flops(graph, shapes), 0);
    cr_expect_eq(graph_node_bytes(graph, &graph->nodes[0], shapes, 4), 0);
    cr_expect_eq(shapes[graph->nodes[0].output].rank, 0);
    cr_expect(shape_equal(&shapes[graph->output], &shapes[graph->inputs[0].value]) != 0);
    graph_free(graph);
}

/* Half a condition would be ignored in silence, as the framework does it. */
Test(graph_inputs, wants_all_of_a_condition_or_none) {
    struct vaemark_graph *graph = graph_with_condition();
    struct vaemark_tensor tensors[2] = {
        tensor_of("latents", VAEMARK_F32, (struct shape){4, {1, 4, 3, 5}}, NULL),
        tensor_of("condition.mask", VAEMARK_F32, (struct shape){4, {1, 1, 3, 5}}, NULL),
    };
    struct shape shapes[MAX_VALUES];
    struct error error = {.status = VAEMARK_OK};

    cr_expect_eq(infer(graph, tensors, 2, shapes, &error), VAEMARK_BAD_INPUT);
    cr_expect(strstr(error.message,
                     "condition.image is missing: this model wants it as (N,3,H,W), beside condition.mask") != NULL,
              "%s", error.message);
    graph_free(graph);
}

Test(graph_inputs, makes_shapes_of_every_kind) {
    const struct graph_input flat = {.rank = 4, .channels = 3, .scale = 8}, codes = {.rank = 3, .scale = 1},
                             frame = {.rank = 5, .channels = 16, .scale = 1};
    const struct shape wanted[] = {{4, {2, 3, 24, 40}}, {3, {2, 3, 5}}, {5, {2, 16, 1, 3, 5}}};
    const struct graph_input *inputs[] = {&flat, &codes, &frame};
    struct shape shape;
    for (int i = 0; i < 3; i++) {
        cr_expect(graph_input_shape(inputs[i], 2, 3, 5, &shape) && shape_equal(&shape, &wanted[i]), "input %d", i);
    }
    cr_expect_not(graph_input_shape(&flat, 1, INT64_MAX, 1, &shape));
}

/* (2,1,1,2) of frame 2 of 3: what a picture sees of a kernel over frames. Read across kernels, and from the middle. */
Test(graph_inputs, reads_one_frame_of_a_stored_kernel) {
    float stored[2 * 3 * 2];
    for (int i = 0; i < 12; i++) {
        stored[i] = (float)i;
    }
    struct graph_parameter parameter = {.name = "w", .shape = {4, {2, 1, 1, 2}}, .frames = 3, .frame = 2};
    const struct shape wanted = {5, {2, 1, 3, 1, 2}}, shape = parameter_stored_shape(&parameter);
    float found[4];
    double middle[2];

    cr_assert(shape_equal(&shape, &wanted) != 0);
    parameter.tensor = tensor_make("w", VAEMARK_F32, &shape, stored);
    parameter_read_f32(found, &parameter, 0, 4);
    cr_expect(found[0] == 4 && found[1] == 5 && found[2] == 10 && found[3] == 11);
    parameter_read_f64(middle, &parameter, 1, 2);
    cr_expect(middle[0] == 5 && middle[1] == 10);
}
