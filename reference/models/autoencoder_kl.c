/* AutoencoderKL: the decoder of the latent diffusion models (Rombach et al., High-Resolution Image Synthesis with
 * Latent Diffusion Models, CVPR 2022), as diffusers' class of that name builds it: Stable Diffusion 1 to 3, SDXL,
 * FLUX.1.
 *
 *   latents -> post_quant_conv -> conv_in -> resnet, attention, resnet -> levels of resnets, x2 between -> norm, SiLU,
 *   conv_out -> image
 */
#include "reference/builder.h"
#include "reference/models/blocks.h"
#include "reference/models/config.h"
#include "reference/models/models.h"

struct autoencoder_kl {
    int64_t latent_channels, out_channels;
    struct config_list block_out_channels; /* finest first */
    int32_t layers_per_block, norm_num_groups;
    bool use_post_quant_conv, mid_block_add_attention;
};

#define NORM_EPSILON 1e-6

enum { DEFAULT_SAMPLE_SIZE = 32 };

/* Leaves a picture with a standard deviation of about 0.4 behind a norm and a SiLU. */
#define CONV_OUT_GAIN 0.67

static struct autoencoder_kl read_config(struct config *c) {
    struct autoencoder_kl kl = {
        .latent_channels = config_channels(c, "latent_channels", 4),
        .out_channels = config_channels(c, "out_channels", 3),
        .block_out_channels =
            config_integers(c, "block_out_channels", (struct config_list){{64}, 1}, 1, CONFIG_MAX_CHANNELS),
        .layers_per_block = config_layers(c, "layers_per_block", 1),
        .norm_num_groups = (int32_t)config_channels(c, "norm_num_groups", 32),
        .use_post_quant_conv = config_boolean(c, "use_post_quant_conv", true),
        .mid_block_add_attention = config_boolean(c, "mid_block_add_attention", true),
    };
    config_block_types(c, "up_block_types", "UpDecoderBlock2D", kl.block_out_channels.count);
    config_choice(c, "act_fn", "silu", "swish"); /* two names of one function */
    config_check_groups(c, "block_out_channels", &kl.block_out_channels, "norm_num_groups", kl.norm_num_groups);
    config_check_latent_scale(c);
    return kl;
}

/* The mid block's attention: one head as wide as the channels; the residual is the input before the norm. */
static value attention(struct builder *b, value x, int64_t channels, int32_t groups, const char *module) {
    value y = builder_group_norm(b, x, channels, groups, NORM_EPSILON, builder_path(b, "%s.group_norm", module));
    value q = builder_linear(b, y, channels, channels, builder_path(b, "%s.to_q", module));
    value k = builder_linear(b, y, channels, channels, builder_path(b, "%s.to_k", module));
    value v = builder_linear(b, y, channels, channels, builder_path(b, "%s.to_v", module));
    value o = builder_attention(b, q, k, v, module);
    o = builder_linear(b, o, channels, channels, builder_path(b, "%s.to_out.0", module));
    return builder_add(b, x, o);
}

static value mid_block(struct builder *b, value x, int64_t channels, const struct autoencoder_kl *kl) {
    struct resnet resnet = {.in = channels, .out = channels, .groups = kl->norm_num_groups, .epsilon = NORM_EPSILON};
    x = resnet_build(b, x, resnet, "decoder.mid_block.resnets.0");
    if (kl->mid_block_add_attention) {
        x = attention(b, x, channels, kl->norm_num_groups, "decoder.mid_block.attentions.0");
    }
    return resnet_build(b, x, resnet, "decoder.mid_block.resnets.1");
}

/* One level: layers + 1 resnets, the first of which changes the width. */
static value up_block(struct builder *b, value x, int32_t level, int64_t in, int64_t out,
                      const struct autoencoder_kl *kl) {
    for (int32_t j = 0; j <= kl->layers_per_block; j++) {
        struct resnet resnet = {
            .in = j == 0 ? in : out, .out = out, .groups = kl->norm_num_groups, .epsilon = NORM_EPSILON};
        x = resnet_build(b, x, resnet, builder_path(b, "decoder.up_blocks.%d.resnets.%d", level, j));
    }
    return x;
}

static value decoder(struct builder *b, value z, const struct autoencoder_kl *kl) {
    const int32_t levels = kl->block_out_channels.count;
    const int64_t *widths = kl->block_out_channels.items;
    int64_t channels = widths[levels - 1];
    if (kl->use_post_quant_conv) {
        struct conv2d_options pointwise = {
            .in = kl->latent_channels, .out = kl->latent_channels, .kernel = 1, .gain = 1.0};
        z = builder_conv2d(b, z, pointwise, "post_quant_conv");
    }
    value x =
        builder_conv2d(b, z, (struct conv2d_options){.in = kl->latent_channels, .out = channels}, "decoder.conv_in");
    x = mid_block(b, x, channels, kl);
    for (int32_t level = 0; level < levels; level++) {
        int64_t in = channels;
        channels = widths[levels - 1 - level];
        x = up_block(b, x, level, in, channels, kl);
        if (level < levels - 1) {
            x = builder_upsample_nearest(b, x, 2);
            x = builder_conv2d(b, x, (struct conv2d_options){.in = channels, .out = channels, .gain = 1.0},
                               builder_path(b, "decoder.up_blocks.%d.upsamplers.0.conv", level));
        }
    }
    x = builder_group_norm(b, x, channels, kl->norm_num_groups, NORM_EPSILON, "decoder.conv_norm_out");
    x = builder_silu(b, x);
    return builder_conv2d(b, x, (struct conv2d_options){.in = channels, .out = kl->out_channels, .gain = CONV_OUT_GAIN},
                          "decoder.conv_out");
}

enum vaemark_status autoencoder_kl_build(const json_t *json, const struct weights *weights,
                                         struct vaemark_graph **graph, struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    struct autoencoder_kl kl = read_config(&config);
    enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    value latents = builder_input(&b, "latents", 4, kl.latent_channels, 1);
    status = builder_finish(&b, decoder(&b, latents, &kl), graph, error);
    if (status == VAEMARK_OK) {
        struct graph_tiling *tiling = &(*graph)->tiling;
        tiling->algorithm = GRAPH_TILING_NEIGHBOURS;
        tiling->factor = (int64_t)1 << (kl.block_out_channels.count - 1);
        tiling->out_channels = kl.out_channels;
        tiling->sample_size = config_sample_size(&config, DEFAULT_SAMPLE_SIZE, &tiling->sample_size_is_list);
    }
    return status;
}
