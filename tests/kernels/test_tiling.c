/* Tiles and slices on cpu: the reference's result, planned memory, options in any order. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "reference/executor.h"
#include "reference/tiling.h"
#include "tests/kernels/support_graphs.h"

static struct vaemark_option option_boolean(const char *key, int32_t on) {
    return (struct vaemark_option){.key = key, .type = VAEMARK_BOOLEAN, .value.boolean = on};
}

static struct vaemark_option option_text(const char *key, const char *text) {
    return (struct vaemark_option){.key = key, .type = VAEMARK_TEXT, .value.text = text};
}

/* Attention and norms see their whole tile, so that a decode in other tiles is another picture. */
static void make_case(struct graph_case *c, const struct graph_tiling *tiling, int32_t factor, int64_t batch,
                      int64_t height, int64_t width) {
    graph_case_decoder(c, factor);
    graph_case_inputs(c, batch, height, width, 0.0f, 6);
    c->graph->tiling = *tiling;
    c->graph->tiling.factor = factor;
    c->graph->tiling.out_channels = 3;
    if (tiling->algorithm == GRAPH_TILING_CANVAS) {
        c->model.vae_type = "AutoencoderTiny";
    }
}

static const struct graph_tiling NEIGHBOURS = {.algorithm = GRAPH_TILING_NEIGHBOURS, .sample_size = 16};
static const struct graph_tiling CANVAS = {.algorithm = GRAPH_TILING_CANVAS};
/* Overlaps of more than half a tile; and gaps. */
static const struct graph_tiling STRIDES = {
    .algorithm = GRAPH_TILING_STRIDES, .tile = 16, .stride = 6, .patch = 2, .crops = true};
static const struct graph_tiling GAPS = {.algorithm = GRAPH_TILING_STRIDES, .tile = 8, .stride = 12};

static struct vaemark_tensor decode_with(const struct graph_case *c, const struct vaemark_backend *backend,
                                         const struct vaemark_option *options, size_t count) {
    struct counting_host host;
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(c, backend, &host.host, NULL);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(backend->set_option(decoder, &options[i], NULL), VAEMARK_OK);
    }
    struct vaemark_tensor image = support_decode(backend, decoder, &c->inputs);
    backend->close(decoder);
    cr_assert_eq(host.blocks, 0);
    return image;
}

/* NaN where there is one. */
static double largest_difference(const struct vaemark_tensor *a, const struct vaemark_tensor *b, double *largest) {
    const struct shape shape = tensor_shape(a), other = tensor_shape(b);
    double worst = 0;
    cr_assert(shape_equal(&shape, &other), "another shape");
    *largest = 0;
    for (int64_t i = 0; i < shape_element_count(&shape); i++) {
        double x, y;
        tensor_read_f64(&x, a, i, 1);
        tensor_read_f64(&y, b, i, 1);
        worst = fabs(x - y) <= worst ? worst : fabs(x - y);
        *largest = fmax(*largest, fabs(y));
    }
    return worst;
}

/* Against the reference, tiled alike, with the bound of graph_case_expect(). */
static void expect_reference(const struct graph_case *c, const struct vaemark_tensor *found,
                             const struct vaemark_option *tiling, const char *what) {
    const struct vaemark_option options[] = {*tiling, option_text("precision", "fp64")};
    struct vaemark_tensor single = decode_with(c, &reference_backend, options, 1);
    struct vaemark_tensor exact = decode_with(c, &reference_backend, options, 2);
    double peak;
    const double own = largest_difference(&single, &exact, &peak), bound = 16 * own + 4e-6 * peak;
    const double error = largest_difference(found, &exact, &peak);
    cr_expect(error <= bound, "%s: off by %g, bound %g, largest %g", what, error, bound, peak);
    support_image_free(&single);
    support_image_free(&exact);
}

