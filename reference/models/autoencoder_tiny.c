/* AutoencoderTiny: TAESD and its family (github.com/madebyollin/taesd), as diffusers' class of that name builds it, and
 * with what that class does not have: the pooled blocks of taef2, and levels of unequal width (taesana), between which
 * the convolution changes the width.
 *
 *   latents -> 3 tanh(z / 3) -> conv, act -> levels of blocks, x2 and a bias-free conv between -> conv -> 2 x - 1 ->
 * image
 */
#include <stdio.h>

#include "reference/builder.h"
#include "reference/models/config.h"
#include "reference/models/models.h"

struct autoencoder_tiny {
    int64_t latent_channels, out_channels;
    struct config_list widths;             /* a level, coarsest first */
    struct config_list num_decoder_blocks; /* a level, coarsest first */
    int32_t upsampling_scaling_factor;
    bool silu; /* the activation: SiLU, else ReLU */
    bool pool; /* the first level's blocks are pooled */
    const struct weights *weights;
};

#define LATENT_LIMIT 3.0

/* There are no norms: the last convolution of a branch is damped so that activations keep their size. */
#define BRANCH_GAIN   0.35
#define CONV_OUT_GAIN 0.22

enum { POOL_WIDENING = 4, POOL_GROUPS = 4 };
#define POOL_EPSILON 1e-5

static struct autoencoder_tiny read_config(struct config *c, const struct weights *weights) {
    struct config_list widths = config_integers(c, "decoder_block_out_channels",
                                                (struct config_list){{64, 64, 64, 64}, 4}, 1, CONFIG_MAX_CHANNELS);
    struct autoencoder_tiny tiny = {
        .latent_channels = config_channels(c, "latent_channels", 4),
        .out_channels = config_channels(c, "out_channels", 3),
        .widths = widths,
        .num_decoder_blocks =
            config_integers(c, "num_decoder_blocks", (struct config_list){{3, 3, 3, 1}, 4}, 0, CONFIG_MAX_LAYERS),
        .upsampling_scaling_factor = (int32_t)config_integer(c, "upsampling_scaling_factor", 2, 1, 16),
        .silu = !config_choice(c, "act_fn", "relu", "silu"),
        .pool = config_boolean(c, "_vaemark_pool", false),
        .weights = weights,
    };
    config_choice(c, "upsample_fn", "nearest", NULL);
    config_check_latent_scale(c);
    if (c->error.status == VAEMARK_OK && widths.count != tiny.num_decoder_blocks.count) {
        error_set(
            &c->error, VAEMARK_BAD_INPUT,
            "\"decoder_block_out_channels\" has %d entries and \"num_decoder_blocks\" %d; one a level is wanted in "
            "both",
            widths.count, tiny.num_decoder_blocks.count);
    }
    return tiny;
}

static value activation(struct builder *b, value x, const struct autoencoder_tiny *tiny) {
    return tiny->silu ? builder_silu(b, x) : builder_relu(b, x);
}

/* Pooled blocks are not in the configuration that checkpoints come with; the names of their tensors tell. */
static bool block_is_pooled(const struct autoencoder_tiny *tiny, int32_t level, int32_t layer) {
    char name[64];
    bool pooled = tiny->pool && level == 0;
    if (tiny->weights != NULL) {
        snprintf(name, sizeof name, "decoder.layers.%d.pool.0.weight", layer);
        pooled = pooled || weights_find(tiny->weights, name) != NULL;
    }
    return pooled;
}

/* x + conv(ReLU(norm(conv(x)))), all 1x1: what makes taef2's first level see the whole picture, through the norm. */
static value pool(struct builder *b, value x, int64_t channels, const char *module) {
    int64_t wide = POOL_WIDENING * channels;
    struct conv2d_options widen = {.in = channels, .out = wide, .kernel = 1, .no_bias = true};
    struct conv2d_options narrow = {.in = wide, .out = channels, .kernel = 1, .no_bias = true, .gain = BRANCH_GAIN};
    value p = builder_conv2d(b, x, widen, builder_path(b, "%s.pool.0", module));
    p = builder_group_norm(b, p, wide, POOL_GROUPS, POOL_EPSILON, builder_path(b, "%s.pool.1", module));
    p = builder_relu(b, p);
    p = builder_conv2d(b, p, narrow, builder_path(b, "%s.pool.3", module));
    return builder_add(b, x, p);
}

