/* Whole graphs: what the planner fuses, leaves out and puts in place must not change the result. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "kernels/cpu/cpu.h"
#include "reference/executor.h"
#include "tests/kernels/support_graphs.h"

static const char *const PORTABLE[] = {"isa=portable", "threads=1", NULL};
static const char *const AUTOMATIC[] = {"threads=3", NULL};

/* ---- graphs made to hurt one thing each ---- */

struct awkward {
    const char *name;
    value (*build)(struct builder *b);
    int64_t images, height, width;
    float mean;
};

static value conv(struct builder *b, value x, int64_t in, int64_t out, const char *module) {
    return builder_conv2d(b, x, (struct conv2d_options){.in = in, .out = out}, module);
}

static value few_channels(struct builder *b) {
    value x = builder_input(b, "latents", 4, 5, 1);
    x = conv(b, x, 5, 19, "a");
    return conv(b, builder_silu(b, x), 19, 3, "b");
}

static value strides(struct builder *b) {
    value x = builder_input(b, "latents", 4, 18, 1);
    x = builder_conv2d(b, x, (struct conv2d_options){.in = 18, .out = 33, .stride = 2}, "a");
    x = builder_conv2d(b, x, (struct conv2d_options){.in = 33, .out = 20, .kernel = 5, .stride = 3, .no_bias = true},
                       "b");
    x = builder_conv2d(b, x, (struct conv2d_options){.in = 20, .out = 7, .kernel = 2}, "c");
    return builder_conv2d(b, x, (struct conv2d_options){.in = 7, .out = 40, .kernel = 1, .stride = 2}, "d");
}

static value groups(struct builder *b) {
    value x = builder_input(b, "latents", 4, 6, 1);
    x = builder_conv2d(b, x, (struct conv2d_options){.in = 6, .out = 36, .groups = 3}, "a");
    value y = builder_conv2d(b, builder_relu(b, x), (struct conv2d_options){.in = 36, .out = 36, .groups = 36}, "b");
    y = builder_upsample_nearest(b, builder_add(b, x, y), 2);
    return builder_conv2d(b, y, (struct conv2d_options){.in = 36, .out = 4, .kernel = 1, .groups = 2}, "c");
}

/* Groups of 3 channels cross panels; 48 channels, SiLU, nearest and padding in one loader. */
static value norms(struct builder *b) {
    value x = conv(b, builder_input(b, "latents", 4, 3, 1), 3, 48, "a");
    x = builder_silu(b, builder_group_norm(b, x, 48, 16, 1e-6, "n"));
    x = conv(b, builder_upsample_nearest(b, x, 2), 48, 24, "b");
    x = builder_group_norm(b, x, 24, 1, 1e-5, "m");
    x = builder_avg_pool(b, builder_relu(b, x));
    return builder_group_norm(b, x, 24, 24, 1e-5, "o");
}

/* The mean is large beside the deviation. */
static value norm_of_input(struct builder *b) {
    value x = builder_input(b, "latents", 4, 20, 1);
    return builder_linear(b, builder_group_norm(b, x, 20, 5, 1e-6, "n"), 20, 9, "a");
}

static value residuals(struct builder *b) {
    value x = conv(b, builder_input(b, "latents", 4, 4, 1), 4, 20, "in");
    value y = conv(b, builder_relu(b, conv(b, x, 20, 20, "a")), 20, 20, "b");
    x = builder_relu(b, builder_add(b, y, x));
    y = builder_weighted_add(b, 0.5, x, -2.0, conv(b, x, 20, 20, "c"));
    y = builder_add(b, y, y);
    value up = builder_upsample_nearest(b, y, 2);
    value z = builder_add(b, up, conv(b, builder_silu(b, up), 20, 20, "d"));
    return builder_add(b, builder_linear(b, z, 20, 20, "shortcut"), conv(b, z, 20, 20, "e"));
}

