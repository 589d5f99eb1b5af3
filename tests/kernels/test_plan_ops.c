/* Each op that came with the convolutional transformers, codebooks and conditions, over shapes made to hurt. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "reference/builder_internal.h"
#include "reference/executor.h"
#include "tests/kernels/support_graphs.h"

static const char *const AUTOMATIC[] = {"threads=3", NULL};

struct awkward {
    const char *name;
    value (*build)(struct builder *b, int64_t channels);
    int64_t channels, images, height, width;
};

static value latents(struct builder *b, int64_t channels) {
    return builder_input(b, "latents", 4, channels, 1);
}

static value conv(struct builder *b, value x, struct conv2d_options options, const char *module) {
    return builder_conv2d(b, x, options, module);
}

static value rms_norm(struct builder *b, int64_t channels) {
    value x = builder_rms_norm(b, latents(b, channels), channels, 1e-5, 0.0, true, "weight", "n");
    x = conv(b, builder_silu(b, x), (struct conv2d_options){.in = channels, .out = channels}, "a");
    x = builder_relu(b, builder_rms_norm(b, x, channels, 0.0, 1e-12, false, "gamma", "m"));
    return builder_add(b, x, builder_rms_norm(b, builder_silu(b, x), channels, 1e-5, 0.0, true, "weight", "o"));
}

/* Read through everything that an operand can carry, and through what must be made first. */
static value rms_norm_read(struct builder *b, int64_t channels) {
    const double two = 2.0, one = 1.0;
    value x = builder_rms_norm(b, latents(b, channels), channels, 1e-5, 0.0, true, "weight", "n");
    const value up = builder_upsample_nearest(b, x, 2);
    value y = conv(b, builder_silu(b, up), (struct conv2d_options){.in = channels, .out = channels}, "a");
    y = builder_add(b, y, builder_affine(b, up, &two, &one, 1));
    y = builder_batch_norm(b, builder_rms_norm(b, y, channels, 0.0, 1e-3, false, "gamma", "m"), channels, 1e-5, "bn");
    const value joined = builder_concat(b, y, builder_slice(b, up, channels / 2, 1));
    return builder_rms_norm(b, joined, channels + 1, 1e-5, 0.0, true, "weight", "p");
}

static value batch_norm(struct builder *b, int64_t channels) {
    value x = builder_batch_norm(b, latents(b, channels), channels, 1e-5, "n");
    x = builder_relu(b, builder_batch_norm(b, x, channels, 1e-5, "m"));
    const value y = conv(b, x, (struct conv2d_options){.in = channels, .out = channels, .no_bias = true}, "a");
    return builder_add(b, x, builder_batch_norm(b, y, channels, 1e-5, "o"));
}

/* Both dead behind it, one alive, the same twice, a mask, a view of itself, a sum behind it. */
static value multiply(struct builder *b, int64_t channels) {
    const struct conv2d_options same = {.in = channels, .out = channels};
    value x = latents(b, channels);
    value y = builder_multiply(b, conv(b, x, same, "a"), builder_silu(b, conv(b, x, same, "b")));
    y = builder_add(b, builder_multiply(b, x, y), x);
    y = builder_multiply(b, y, y);
    y = builder_multiply(b, y, builder_slice(b, y, 0, 1));
    y = builder_relu(b, builder_multiply(b, y, builder_linear(b, x, channels, 1, "mask")));
    return builder_multiply(b, builder_upsample_nearest(b, y, 2),
                            builder_upsample_nearest(b, builder_linear(b, y, channels, channels, "d"), 2));
}

/* norm(f) * y(q) + b(q), q small and enlarged: MoVQ. */
static value spatial_norm(struct builder *b, int64_t channels) {
    const value z = latents(b, 4), q = builder_upsample_nearest(b, z, 4);
    const struct conv2d_options pointwise = {.in = 4, .out = channels, .kernel = 1};
    value f = builder_upsample_nearest(b, conv(b, z, (struct conv2d_options){.in = 4, .out = channels}, "in"), 2);
    f = builder_upsample_nearest(b, conv(b, f, (struct conv2d_options){.in = channels, .out = channels}, "mid"), 2);
    value y = builder_group_norm(b, f, channels, 1, 1e-6, "n");
    y = builder_add(b, builder_multiply(b, y, conv(b, q, pointwise, "y")), conv(b, q, pointwise, "b"));
    y = conv(b, builder_silu(b, y), (struct conv2d_options){.in = channels, .out = channels}, "c");
    return builder_add(b, conv(b, builder_silu(b, q), pointwise, "d"), builder_add(b, y, f));
}