/* ReLU(conv(act(conv(act(conv(x))))) + x). */
static value block(struct builder *b, value x, int64_t channels, bool pooled, const struct autoencoder_tiny *tiny,
                   const char *module) {
    struct conv2d_options keep = {.in = channels, .out = channels};
    struct conv2d_options damped = {.in = channels, .out = channels, .gain = BRANCH_GAIN};
    if (pooled) {
        x = pool(b, x, channels, module);
    }
    value y = builder_conv2d(b, x, keep, builder_path(b, "%s.conv.0", module));
    y = activation(b, y, tiny);
    y = builder_conv2d(b, y, keep, builder_path(b, "%s.conv.2", module));
    y = activation(b, y, tiny);
    y = builder_conv2d(b, y, damped, builder_path(b, "%s.conv.4", module));
    return builder_relu(b, builder_add(b, y, x));
}

static value decoder(struct builder *b, value z, const struct autoencoder_tiny *tiny) {
    static const double TWICE = 2.0, MINUS_ONE = -1.0;
    const int32_t levels = tiny->num_decoder_blocks.count;
    const int64_t *widths = tiny->widths.items;
    int32_t layer = 0; /* the index in the framework's flat list of layers */

    value x = builder_tanh_clamp(b, z, LATENT_LIMIT);
    x = builder_conv2d(b, x, (struct conv2d_options){.in = tiny->latent_channels, .out = widths[0]},
                       builder_path(b, "decoder.layers.%d", layer++));
    x = activation(b, x, tiny);
    layer++;
    for (int32_t level = 0; level < levels; level++) {
        for (int64_t j = 0; j < tiny->num_decoder_blocks.items[level]; j++, layer++) {
            bool pooled = block_is_pooled(tiny, level, layer);
            x = block(b, x, widths[level], pooled, tiny, builder_path(b, "decoder.layers.%d", layer));
        }
        if (level < levels - 1) {
            struct conv2d_options between = {.in = widths[level], .out = widths[level + 1], .no_bias = true};
            x = builder_upsample_nearest(b, x, tiny->upsampling_scaling_factor);
            layer++;
            x = builder_conv2d(b, x, between, builder_path(b, "decoder.layers.%d", layer++));
        }
    }
    x = builder_conv2d(
        b, x, (struct conv2d_options){.in = widths[levels - 1], .out = tiny->out_channels, .gain = CONV_OUT_GAIN},
        builder_path(b, "decoder.layers.%d", layer));
    return builder_affine(b, x, &TWICE, &MINUS_ONE, 1);
}

/* The last layer answers in [0, 1]: without a bias of a half synthetic pictures would be mostly black. */
static void center_synthetic_pictures(struct vaemark_graph *graph) {
    graph->parameters[graph->parameter_count - 1].synthetic_mean = 0.5;
}

static struct graph_tiling tiling_of(const struct autoencoder_tiny *tiny) {
    struct graph_tiling tiling = {.algorithm = GRAPH_TILING_CANVAS, .factor = 1, .out_channels = tiny->out_channels};
    for (int32_t level = 1; level < tiny->num_decoder_blocks.count; level++) {
        tiling.factor *= tiny->upsampling_scaling_factor;
    }
    return tiling;
}

enum vaemark_status autoencoder_tiny_build(const json_t *json, const struct weights *weights,
                                           struct vaemark_graph **graph, struct error *error) {
    struct config config;
    config_begin(&config, json);
    struct autoencoder_tiny tiny = read_config(&config, weights);
    enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    value latents = builder_input(&b, "latents", 4, tiny.latent_channels, 1);
    status = builder_finish(&b, decoder(&b, latents, &tiny), graph, error);
    if (status == VAEMARK_OK) {
        (*graph)->tiling = tiling_of(&tiny);
        center_synthetic_pictures(*graph);
    }
    return status;
}