static value joins(struct builder *b) {
    value x = builder_input(b, "latents", 4, 16, 1);
    value y = conv(b, x, 16, 19, "a"), joined = builder_concat(b, x, y);
    value z = builder_silu(b, builder_group_norm(b, joined, 35, 7, 1e-5, "n"));
    z = builder_add(b, conv(b, z, 35, 7, "b"), builder_linear(b, joined, 35, 7, "c"));
    z = builder_concat(b, builder_relu(b, z), builder_slice(b, joined, 9, 20));
    z = builder_concat(b, z, builder_slice(b, joined, 32, 3));
    return builder_concat(b, builder_slice(b, y, 16, 3), builder_slice(b, z, 16, 14));
}

static value times(struct builder *b) {
    value x = builder_input(b, "latents", 4, 17, 1), e = builder_embedding(b, 10, 24, 7, "table");
    e = builder_linear(b, builder_silu(b, builder_linear(b, e, 24, 40, "t1")), 40, 40, "t2");
    e = builder_linear(b, builder_silu(b, e), 40, 34, "t3");
    x = builder_scale_shift(b, builder_group_norm(b, x, 17, 1, 1e-5, "n"), e);
    value y = conv(b, builder_silu(b, x), 17, 17, "a");
    y = builder_scale_shift(b, builder_relu(b, y), builder_linear(b, e, 34, 34, "t4"));
    return builder_add(b, y, builder_scale_shift(b, x, e));
}

static value clamps(struct builder *b) {
    static const double SCALE[18] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18},
                        SHIFT[18] = {-3, 4};
    static const double TWO = 2.0, MINUS_ONE = -1.0;
    value x = builder_tanh_clamp(b, builder_input(b, "latents", 4, 18, 1), 3.0);
    x = builder_affine(b, builder_relu(b, builder_affine(b, x, SCALE, SHIFT, 18)), SHIFT, SCALE, 18);
    return builder_affine(b, conv(b, builder_silu(b, x), 18, 3, "a"), &TWO, &MINUS_ONE, 1);
}

static value chained_activations(struct builder *b) {
    value x = builder_input(b, "latents", 4, 4, 1);
    value y = builder_silu(b, builder_relu(b, builder_upsample_nearest(b, x, 3)));
    value z = builder_group_norm(b, builder_upsample_nearest(b, y, 2), 4, 2, 1e-5, "n");
    return builder_add(b, builder_tanh_clamp(b, z, 1.0), builder_upsample_nearest(b, y, 2));
}

static value nothing(struct builder *b) {
    return builder_input(b, "latents", 4, 21, 1);
}

/* Two inputs of different size, one of them not used. */
static value two_inputs(struct builder *b) {
    value x = builder_input(b, "latents", 4, 4, 1), noise = builder_input(b, "noise.0", 4, 3, 2);
    builder_input(b, "noise.1", 4, 3, 2);
    return builder_concat(b, builder_upsample_nearest(b, x, 2), builder_weighted_add(b, 0.25, noise, 0.5, noise));
}

static value attention_of(struct builder *b, int64_t channels) {
    value x = conv(b, builder_input(b, "latents", 4, 4, 1), 4, channels, "in");
    value y = builder_group_norm(b, x, channels, 4, 1e-6, "mid.group_norm");
    value q = builder_linear(b, y, channels, channels, "mid.to_q"),
          k = builder_linear(b, y, channels, channels, "mid.to_k");
    value v = builder_linear(b, y, channels, channels, "mid.to_v");
    y = builder_linear(b, builder_attention(b, q, k, v, "mid"), channels, channels, "mid.to_out.0");
    return builder_add(b, x, y);
}

static value attention_8(struct builder *b) {
    return attention_of(b, 8);
}

static value attention_40(struct builder *b) {
    return attention_of(b, 40);
}

static value attention_64(struct builder *b) {
    return attention_of(b, 64);
}

/* The same value thrice, and one that must be materialised first. */
static value self_attention(struct builder *b) {
    value x = builder_silu(b, builder_input(b, "latents", 4, 20, 1));
    return builder_attention(b, x, x, builder_relu(b, x), "a");
}

/* Slices that end inside a panel: what lies behind them must not enter the products. */
static value attention_of_slices(struct builder *b) {
    value x = builder_input(b, "latents", 4, 60, 1);
    return builder_attention(b, builder_slice(b, x, 0, 20), builder_slice(b, x, 16, 20), builder_slice(b, x, 40, 20),
                             "a");
}

