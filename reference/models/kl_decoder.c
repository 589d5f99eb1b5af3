#include "reference/models/kl_decoder.h"

/* Leaves a picture with a standard deviation of about 0.4 behind a norm and a SiLU. */
#define CONV_OUT_GAIN 0.67

int64_t kl_decoder_factor(const struct kl_decoder *decoder) {
    return (int64_t)1 << (decoder->widths.count - 1);
}

static struct norm norm_at(const struct kl_decoder *decoder, int32_t level) {
    struct norm norm = decoder->norm;
    norm.condition_scale = (int32_t)1 << level;
    return norm;
}

static value attention(struct builder *b, value x, int64_t channels, const struct kl_decoder *decoder, int32_t level,
                       const char *module) {
    const struct attention_block block = {.channels = channels,
                                          .norm = norm_at(decoder, level),
                                          .norm_leaf =
                                              decoder->norm.condition_channels > 0 ? "spatial_norm" : "group_norm",
                                          .out_leaf = "to_out.0"};
    return attention_block_build(b, x, block, module);
}

static value mid_block(struct builder *b, value x, int64_t channels, const struct kl_decoder *decoder) {
    const struct resnet resnet = {.in = channels, .out = channels, .norm = norm_at(decoder, 0)};
    x = resnet_build(b, x, resnet, "decoder.mid_block.resnets.0");
    if (decoder->mid_attention) {
        x = attention(b, x, channels, decoder, 0, "decoder.mid_block.attentions.0");
    }
    return resnet_build(b, x, resnet, "decoder.mid_block.resnets.1");
}

/* One level's resnets, the first of which changes the width. */
static value up_block(struct builder *b, value x, int32_t level, int64_t in, int64_t out,
                      const struct kl_decoder *decoder) {
    for (int32_t j = 0; j < decoder->resnets; j++) {
        const struct resnet resnet = {.in = j == 0 ? in : out, .out = out, .norm = norm_at(decoder, level)};
        x = resnet_build(b, x, resnet, builder_path(b, "decoder.up_blocks.%d.resnets.%d", level, j));
        if (decoder->level_attention[level]) {
            x = attention(b, x, out, decoder, level, builder_path(b, "decoder.up_blocks.%d.attentions.%d", level, j));
        }
    }
    return x;
}

static value at_level(struct builder *b, value x, int32_t level, const struct kl_decoder *decoder) {
    return decoder->at_level == NULL ? x : decoder->at_level(b, x, level, decoder->context);
}

value kl_decoder_build(struct builder *b, value z, const struct kl_decoder *decoder) {
    const int32_t levels = decoder->widths.count;
    int64_t channels = decoder->widths.items[levels - 1];
    value x = builder_conv2d(b, z, (struct conv2d_options){.in = decoder->in, .out = channels}, "decoder.conv_in");
    x = mid_block(b, x, channels, decoder);
    for (int32_t level = 0; level < levels; level++) {
        const int64_t in = channels;
        channels = decoder->widths.items[levels - 1 - level];
        x = up_block(b, at_level(b, x, level, decoder), level, in, channels, decoder);
        if (level < levels - 1) {
            x = builder_upsample_nearest(b, x, 2);
            x = builder_conv2d(b, x, (struct conv2d_options){.in = channels, .out = channels, .gain = 1.0},
                               builder_path(b, "decoder.up_blocks.%d.upsamplers.0.conv", level));
        }
    }
    x = at_level(b, x, levels, decoder);
    const struct norm norm = norm_at(decoder, levels - 1);
    x = builder_silu(b, norm_build(b, x, channels, &norm, "decoder.conv_norm_out"));
    return builder_conv2d(b, x, (struct conv2d_options){.in = channels, .out = decoder->out, .gain = CONV_OUT_GAIN},
                          "decoder.conv_out");
}