/* Three sizes an axis, so nine plans; and with the batch in slices. */
Test(tiling, agrees_with_the_reference) {
    const struct {
        const struct graph_tiling *tiling;
        int32_t factor;
        int64_t batch, height, width;
        const char *text; /* NULL: on */
    } cases[] = {
        {&NEIGHBOURS, 2, 1, 13, 19, NULL},       {&NEIGHBOURS, 2, 2, 9, 3, NULL}, {&NEIGHBOURS, 3, 1, 9, 11, NULL},
        {&NEIGHBOURS, 3, 1, 9, 11, "corrected"}, {&CANVAS, 8, 1, 57, 3, NULL},    {&CANVAS, 2, 2, 3, 59, "corrected"},
        {&STRIDES, 2, 2, 13, 9, NULL},           {&GAPS, 2, 1, 13, 5, NULL},      {&GAPS, 2, 1, 13, 5, "corrected"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct graph_case c;
        make_case(&c, cases[i].tiling, cases[i].factor, cases[i].batch, cases[i].height, cases[i].width);
        const struct vaemark_option options[] = {cases[i].text ? option_text("tiling", cases[i].text)
                                                               : option_boolean("tiling", 1),
                                                 option_boolean("slicing", 1)};
        struct vaemark_tensor found = decode_with(&c, &cpu_backend, options, 1);
        struct vaemark_tensor sliced = decode_with(&c, &cpu_backend, options, 2);
        expect_reference(&c, &found, options, cases[i].text ? cases[i].text : "on");
        cr_expect(support_images_identical(&found, &sliced), "slices changed something");
        support_image_free(&found);
        support_image_free(&sliced);
        graph_case_free(&c);
    }
}

Test(tiling, is_the_whole_decode_where_one_tile_holds_everything) {
    const struct graph_tiling *const models[] = {&NEIGHBOURS, &CANVAS};
    const int64_t sizes[] = {2, 9};
    for (int i = 0; i < 2; i++) {
        struct graph_case c;
        make_case(&c, models[i], 8, 1, sizes[i], sizes[i]);
        const struct vaemark_option tiling = option_boolean("tiling", 1);
        struct vaemark_tensor plain = decode_with(&c, &cpu_backend, NULL, 0);
        struct vaemark_tensor tiled = decode_with(&c, &cpu_backend, &tiling, 1);
        cr_expect(support_images_identical(&plain, &tiled));
        support_image_free(&plain);
        support_image_free(&tiled);
        graph_case_free(&c);
    }
}

/* ---- Memory and the trace ---- */

struct prepared {
    uint64_t activations, workspace, flops, linears;
};

/* What a decode asked of the host, held against the plan, and its trace. */
static struct prepared decode_prepared(const struct graph_case *c, const struct vaemark_option *options, size_t count) {
    struct prepared found = {0};
    struct counting_host host;
    struct vaemark_memory memory;
    struct vaemark_trace trace;
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(c, &cpu_backend, &host.host, NULL);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(cpu_backend.set_option(decoder, &options[i], NULL), VAEMARK_OK);
    }
    struct vaemark_tensor image = support_decode(&cpu_backend, decoder, &c->inputs);
    cr_assert_eq(cpu_backend.memory(decoder, &memory, NULL), VAEMARK_OK);
    cr_assert_eq(cpu_backend.trace(decoder, &trace, NULL), VAEMARK_OK);
    for (size_t i = 0; i < trace.count; i++) {
        found.flops += trace.entries[i].flops;
        found.linears += strcmp(trace.entries[i].op, "linear") == 0;
    }
    found.activations = memory.planned_bytes[VAEMARK_MEMORY_ACTIVATIONS];
    found.workspace = memory.planned_bytes[VAEMARK_MEMORY_WORKSPACE];
    cr_expect_eq(found.activations, host.peak_bytes[VAEMARK_MEMORY_ACTIVATIONS]);
    cr_expect_eq(found.workspace, host.peak_bytes[VAEMARK_MEMORY_WORKSPACE]);
    support_image_free(&image);
    cpu_backend.close(decoder);
    return found;
}

Test(tiling, plans_its_memory_and_traces_every_tile) {
    const struct vaemark_option tiling[] = {option_boolean("tiling", 1), option_boolean("slicing", 1)};
    struct graph_case c;
    struct tiling plan;
    const struct tiling_request request = {.mode = TILING_ON};
    uint64_t flops;
    make_case(&c, &NEIGHBOURS, 2, 2, 19, 13);
    const struct prepared whole = decode_prepared(&c, NULL, 0), tiled = decode_prepared(&c, tiling, 1);
    const struct prepared sliced = decode_prepared(&c, tiling + 1, 1), both = decode_prepared(&c, tiling, 2);
    cr_expect_lt(sliced.activations, whole.activations);
    cr_expect_lt(both.activations, tiled.activations);
    cr_assert_eq(tiling_plan(c.graph, &c.inputs, &request, &plan, NULL), VAEMARK_OK);
    cr_assert_eq(tiling_flops(c.graph, &plan, &c.inputs, &flops, NULL), VAEMARK_OK);
    cr_expect_eq(tiled.flops, flops);
    cr_expect_eq(both.flops, flops);
    cr_expect_eq(sliced.flops, whole.flops);
    cr_expect_eq(whole.linears, 4);
    cr_expect_eq(tiled.linears, 4 * 4 * 3, "a tile's projections count each");
    cr_expect_eq(both.linears, 2 * 4 * 4 * 3);
    graph_case_free(&c);
}

/* ---- Options in any order ---- */

static void set(struct vaemark_decoder *decoder, struct vaemark_option option, enum vaemark_status status) {
    struct vaemark_message message = {""};
    cr_assert_eq(cpu_backend.set_option(decoder, &option, &message), status, "%s: %s", option.key, message.text);
}