/* The 1x1 convolution leaves fewer channels in the place of its input. */
static value wide_shortcut(struct builder *b) {
    value x = conv(b, builder_input(b, "latents", 4, 4, 1), 4, 70, "in");
    value y = builder_silu(b, builder_group_norm(b, conv(b, x, 70, 33, "a"), 33, 3, 1e-6, "n"));
    value s = builder_conv2d(b, x, (struct conv2d_options){.in = 70, .out = 33, .kernel = 1}, "s");
    return builder_add(b, s, conv(b, y, 33, 33, "b"));
}

/* The same behind the convolution that it is added to, as the builders of decoders have it. */
static value late_shortcut(struct builder *b) {
    value x = conv(b, builder_input(b, "latents", 4, 4, 1), 4, 70, "in");
    value y = builder_silu(b, builder_group_norm(b, conv(b, x, 70, 33, "a"), 33, 3, 1e-6, "n"));
    y = conv(b, y, 33, 33, "b");
    value s = builder_conv2d(b, x, (struct conv2d_options){.in = 70, .out = 33, .kernel = 1}, "s");
    return builder_relu(b, builder_weighted_add(b, 0.5, s, -3.0, y));
}

/* A 1x1 convolution of latents, which stay floats: its 16-bit outputs must not take their place. */
static value wide_latents(struct builder *b) {
    value x = builder_input(b, "latents", 4, 64, 1);
    x = builder_conv2d(b, x, (struct conv2d_options){.in = 64, .out = 32, .kernel = 1}, "a");
    return conv(b, x, 32, 3, "b");
}

/* Winograd's tiles at every edge: norms, SiLU, ReLU, nearest, residuals in place and upsampled, channels to pad. */
static value tiles_of_outputs(struct builder *b) {
    value x = conv(b, builder_input(b, "latents", 4, 16, 1), 16, 48, "a");
    value y = builder_silu(b, builder_group_norm(b, x, 48, 16, 1e-6, "n"));
    x = builder_add(b, conv(b, y, 48, 48, "b"), x);
    x = conv(b, builder_upsample_nearest(b, builder_relu(b, x), 2), 48, 40, "c");
    return builder_relu(b, builder_add(b, conv(b, x, 40, 40, "d"), x));
}

/* Nothing between the convolutions needs a whole image: rows go through all of them, band by band. Residuals that wait
 * for several steps, one that is upsampled, a step without Winograd, another of few channels at the end. */
static value bands(struct builder *b) {
    value x = conv(b, builder_input(b, "latents", 4, 4, 1), 4, 16, "in");
    for (int i = 0; i < 2; i++) {
        value y = builder_relu(b, conv(b, x, 16, 16, builder_path(b, "%d.a", i)));
        y = builder_relu(b, conv(b, y, 16, 16, builder_path(b, "%d.b", i)));
        x = builder_relu(b, builder_add(b, conv(b, y, 16, 16, builder_path(b, "%d.c", i)), x));
    }
    value small = x;
    x = conv(b, builder_upsample_nearest(b, x, 2), 16, 16, "up");
    x = builder_add(b, conv(b, x, 16, 16, "d"), builder_upsample_nearest(b, small, 2));
    x = builder_conv2d(b, builder_silu(b, x), (struct conv2d_options){.in = 16, .out = 24, .kernel = 5}, "e");
    return conv(b, builder_relu(b, conv(b, x, 24, 16, "f")), 16, 3, "out");
}

/* More weights than are transformed at a time, and more than a call of the microkernel takes. */
static value wide(struct builder *b) {
    value x = builder_linear(b, builder_input(b, "latents", 4, 8, 1), 8, 544, "in");
    return conv(b, builder_silu(b, x), 544, 600, "a");
}