static value mix(struct builder *b, int64_t channels) {
    const value x = latents(b, channels), z = builder_input(b, "noise.0", 4, channels, 1),
                m = builder_input(b, "noise.1", 4, 1, 1);
    value y = builder_mix(b, builder_relu(b, x), builder_linear(b, z, channels, channels, "a"), m);
    y = builder_relu(b, builder_add(b, builder_mix(b, y, x, m), z));
    return builder_mix(b, y, y, builder_slice(b, y, channels - 1, 1));
}

static value clamp(struct builder *b, int64_t channels) {
    value x = builder_clamp(b, builder_silu(b, latents(b, channels)), 0.25, 0.5);
    x = conv(b, x, (struct conv2d_options){.in = channels, .out = channels, .kernel = 1}, "a");
    return builder_clamp(b, x, -0.125, 2.0);
}

static value subsample(struct builder *b, int64_t channels) {
    value x = builder_upsample_nearest(b, latents(b, channels), 6);
    x = builder_subsample(b, builder_silu(b, x), 2);
    return builder_subsample(b, conv(b, x, (struct conv2d_options){.in = channels, .out = channels}, "a"), 3);
}

static value pixel_shuffle(struct builder *b, int64_t channels) {
    const int64_t out = channels / 4;
    value x = conv(b, latents(b, channels), (struct conv2d_options){.in = channels, .out = channels}, "a");
    value y =
        builder_channels_to_space(b, builder_silu(b, x), (struct channels_to_space){2, out, 4, 2, 1, 0, 0}); /* torch */
    value z = builder_channels_to_space(b, x, (struct channels_to_space){2, out, 1, 2 * out, out, 0, 0}); /* Hunyuan */
    y = builder_relu(b, builder_add(b, y, z));
    z = builder_channels_to_space(b, builder_upsample_nearest(b, x, 2),
                                  (struct channels_to_space){2, out, 4, 1, 2, 0, 0}); /* Wan's patches */
    return builder_add(b, builder_upsample_nearest(b, y, 2), z);
}

/* Channels repeated, alone and while they become pixels, from the middle; in the place of what is added. */
static value repeated(struct builder *b, int64_t channels) {
    const value x = latents(b, channels);
    value y = conv(b, x, (struct conv2d_options){.in = channels, .out = 3 * channels}, "a");
    y = builder_add(b, y, builder_repeat_channels(b, x, channels, 3));
    value z =
        conv(b, builder_upsample_nearest(b, y, 3), (struct conv2d_options){.in = 3 * channels, .out = channels}, "b");
    z = builder_add(b, z, builder_channels_to_space(b, x, (struct channels_to_space){3, channels, 9, 3, 1, 0, 9}));
    return builder_add(b, z, builder_channels_to_space(b, x, (struct channels_to_space){3, channels, 18, 3, 1, 9, 18}));
}

static value lookup(struct builder *b, int64_t channels) {
    const value x = builder_lookup(b, builder_codes(b, "latents", 50), 50, channels, "quantize.embedding");
    return conv(b, x, (struct conv2d_options){.in = channels, .out = channels}, "a");
}

static value quantize(struct builder *b, int64_t channels) {
    const value x = builder_silu(b, latents(b, channels));
    struct graph_node node = {.op = OP_QUANTIZE, .inputs = {x}, .input_count = 1, .parameter_count = 1};
    node.parameters[0] = builder_parameter(b, "quantize.embedding", "weight",
                                           (struct shape){.rank = 2, .dims = {37, channels}}, PARAMETER_TABLE, 1.0);
    return builder_node(b, node, "quantize");
}