/* Tiling, slicing and fusing go on and off around each other on a decoder in use, and leave nothing behind. */
Test(tiling, options_come_and_go_in_any_order) {
    struct graph_case c;
    struct counting_host host;
    make_case(&c, &NEIGHBOURS, 2, 2, 9, 11);
    counting_host_init(&host);
    const struct vaemark_option tiling = option_boolean("tiling", 1);
    struct vaemark_tensor tiled = decode_with(&c, &cpu_backend, &tiling, 1);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    struct vaemark_tensor plain = support_decode(&cpu_backend, decoder, &c.inputs);
    const size_t before = counting_host_current(&host);
    for (int round = 0; round < 2; round++) {
        set(decoder, option_boolean(round ? "fuse_qkv" : "tiling", 1), VAEMARK_OK);
        set(decoder, option_boolean("slicing", 1), VAEMARK_OK);
        set(decoder, option_boolean(round ? "tiling" : "fuse_qkv", 1), VAEMARK_OK);
        struct vaemark_tensor all = support_decode(&cpu_backend, decoder, &c.inputs);
        expect_reference(&c, &all, &tiling, "tiled, sliced and fused");
        support_image_free(&all);
        set(decoder, option_boolean("slicing", 0), VAEMARK_OK);
        set(decoder, option_boolean("fuse_qkv", 0), VAEMARK_OK);
        struct vaemark_tensor again = support_decode(&cpu_backend, decoder, &c.inputs);
        cr_expect(support_images_identical(&again, &tiled));
        support_image_free(&again);
        set(decoder, option_boolean("tiling", 0), VAEMARK_OK);
        again = support_decode(&cpu_backend, decoder, &c.inputs);
        cr_expect(support_images_identical(&again, &plain));
        cr_expect_eq(counting_host_current(&host), before);
        support_image_free(&again);
    }
    support_image_free(&plain);
    support_image_free(&tiled);
    cpu_backend.close(decoder);
    cr_expect_eq(host.blocks, 0);
    graph_case_free(&c);
}

/* Where `on` has nothing to agree with, or memory ends, the decoder stays what it was. */
Test(tiling, failure_changes_nothing) {
    struct graph_case c;
    struct counting_host host;
    struct vaemark_option value_now;
    struct graph_tiling list = NEIGHBOURS;
    list.sample_size_is_list = true;
    make_case(&c, &list, 2, 1, 9, 11);
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    struct vaemark_tensor plain = support_decode(&cpu_backend, decoder, &c.inputs);
    const size_t before = counting_host_current(&host);
    set(decoder, option_boolean("tiling", 1), VAEMARK_UNSUPPORTED_OPTION);
    host.fail_at = host.requests + 1;
    set(decoder, option_text("tiling", "corrected"), VAEMARK_OUT_OF_MEMORY);
    host.fail_at = 0;
    cr_assert_eq(cpu_backend.get_property(decoder, "tiling", &value_now, NULL), VAEMARK_OK);
    cr_expect(value_now.type == VAEMARK_BOOLEAN && value_now.value.boolean == 0);
    cr_expect_eq(counting_host_current(&host), before);
    struct vaemark_tensor after = support_decode(&cpu_backend, decoder, &c.inputs);
    cr_expect(support_images_identical(&plain, &after));
    set(decoder, option_text("tiling", "corrected"), VAEMARK_OK);
    cr_assert_eq(cpu_backend.get_property(decoder, "tiling", &value_now, NULL), VAEMARK_OK);
    cr_expect(value_now.type == VAEMARK_TEXT && strcmp(value_now.value.text, "corrected") == 0);
    support_image_free(&after);
    support_image_free(&plain);
    cpu_backend.close(decoder);
    graph_case_free(&c);
}

Test(tiling, is_refused_where_the_framework_ignores_it) {
    static const char *const keys[] = {"tiling", "slicing"};
    struct graph_case c;
    make_case(&c, &(struct graph_tiling){0}, 2, 1, 9, 11);
    c.model.vae_type = "ConsistencyDecoderVAE";
    for (int i = 0; i < 2; i++) {
        const struct vaemark_option option = option_boolean(keys[i], 1);
        const struct vaemark_options options = {.items = &option, .count = 1};
        struct vaemark_message message = {""};
        struct counting_host host;
        struct vaemark_decoder *decoder = NULL;
        counting_host_init(&host);
        cr_expect_eq(cpu_backend.open(&host.host, &c.model, &options, &decoder, &message), VAEMARK_UNSUPPORTED_OPTION);
        cr_expect(decoder == NULL && host.requests == 0);
        cr_expect(strstr(message.text, "ConsistencyDecoderVAE") && strstr(message.text, keys[i]), "%s", message.text);
    }
    graph_case_free(&c);
}