static const struct awkward AWKWARD[] = {
    {"few channels", few_channels, 1, 7, 5, 0.0f},
    {"few channels, one pixel", few_channels, 1, 1, 1, 0.0f},
    {"few channels, one row", few_channels, 3, 1, 70, 0.0f},
    {"few channels, many columns", few_channels, 1, 3, 131, 0.0f},
    {"wide latents", wide_latents, 1, 40, 50, 0.0f},
    {"strides", strides, 2, 23, 30, 0.0f},
    {"groups", groups, 2, 5, 9, 0.0f},
    {"norms", norms, 2, 9, 6, 0.0f},
    {"norms, many pixels", norms, 1, 70, 65, 0.0f},
    {"norm of large mean", norm_of_input, 2, 30, 40, 100.0f},
    {"residuals", residuals, 2, 6, 11, 0.0f},
    {"residuals, an odd number of columns a block", residuals, 1, 3, 35, 0.0f},
    {"wide shortcut", wide_shortcut, 1, 13, 9, 0.0f},
    {"wide shortcut of two images", wide_shortcut, 2, 5, 6, 0.0f},
    {"late shortcut", late_shortcut, 1, 13, 9, 0.0f},
    {"late shortcut of two images", late_shortcut, 2, 5, 6, 0.0f},
    {"tiles of 2", tiles_of_outputs, 2, 3, 5, 0.0f},
    {"tiles of 4", tiles_of_outputs, 1, 8, 7, 0.0f},
    {"tiles of 6", tiles_of_outputs, 2, 25, 31, 0.0f},
    {"tiles in several columns of blocks", tiles_of_outputs, 1, 19, 113, 0.0f},
    {"wide", wide, 1, 18, 12, 0.0f},
    {"joins", joins, 2, 5, 6, 0.0f},
    {"times", times, 2, 4, 5, 0.0f},
    {"clamps", clamps, 1, 4, 6, 0.0f},
    {"chained activations", chained_activations, 2, 3, 5, 0.0f},
    {"nothing", nothing, 2, 5, 3, 0.0f},
    {"two inputs", two_inputs, 2, 5, 3, 0.0f},
    {"attention 8, one token", attention_8, 1, 1, 1, 0.0f},
    {"attention 8, 35 tokens", attention_8, 2, 5, 7, 0.0f},
    {"attention 40, 300 tokens", attention_40, 1, 15, 20, 0.0f},
    {"attention 64, 529 tokens", attention_64, 1, 23, 23, 0.0f},
    {"attention of slices", attention_of_slices, 2, 5, 4, 0.0f},
    {"self attention", self_attention, 2, 3, 4, 0.0f},
};

static void awkward_case(struct graph_case *c, size_t i) {
    const struct awkward *awkward = &AWKWARD[i];
    struct builder b;
    builder_begin(&b);
    graph_case_init(c, &b, awkward->build(&b), i + 1);
    graph_case_inputs(c, awkward->images, awkward->height, awkward->width, awkward->mean, i + 100);
}

Test(plan, awkward_graphs_agree_with_the_reference) {
    for (size_t i = 0; i < sizeof AWKWARD / sizeof AWKWARD[0]; i++) {
        struct graph_case c;
        awkward_case(&c, i);
        graph_case_expect_on_isas(&c, AWKWARD[i].name);
        graph_case_free(&c);
    }
}

/* Large enough for rings on one thread, in both precisions: more rows than are in use at a time. */
Test(plan, bands_agree_with_the_reference) {
    static const char *const ONE[] = {"threads=1", NULL};
    for (int64_t images = 1; images <= 2; images++) {
        struct graph_case c;
        struct builder b;
        builder_begin(&b);
        graph_case_init(&c, &b, bands(&b), 5);
        graph_case_inputs(&c, images, images == 1 ? 300 : 170, 70, 0.0f, 6);
        graph_case_expect(&c, ONE, images == 1 ? "bands" : "bands of two images");
        graph_case_free(&c);
    }
}

Test(plan, fused_attention_agrees_with_the_reference) {
    static const char *const FUSED[] = {"fuse_qkv=1", "threads=2", NULL};
    for (size_t i = 0; i < sizeof AWKWARD / sizeof AWKWARD[0]; i++) {
        const struct awkward *awkward = &AWKWARD[i];
        if (awkward->build == attention_8 || awkward->build == attention_40 || awkward->build == attention_64) {
            struct graph_case c;
            awkward_case(&c, i);
            graph_case_expect(&c, FUSED, awkward->name);
            graph_case_free(&c);
        }
    }
}