static value convolutions(struct builder *b, int64_t channels) {
    value x = latents(b, channels);
    x = conv(b, x, (struct conv2d_options){.in = channels, .out = 2 * channels, .kernel = 4, .stride = 2, .padding = 1},
             "a");
    value y = conv(b, builder_silu(b, x),
                   (struct conv2d_options){.in = 2 * channels, .out = 2 * channels, .groups = (int32_t)(2 * channels)},
                   "dw3");
    y = builder_add(b, x, y);
    y = conv(
        b, y,
        (struct conv2d_options){
            .in = 2 * channels, .out = 2 * channels, .kernel = 5, .groups = (int32_t)(2 * channels), .no_bias = true},
        "dw5");
    y = conv(b, y,
             (struct conv2d_options){
                 .in = 2 * channels, .out = 2 * channels, .stride = 2, .groups = (int32_t)(2 * channels)},
             "dws");
    return conv(b, y, (struct conv2d_options){.in = 2 * channels, .out = 4 * channels, .kernel = 1, .groups = 2}, "g");
}

static value linear_attention_of(struct builder *b, int64_t channels, int64_t heads) {
    const value x = conv(b, latents(b, 4), (struct conv2d_options){.in = 4, .out = 3 * channels * heads}, "in");
    const value y = conv(b, x,
                         (struct conv2d_options){.in = 3 * channels * heads,
                                                 .out = 3 * channels * heads,
                                                 .kernel = 5,
                                                 .groups = (int32_t)(3 * channels * heads)},
                         "proj_in");
    return builder_linear_attention(b, builder_concat(b, x, y), (int32_t)channels, 1e-15, "attn");
}

static value linear_attention(struct builder *b, int64_t channels) {
    return linear_attention_of(b, channels, 2);
}

static value linear_attention_one_head(struct builder *b, int64_t channels) {
    const value x = builder_silu(b, latents(b, 3 * channels));
    return builder_linear_attention(b, x, (int32_t)channels, 1e-5, "attn");
}

static value packed_attention(struct builder *b, int64_t channels) {
    const value x = conv(b, latents(b, 4), (struct conv2d_options){.in = 4, .out = 3 * channels}, "to_qkv");
    return builder_node(b, (struct graph_node){.op = OP_ATTENTION, .inputs = {x}, .input_count = 1}, "attn");
}

static value frames(struct builder *b, int64_t channels) {
    const value x = builder_input(b, "latents", 5, channels, 1);
    return conv(b, x, (struct conv2d_options){.in = channels, .out = 3, .frames = 3}, "a");
}

#define ON_CHANNELS(name, build, height, width)                                                             \
    {name ", 3 channels", build, 3, 1, height, width}, {name ", 12 channels", build, 12, 2, height, width}, \
        {name ", 20 channels", build, 20, 1, height, width}, {                                              \
        name ", 48 channels", build, 48, 2, height, width                                                   \
    }
#define ON_EVEN_CHANNELS(name, build, height, width)                                                        \
    {name ", 4 channels", build, 4, 1, height, width}, {name ", 12 channels", build, 12, 2, height, width}, \
        {name ", 64 channels", build, 64, 2, height, width}, {                                              \
        name ", 96 channels", build, 96, 1, height, width                                                   \
    }

