/* AutoencoderKLHunyuanImage: the decoder of HunyuanImage 2.1, as diffusers' class of that name builds it. Channels
 * become pixels where others enlarge, and every enlargement has a path around it without weights.
 *
 *   latents -> conv_in + repeated latents -> resnet, attention, resnet -> levels of resnets, x2 between -> norm, SiLU,
 *   conv_out -> image
 */
#include "reference/builder.h"
#include "reference/models/blocks.h"
#include "reference/models/config.h"
#include "reference/models/models.h"

#define NORM_EPSILON 1e-6
/* Leaves a picture with a standard deviation of about 0.4 behind a norm and a SiLU. */
#define CONV_OUT_GAIN 0.67

enum { NORM_GROUPS = 32, DEFAULT_SAMPLE_SIZE = 384 };

struct hunyuanimage {
    int64_t latent_channels, out_channels;
    struct config_list widths; /* finest first */
    int32_t layers_per_block;
    int32_t enlargements;
};

static const struct norm NORM = {.groups = NORM_GROUPS, .epsilon = NORM_EPSILON};

/* The class enlarges behind its coarsest levels, log2 of the ratio of them. */
static int32_t read_enlargements(struct config *c, int32_t levels) {
    const int64_t ratio = config_integer(c, "spatial_compression_ratio", 32, 1, 1 << CONFIG_MAX_LEVELS);
    int32_t count = 0;
    while (((int64_t)1 << count) < ratio) {
        count++;
    }
    if (((int64_t)1 << count) != ratio || count > levels - 1) {
        error_set(&c->error, VAEMARK_UNSUPPORTED_MODEL,
                  "\"spatial_compression_ratio\" is %lld; supported are powers of two that %d levels can reach",
                  (long long)ratio, levels);
    }
    return count;
}

/* Where a level's first resnet would have to change the width, the framework fails: it adds the shortcut's convolution
 * to the wrong tensor. */
static void check_widths(struct config *c, const struct hunyuanimage *h) {
    for (int32_t level = h->enlargements + 1; level < h->widths.count && c->error.status == VAEMARK_OK; level++) {
        if (h->widths.items[h->widths.count - 1 - level] != h->widths.items[h->widths.count - level]) {
            error_set(&c->error, VAEMARK_UNSUPPORTED_MODEL,
                      "\"block_out_channels\" changes its width between levels that \"spatial_compression_ratio\" does "
                      "not enlarge, which the framework cannot decode either");
        }
    }
}

static void check_divides(struct config *c, const char *key, int64_t whole, int64_t part, const char *what) {
    if (c->error.status == VAEMARK_OK && whole % part != 0) {
        error_set(&c->error, VAEMARK_BAD_INPUT, "\"%s\": %lld is no multiple of %lld, %s", key, (long long)whole,
                  (long long)part, what);
    }
}

static struct hunyuanimage read_config(struct config *c) {
    struct hunyuanimage h = {
        .latent_channels = config_channels(c, "latent_channels", 64),
        .out_channels = config_channels(c, "out_channels", 3),
        .widths = config_integers(c, "block_out_channels", (struct config_list){{128, 256, 512, 512, 1024, 1024}, 6}, 1,
                                  CONFIG_MAX_CHANNELS),
        .layers_per_block = config_layers(c, "layers_per_block", 2),
    };
    h.enlargements = read_enlargements(c, h.widths.count);
    config_only_boolean(c, "upsample_match_channel", true, "the framework fails to decode such a model");
    config_check_groups(c, "block_out_channels", &h.widths, "norm groups", NORM_GROUPS);
    check_divides(c, "block_out_channels", h.widths.items[h.widths.count - 1], h.latent_channels,
                  "the latents' channels, which are repeated");
    for (int32_t level = 0; level < h.enlargements; level++) {
        const int64_t in = h.widths.items[h.widths.count - 1 - level];
        check_divides(c, "block_out_channels", 4 * h.widths.items[h.widths.count - 2 - level], in,
                      "a coarser level's channels, which are repeated");
    }
    check_widths(c, &h);
    config_check_latent_scale(c);
    return h;
}

/* Channels to pixels in this model's order: out[c, 2i + a, 2j + b] = in[(2a + b) C + c, i, j]. */
static struct channels_to_space pixels(int64_t channels, int64_t repeats) {
    return (struct channels_to_space){.factor = 2,
                                      .channels = channels,
                                      .by_channel = 1,
                                      .by_row = 2 * channels,
                                      .by_column = channels,
                                      .divisor = repeats};
}

static value enlarge(struct builder *b, value x, int64_t in, int64_t out, const char *module) {
    value y = builder_conv2d(b, x, (struct conv2d_options){.in = in, .out = 4 * out, .gain = 1.0},
                             builder_path(b, "%s.conv", module));
    y = builder_channels_to_space(b, y, pixels(out, 1));
    return builder_add(b, y, builder_channels_to_space(b, x, pixels(out, 4 * out / in)));
}

static value decode(struct builder *b, const struct hunyuanimage *h) {
    const int32_t levels = h->widths.count;
    int64_t channels = h->widths.items[levels - 1];
    int32_t index = 0; /* resnets and enlargements are numbered through */
    const struct resnet first = {.in = channels, .out = channels, .norm = NORM};
    const struct attention_block attention = {
        .channels = channels, .norm = NORM, .norm_leaf = "norm", .out_leaf = "proj"};

    value z = builder_input(b, "latents", 4, h->latent_channels, 1);
    value x =
        builder_conv2d(b, z, (struct conv2d_options){.in = h->latent_channels, .out = channels}, "decoder.conv_in");
    x = builder_add(b, x, builder_repeat_channels(b, z, h->latent_channels, channels / h->latent_channels));
    x = resnet_build(b, x, first, "decoder.mid_block.resnets.0");
    x = attention_block_build(b, x, attention, "decoder.mid_block.attentions.0");
    x = resnet_build(b, x, first, "decoder.mid_block.resnets.1");
    for (int32_t level = 0; level < levels; level++) {
        const struct resnet resnet = {.in = channels, .out = channels, .norm = NORM};
        for (int32_t j = 0; j <= h->layers_per_block; j++) {
            x = resnet_build(b, x, resnet, builder_path(b, "decoder.up_blocks.%d", index++));
        }
        if (level < h->enlargements) {
            const int64_t in = channels;
            channels = h->widths.items[levels - 2 - level];
            x = enlarge(b, x, in, channels, builder_path(b, "decoder.up_blocks.%d", index++));
        }
    }
    x = builder_silu(b, norm_build(b, x, channels, &NORM, "decoder.norm_out"));
    return builder_conv2d(b, x, (struct conv2d_options){.in = channels, .out = h->out_channels, .gain = CONV_OUT_GAIN},
                          "decoder.conv_out");
}

enum vaemark_status autoencoder_kl_hunyuanimage_build(const json_t *json, const struct weights *weights,
                                                      struct vaemark_graph **graph, struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    const struct hunyuanimage h = read_config(&config);
    enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    status = builder_finish(&b, decode(&b, &h), graph, error);
    if (status == VAEMARK_OK) {
        struct graph_tiling *tiling = &(*graph)->tiling;
        tiling->algorithm = GRAPH_TILING_NEIGHBOURS;
        tiling->factor = (int64_t)1 << h.enlargements;
        tiling->out_channels = h.out_channels;
        tiling->sample_size = config_sample_size(&config, DEFAULT_SAMPLE_SIZE, &tiling->sample_size_is_list);
    }
    return status;
}