/* The mean is a thousand times the deviation. What is left after it is subtracted has all of its digits, which scaling
 * x and subtracting a scaled mean would lose. */
Test(plan, norm_keeps_digits_beside_a_large_mean) {
    static const char *const FP64[] = {"precision=fp64", NULL};
    struct graph_case c;
    struct builder b;
    builder_begin(&b);
    graph_case_init(&c, &b, builder_group_norm(&b, builder_input(&b, "latents", 4, 16, 1), 16, 4, 1e-6, "n"), 1);
    graph_case_inputs(&c, 1, 13, 11, 1000.0f, 2);
    struct vaemark_tensor exact = graph_case_decode(&c, &reference_backend, FP64);
    struct vaemark_tensor image = graph_case_decode(&c, &cpu_backend, NULL);
    for (size_t i = 0; i < 16 * 13 * 11; i++) {
        const double error = fabs((double)((float *)image.data)[i] - ((double *)exact.data)[i]);
        cr_assert(error <= 1e-6, "element %zu is wrong by %g", i, error);
    }
    support_image_free(&image);
    support_image_free(&exact);
    graph_case_free(&c);
}

/* ---- random graphs: what nobody thought of ---- */

struct known {
    value v;
    int64_t channels, height, width;
};

struct growth {
    struct builder b;
    uint64_t state;
    struct known values[64];
    size_t count;
    int modules;
};

static int64_t below(struct growth *g, int64_t limit) {
    const int64_t drawn = (int64_t)(((double)support_random(&g->state) + 1.0) * 0.5 * (double)limit);
    return drawn < limit ? drawn : limit - 1;
}

/* Mostly a recent value: chains that fuse, with branches back. */
static struct known pick(struct growth *g) {
    const int64_t back = below(g, 3) > 0 ? below(g, 2) : below(g, (int64_t)g->count);
    return g->values[(int64_t)g->count - 1 - (back < (int64_t)g->count ? back : 0)];
}

static const char *name_module(struct growth *g) {
    return builder_path(&g->b, "m%d", g->modules++);
}

static void keep(struct growth *g, value v, int64_t channels, int64_t height, int64_t width) {
    g->values[g->count++] = (struct known){v, channels, height, width};
}

static int64_t pick_channels(struct growth *g) {
    static const int64_t CHANNELS[] = {1, 5, 16, 20, 32, 48};
    return CHANNELS[below(g, 6)];
}

static int32_t pick_divisor(struct growth *g, int64_t number) {
    int64_t divisor = 1 + below(g, number);
    while (number % divisor != 0) {
        divisor--;
    }
    return (int32_t)divisor;
}

static void grow_conv(struct growth *g) {
    static const int32_t KERNELS[] = {1, 3, 3, 5, 2};
    const struct known x = pick(g);
    const int32_t kernel = KERNELS[below(g, 5)], stride = below(g, 4) == 0 ? 2 : 1;
    const bool grouped = below(g, 5) == 0;
    const int32_t channel_groups = grouped ? pick_divisor(g, x.channels) : 1;
    const int64_t out = grouped ? channel_groups * (1 + below(g, 3)) : pick_channels(g);
    const value v = builder_conv2d(&g->b, x.v,
                                   (struct conv2d_options){.in = x.channels,
                                                           .out = out,
                                                           .kernel = kernel,
                                                           .stride = stride,
                                                           .groups = channel_groups,
                                                           .no_bias = below(g, 3) == 0},
                                   name_module(g));
    keep(g, v, out, (x.height + 2 * (kernel / 2) - kernel) / stride + 1,
         (x.width + 2 * (kernel / 2) - kernel) / stride + 1);
}

static void grow_linear(struct growth *g) {
    const struct known x = pick(g);
    const int64_t out = pick_channels(g);
    keep(g, builder_linear(&g->b, x.v, x.channels, out, name_module(g)), out, x.height, x.width);
}

static void grow_norm(struct growth *g) {
    const struct known x = pick(g);
    const value v = builder_group_norm(&g->b, x.v, x.channels, pick_divisor(g, x.channels), 1e-3, name_module(g));
    keep(g, v, x.channels, x.height, x.width);
}