static const struct awkward AWKWARD[] = {
    ON_CHANNELS("rms norm", rms_norm, 5, 7),
    ON_CHANNELS("rms norm, one pixel", rms_norm, 1, 1),
    {"rms norm, many pixels", rms_norm, 20, 2, 33, 31},
    ON_CHANNELS("rms norm, read", rms_norm_read, 5, 7),
    ON_CHANNELS("batch norm", batch_norm, 5, 7),
    ON_CHANNELS("multiply", multiply, 5, 7),
    {"multiply, many pixels", multiply, 20, 1, 17, 19},
    ON_CHANNELS("spatial norm", spatial_norm, 3, 5),
    ON_CHANNELS("mix", mix, 5, 7),
    {"mix, one channel", mix, 1, 2, 3, 50},
    ON_CHANNELS("clamp", clamp, 5, 7),
    ON_CHANNELS("subsample", subsample, 2, 3),
    {"subsample, many columns", subsample, 3, 1, 2, 140},
    ON_EVEN_CHANNELS("pixel shuffle", pixel_shuffle, 3, 5),
    ON_EVEN_CHANNELS("pixel shuffle, many columns", pixel_shuffle, 1, 131),
    ON_CHANNELS("repeated", repeated, 3, 5),
    {"repeated, many columns", repeated, 12, 1, 1, 131},
    ON_CHANNELS("lookup", lookup, 5, 7),
    ON_CHANNELS("quantize", quantize, 5, 7),
    ON_CHANNELS("convolutions", convolutions, 9, 13),
    {"convolutions, groups of panels", convolutions, 16, 2, 11, 70},
    /* not of 3 channels: all of a pixel's q may be nearly zero then, where the quotient jumps when bf16 rounds */
    {"linear attention, 5 channels", linear_attention, 5, 1, 9, 17},
    {"linear attention, 12 channels", linear_attention, 12, 2, 9, 17},
    {"linear attention, 20 channels", linear_attention, 20, 1, 9, 17},
    {"linear attention, 48 channels", linear_attention, 48, 2, 9, 17},
    ON_CHANNELS("linear attention, one pixel", linear_attention, 1, 1),
    {"linear attention, aligned", linear_attention, 32, 2, 12, 13},
    {"linear attention, as many pixels as channels", linear_attention, 32, 1, 4, 8},
    ON_CHANNELS("linear attention, one head", linear_attention_one_head, 3, 5),
    ON_CHANNELS("packed attention", packed_attention, 5, 7),
    {"packed attention, aligned", packed_attention, 32, 1, 17, 19},
    ON_CHANNELS("frames", frames, 5, 7),
};

static void awkward_case(struct graph_case *c, size_t i) {
    const struct awkward *awkward = &AWKWARD[i];
    struct builder b;
    builder_begin(&b);
    graph_case_init(c, &b, awkward->build(&b, awkward->channels), i + 1);
    graph_case_inputs(c, awkward->images, awkward->height, awkward->width, 0.0f, i + 100);
}

Test(plan_ops, agree_with_the_reference) {
    for (size_t i = 0; i < sizeof AWKWARD / sizeof AWKWARD[0]; i++) {
        struct graph_case c;
        awkward_case(&c, i);
        graph_case_expect_on_isas(&c, AWKWARD[i].name);
        graph_case_free(&c);
    }
}

Test(threads, ops) {
    for (size_t i = 0; i < sizeof AWKWARD / sizeof AWKWARD[0]; i++) {
        struct graph_case c;
        awkward_case(&c, i);
        graph_case_expect_same_on_threads(&c, AWKWARD[i].name);
        graph_case_free(&c);
    }
}

/* ---- what may be absent, and what nobody reads ---- */

/* The condition is convolved and mixed in, twice; without it the decoder is as if it were not there. */
static value conditioned(struct builder *b) {
    value x = conv(b, latents(b, 4), (struct conv2d_options){.in = 4, .out = 20}, "in");
    const value image = builder_optional_input(b, "condition.image", 3, 2);
    const value mask = builder_optional_input(b, "condition.mask", 1, 2);
    value y = conv(b, builder_multiply(b, image, mask),
                   (struct conv2d_options){.in = 3, .out = 20, .kernel = 4, .stride = 2, .padding = 1}, "condition");
    x = builder_relu(b, builder_mix(b, x, y, builder_subsample(b, mask, 2)));
    x = builder_upsample_nearest(b, x, 2);
    y = conv(b, image, (struct conv2d_options){.in = 3, .out = 20}, "fine");
    return conv(b, builder_silu(b, builder_mix(b, x, y, mask)), (struct conv2d_options){.in = 20, .out = 3}, "out");
}