static void grow_activation(struct growth *g) {
    const struct known x = pick(g);
    const int64_t kind = below(g, 5);
    const value v = kind < 2   ? builder_silu(&g->b, x.v)
                    : kind < 4 ? builder_relu(&g->b, x.v)
                               : builder_tanh_clamp(&g->b, x.v, 2.0);
    keep(g, v, x.channels, x.height, x.width);
}

static void grow_size(struct growth *g) {
    const struct known x = pick(g);
    if (below(g, 2) == 0 && x.height * x.width <= 200) {
        const int32_t factor = 2 + (int32_t)below(g, 2);
        keep(g, builder_upsample_nearest(&g->b, x.v, factor), x.channels, x.height * factor, x.width * factor);
    } else if (x.height > 1 && x.width > 1) {
        keep(g, builder_avg_pool(&g->b, x.v), x.channels, x.height / 2, x.width / 2);
    }
}

/* Adds a branch to a value of its size; where there is none, x + f(x). */
static void grow_add(struct growth *g) {
    const struct known x = pick(g);
    struct known y = pick(g);
    if (y.channels != x.channels || y.height != x.height || y.width != x.width) {
        y = x;
        y.v = conv(&g->b, x.v, x.channels, x.channels, name_module(g));
    }
    const bool plain = below(g, 2) == 0;
    const value v = plain ? builder_add(&g->b, x.v, y.v) : builder_weighted_add(&g->b, 0.5, y.v, -0.75, x.v);
    keep(g, v, x.channels, x.height, x.width);
}

static void grow_concat(struct growth *g) {
    const struct known x = pick(g), y = pick(g);
    if (x.height == y.height && x.width == y.width && x.channels + y.channels <= 100) {
        keep(g, builder_concat(&g->b, x.v, y.v), x.channels + y.channels, x.height, x.width);
    }
}

static void grow_slice(struct growth *g) {
    const struct known x = pick(g);
    int64_t first = below(g, x.channels);
    first = below(g, 2) == 0 ? first / 16 * 16 : first;
    int64_t count = 1 + below(g, x.channels - first);
    count = below(g, 3) == 0 ? x.channels - first : count;
    keep(g, builder_slice(&g->b, x.v, first, count), count, x.height, x.width);
}

static void grow_affine(struct growth *g) {
    const struct known x = pick(g);
    double scale[100], shift[100];
    for (int64_t i = 0; i < x.channels; i++) {
        scale[i] = (double)support_random(&g->state);
        shift[i] = (double)support_random(&g->state);
    }
    const int32_t count = below(g, 2) == 0 ? 1 : (int32_t)x.channels;
    keep(g, builder_affine(&g->b, x.v, scale, shift, count), x.channels, x.height, x.width);
}

static void grow_scale_shift(struct growth *g) {
    const struct known x = pick(g);
    value e = builder_embedding(&g->b, 6, 12, below(g, 6), name_module(g));
    e = builder_linear(&g->b, builder_silu(&g->b, e), 12, 2 * x.channels, name_module(g));
    keep(g, builder_scale_shift(&g->b, x.v, e), x.channels, x.height, x.width);
}

static void grow_attention(struct growth *g) {
    const struct known x = pick(g);
    const char *module = name_module(g);
    if (x.height * x.width <= 600) {
        const value q = builder_linear(&g->b, x.v, x.channels, x.channels, builder_path(&g->b, "%s.to_q", module));
        const value k = builder_linear(&g->b, x.v, x.channels, x.channels, builder_path(&g->b, "%s.to_k", module));
        const value v = builder_linear(&g->b, x.v, x.channels, x.channels, builder_path(&g->b, "%s.to_v", module));
        keep(g, builder_attention(&g->b, q, k, v, module), x.channels, x.height, x.width);
    }
}

static void (*const GROW[])(struct growth *g) = {
    grow_conv,   grow_conv,  grow_linear, grow_norm,        grow_norm,      grow_activation, grow_activation, grow_size,
    grow_concat, grow_slice, grow_affine, grow_scale_shift, grow_attention, grow_add,        grow_add,        grow_add,
};

static void grow_graph(struct graph_case *c, uint64_t seed) {
    struct growth g = {.state = seed * 7919};
    const int64_t channels = pick_channels(&g), images = 1 + below(&g, 2);
    const int64_t height = 1 + below(&g, 9), width = 1 + below(&g, 9);
    builder_begin(&g.b);
    keep(&g, builder_input(&g.b, "latents", 4, channels, 1), channels, height, width);
    for (int64_t i = 4 + below(&g, 16); i > 0; i--) {
        GROW[below(&g, sizeof GROW / sizeof GROW[0])](&g);
    }
    graph_case_init(c, &g.b, g.values[g.count - 1].v, seed);
    graph_case_inputs(c, images, height, width, 0.0f, seed);
}

Test(plan, random_graphs_agree_with_the_reference) {
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct graph_case c;
        char name[64];
        grow_graph(&c, seed);
        snprintf(name, sizeof name, "random graph %d", (int)seed);
        graph_case_expect(&c, seed % 4 == 0 ? PORTABLE : AUTOMATIC, name);
        graph_case_free(&c);
    }
}

Test(threads, awkward_graphs) {
    for (size_t i = 0; i < sizeof AWKWARD / sizeof AWKWARD[0]; i++) {
        struct graph_case c;
        awkward_case(&c, i);
        graph_case_expect_same_on_threads(&c, AWKWARD[i].name);
        graph_case_free(&c);
    }
}

Test(threads, random_graphs) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct graph_case c;
        char name[64];
        grow_graph(&c, seed);
        snprintf(name, sizeof name, "random graph %d", (int)seed);
        graph_case_expect_same_on_threads(&c, name);
        graph_case_free(&c);
    }
}

/* Of the nodes that the image needs. */
static uint64_t flops_of_image(const struct vaemark_graph *graph, const struct shape *shapes) {
    bool needed[256] = {false};
    uint64_t flops = 0;
    needed[graph->output] = true;
    for (size_t n = graph->node_count; n-- > 0;) {
        const struct graph_node *node = &graph->nodes[n];
        for (int32_t i = 0; needed[node->output] && i < node->input_count; i++) {
            needed[node->inputs[i]] = true;
        }
        flops += needed[node->output] ? graph_node_flops(graph, node, shapes) : 0;
    }
    return flops;
}

/* The peak is known before the run, by class, to the byte; and the trace accounts for all of the graph's work. */
Test(plan, memory_and_work_are_as_planned) {
    static const char *const NARROW[] = {"precision=bf16", NULL};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct graph_case c;
        struct counting_host host;
        struct vaemark_memory memory;
        struct vaemark_trace trace;
        struct vaemark_tensor unused;
        uint64_t flops = 0;
        struct shape shapes[256];
        grow_graph(&c, seed);
        counting_host_init(&host);
        struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, seed % 2 == 0 ? NULL : NARROW);
        cr_assert_eq(cpu_backend.prepare(decoder, &c.inputs, &unused, NULL), VAEMARK_OK);
        const size_t requests = host.requests;
        struct vaemark_tensor image = support_decode(&cpu_backend, decoder, &c.inputs);
        cr_assert_eq(host.requests, requests, "decode() allocated");
        cpu_backend.memory(decoder, &memory, NULL);
        for (int i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++) {
            cr_assert_eq(memory.planned_bytes[i], host.peak_bytes[i], "graph %d, class %d", (int)seed, i);
        }
        cpu_backend.trace(decoder, &trace, NULL);
        for (size_t i = 0; i < trace.count; i++) {
            flops += trace.entries[i].flops;
            cr_assert_neq(trace.entries[i].bytes, 0, "%s moves nothing", trace.entries[i].kernel);
        }
        cr_assert_lt(c.graph->value_count, 256);
        cr_assert_eq(graph_infer_shapes(c.graph, &c.inputs, shapes, NULL), VAEMARK_OK);
        cr_assert_eq(flops, flops_of_image(c.graph, shapes));
        support_image_free(&image);
        cpu_backend.close(decoder);
        cr_assert_eq(host.blocks, 0);
        graph_case_free(&c);
    }
}