Test(plan_ops, condition_given_or_absent) {
    struct graph_case c;
    struct builder b;
    builder_begin(&b);
    graph_case_init(&c, &b, conditioned(&b), 3);
    graph_case_inputs(&c, 2, 5, 7, 0.0f, 4);
    graph_case_expect(&c, AUTOMATIC, "with its condition");
    graph_case_drop_optional(&c);
    graph_case_expect(&c, AUTOMATIC, "without its condition");
    graph_case_free(&c);
}

/* A decoder that was prepared without the condition must plan anew for it, and the other way round. */
Test(plan_ops, condition_comes_and_goes) {
    struct graph_case c;
    struct builder b;
    struct counting_host host;
    builder_begin(&b);
    graph_case_init(&c, &b, conditioned(&b), 3);
    graph_case_inputs(&c, 1, 5, 7, 0.0f, 4);
    struct vaemark_tensors latents_alone = {.items = c.input_items, .count = 1};
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    struct vaemark_tensor without = support_decode(&cpu_backend, decoder, &latents_alone);
    struct vaemark_tensor with = support_decode(&cpu_backend, decoder, &c.inputs);
    struct vaemark_tensor again = support_decode(&cpu_backend, decoder, &latents_alone);
    cr_assert(!support_images_identical(&without, &with), "the condition made no difference");
    cr_assert(support_images_identical(&without, &again));
    support_image_free(&without);
    support_image_free(&with);
    support_image_free(&again);
    cpu_backend.close(decoder);
    graph_case_free(&c);
}

/* A value that nobody reads is not made: as when tiling leaves out the last clamp. */
Test(plan_ops, dead_nodes_leave_no_step) {
    struct graph_case c;
    struct builder b;
    struct counting_host host;
    struct vaemark_trace trace;
    builder_begin(&b);
    const value x = conv(&b, latents(&b, 4), (struct conv2d_options){.in = 4, .out = 3}, "a");
    builder_clamp(&b, conv(&b, builder_silu(&b, x), (struct conv2d_options){.in = 3, .out = 3}, "dead"), -1.0, 1.0);
    graph_case_init(&c, &b, builder_relu(&b, x), 3);
    graph_case_inputs(&c, 1, 5, 7, 0.0f, 4);
    graph_case_expect(&c, AUTOMATIC, "a dead branch");
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    struct vaemark_tensor image = support_decode(&cpu_backend, decoder, &c.inputs);
    cpu_backend.trace(decoder, &trace, NULL);
    cr_assert_eq(trace.count, 3, "pack, the convolution with its activation, unpack; found %zu", (size_t)trace.count);
    support_image_free(&image);
    cpu_backend.close(decoder);
    graph_case_free(&c);
}

Test(plan_ops, unknown_op_is_refused_at_open) {
    struct graph_case c;
    struct builder b;
    struct counting_host host;
    struct vaemark_decoder *decoder = NULL;
    struct vaemark_message message = {""};
    builder_begin(&b);
    graph_case_init(&c, &b, conv(&b, latents(&b, 4), (struct conv2d_options){.in = 4, .out = 3}, "up.7"), 3);
    c.graph->nodes[0].op = OP_COUNT;
    counting_host_init(&host);
    cr_assert_eq(cpu_backend.open(&host.host, &c.model, NULL, &decoder, &message), VAEMARK_UNSUPPORTED_MODEL);
    cr_assert(strstr(message.text, "up.7") != NULL && strstr(message.text, "no kernel") != NULL, "%s", message.text);
    cr_assert_null(decoder);
    cr_assert_eq(host.blocks, 0);
    graph_case_free(&c);
}

/* ---- what is saved ---- */

static const char *const ONE_THREAD[] = {"threads=1", NULL};

static size_t planned_bytes(value (*build)(struct builder *b, int64_t channels), int64_t channels, int64_t size) {
    struct graph_case c;
    struct builder b;
    struct counting_host host;
    struct vaemark_memory memory;
    struct vaemark_tensor unused;
    builder_begin(&b);
    graph_case_init(&c, &b, build(&b, channels), 3);
    graph_case_inputs(&c, 1, size, size, 0.0f, 4);
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, ONE_THREAD);
    cr_assert_eq(cpu_backend.prepare(decoder, &c.inputs, &unused, NULL), VAEMARK_OK);
    cpu_backend.memory(decoder, &memory, NULL);
    cr_assert_eq(memory.planned_bytes[VAEMARK_MEMORY_ACTIVATIONS], host.peak_bytes[VAEMARK_MEMORY_ACTIVATIONS]);
    cpu_backend.close(decoder);
    graph_case_free(&c);
    return memory.planned_bytes[VAEMARK_MEMORY_ACTIVATIONS];
}

/* x + f(norm(x)): the norm leaves no copy, and the sum takes the place of x. */
static value residual_block(struct builder *b, int64_t channels) {
    const value x = latents(b, channels);
    value y = builder_silu(b, builder_rms_norm(b, x, channels, 0.0, 1e-12, false, "gamma", "n"));
    y = conv(b, y, (struct conv2d_options){.in = channels, .out = channels}, "a");
    y = builder_silu(b, builder_rms_norm(b, y, channels, 0.0, 1e-12, false, "gamma", "m"));
    return builder_add(b, conv(b, y, (struct conv2d_options){.in = channels, .out = channels}, "b"), x);
}

static value gate(struct builder *b, int64_t channels) {
    const value x = latents(b, channels);
    const value y = builder_batch_norm(b, builder_silu(b, x), channels, 1e-5, "n");
    return builder_clamp(b, builder_multiply(b, builder_mix(b, y, y, builder_slice(b, x, 0, 1)), y), -1.0, 1.0);
}

/* The shortcut leaves half of its input's place; the wide input is gone when the second convolution runs. */
static value shortcut(struct builder *b, int64_t channels) {
    value x = builder_input(b, "latents", 4, 4, 1);
    x = builder_conv2d(b, x, (struct conv2d_options){.in = 4, .out = 2 * channels}, "in");
    value y = builder_conv2d(b, x, (struct conv2d_options){.in = 2 * channels, .out = channels}, "a");
    y = builder_conv2d(b, builder_relu(b, y), (struct conv2d_options){.in = channels, .out = channels}, "b");
    value s = builder_conv2d(b, x, (struct conv2d_options){.in = 2 * channels, .out = channels, .kernel = 1}, "s");
    return builder_add(b, s, y);
}

/* Rows go through all of it, band by band: what is kept whole is the last value of all. */
static value chain(struct builder *b, int64_t channels) {
    value x =
        builder_relu(b, conv(b, latents(b, channels), (struct conv2d_options){.in = channels, .out = channels}, "a"));
    value y = builder_relu(b, conv(b, x, (struct conv2d_options){.in = channels, .out = channels}, "b"));
    y = builder_relu(b, conv(b, y, (struct conv2d_options){.in = channels, .out = channels}, "c"));
    x = builder_relu(b, builder_add(b, conv(b, y, (struct conv2d_options){.in = channels, .out = channels}, "d"), x));
    return conv(b, x, (struct conv2d_options){.in = channels, .out = 3}, "out");
}

/* Scratch of the convolutions is less than half a value at this size. */
Test(plan_ops, values_take_the_place_of_those_that_die) {
    const size_t value_bytes = (size_t)32 * 160 * 160 * sizeof(float), scratch = value_bytes / 2;
    const size_t block = planned_bytes(residual_block, 32, 160), gated = planned_bytes(gate, 32, 160);
    const size_t wide = planned_bytes(shortcut, 32, 160);
    cr_assert_leq(block, 2 * value_bytes + scratch, "%zu bytes, %zu a value", block, value_bytes);
    cr_assert_leq(gated, 3 * value_bytes + scratch, "%zu bytes, %zu a value", gated, value_bytes);
    const size_t tall = planned_bytes(chain, 32, 640), row_bytes = (size_t)32 * 640 * sizeof(float);
    /* the input, half of a value for the picture's line of 16, and rings of less than a hundred rows each */
    cr_assert_leq(tall, (640 + 320 + 400) * row_bytes, "%zu bytes, %zu a row", tall, row_bytes);
    cr_assert_leq(wide, 3 * value_bytes + scratch, "%zu bytes, %zu a value", wide, value_bytes);
}
