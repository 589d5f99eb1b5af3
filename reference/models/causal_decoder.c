/* The decoder of video VAEs with causal convolutions, of one picture.
 *
 * A causal convolution sees its own frame and those before it, of which the first has none: two frames of zeros are
 * padded in front, so of a picture only the last tap of every kernel counts, and what doubles the frames (time_conv) is
 * never run.
 *
 *   latents -> post_quant_conv -> conv_in -> resnet, attention, resnet -> levels of resnets, x2 between -> norm, SiLU,
 *   conv_out -> pixels of patches -> clamp -> image
 */
#include "reference/models/causal_decoder.h"

#include <math.h>

/* The framework divides by the length of a pixel's vector, if that is above this, and multiplies by sqrt(C): so by the
 * root of the mean square, and this over sqrt(C). */
#define LEAST_LENGTH 1e-12

enum { FRAMES = 3, MAX_MULTIPLIER = 1024, TILE = 256, TILE_STRIDE = 192 };

/* Leaves a picture with a standard deviation of about 0.4 behind a norm and a SiLU. */
#define CONV_OUT_GAIN 0.67

void causal_decoder_read(struct config *c, struct causal_decoder *d) {
    d->latent_channels = config_channels(c, "z_dim", 16);
    d->multipliers = config_integers(c, "dim_mult", (struct config_list){{1, 2, 4, 4}, 4}, 1, MAX_MULTIPLIER);
    d->layers_per_block = config_layers(c, "num_res_blocks", 2);
    d->halves_frames = config_booleans(c, "temperal_downsample", (struct config_list){{0, 1, 1}, 3});
    if (c->error.status == VAEMARK_OK && d->halves_frames.count < d->multipliers.count - 1) {
        error_set(&c->error, VAEMARK_BAD_INPUT,
                  "\"temperal_downsample\" has %d entries and \"dim_mult\" %d; one is wanted between two levels",
                  d->halves_frames.count, d->multipliers.count);
    }
}

static value norm(struct builder *b, value x, int64_t channels, const char *module) {
    return builder_rms_norm(b, x, channels, 0.0, LEAST_LENGTH / sqrt((double)channels), false, "gamma", module);
}

static value conv(struct builder *b, value x, int64_t in, int64_t out, double gain, const char *module) {
    return builder_conv2d(b, x, (struct conv2d_options){.in = in, .out = out, .frames = FRAMES, .gain = gain}, module);
}

static value pointwise(struct builder *b, value x, int64_t in, int64_t out, const char *module) {
    struct conv2d_options options = {.in = in, .out = out, .kernel = 1, .frames = 1, .gain = 1.0};
    return builder_conv2d(b, x, options, module);
}

/* Norm, SiLU and convolution, twice, plus the input, through a 1x1 convolution iff the width changes. */
static value resnet(struct builder *b, value x, int64_t in, int64_t out, const char *module) {
    value skip = in == out ? x : pointwise(b, x, in, out, builder_path(b, "%s.conv_shortcut", module));
    value t = builder_silu(b, norm(b, x, in, builder_path(b, "%s.norm1", module)));
    t = conv(b, t, in, out, 0.0, builder_path(b, "%s.conv1", module));
    t = builder_silu(b, norm(b, t, out, builder_path(b, "%s.norm2", module)));
    t = conv(b, t, out, out, 0.0, builder_path(b, "%s.conv2", module));
    return builder_add(b, skip, t);
}

/* Fused by construction: one projection makes q, k and v. */
static value attention(struct builder *b, value x, int64_t channels, const char *module) {
    value y = norm(b, x, channels, builder_path(b, "%s.norm", module));
    value qkv = builder_linear(b, y, channels, 3 * channels, builder_path(b, "%s.to_qkv", module));
    value o = builder_packed_attention(b, qkv, module);
    return builder_add(b, x, builder_linear(b, o, channels, channels, builder_path(b, "%s.proj", module)));
}

static value mid_block(struct builder *b, value x, int64_t channels) {
    x = resnet(b, x, channels, channels, "decoder.mid_block.resnets.0");
    x = attention(b, x, channels, "decoder.mid_block.attentions.0");
    return resnet(b, x, channels, channels, "decoder.mid_block.resnets.1");
}

/* x2, and the convolution that only films need. */
static value upsampler(struct builder *b, value x, int64_t in, int64_t out, bool doubles_frames, const char *module) {
    x = builder_upsample_nearest(b, x, 2);
    x = builder_conv2d(b, x, (struct conv2d_options){.in = in, .out = out, .gain = 1.0},
                       builder_path(b, "%s.resample.1", module));
    if (doubles_frames) {
        const char *time_conv = builder_path(b, "%s.time_conv", module);
        struct shape weight = {.rank = 5, .dims = {2 * in, in, FRAMES, 1, 1}};
        builder_declare(b, time_conv, "weight", weight, PARAMETER_WEIGHT);
        builder_declare(b, time_conv, "bias", (struct shape){.rank = 1, .dims = {2 * in}}, PARAMETER_BIAS);
    }
    return x;
}

/* The shortcut without weights: channels become frames, rows and columns, of which the picture is the last frame;
 * repeated before, where there are too few of them. */
static value duplicate(struct builder *b, value x, int64_t in, int64_t out, bool doubles_frames, int32_t level) {
    const int64_t frames = doubles_frames ? 2 : 1, pixels = 4;
    if (b->error.status == VAEMARK_OK && out * frames * pixels % in != 0) {
        error_set(
            &b->error, VAEMARK_BAD_INPUT,
            "\"dim_mult\" makes level %d of %lld channels %lld, but its shortcut needs %lld times as many to be a "
            "multiple of what comes in",
            (int)level, (long long)in, (long long)out, (long long)(frames * pixels));
        return -1;
    }
    struct channels_to_space map = {.factor = 2,
                                    .channels = out,
                                    .by_channel = frames * pixels,
                                    .by_row = 2,
                                    .by_column = 1,
                                    .offset = (frames - 1) * pixels,
                                    .divisor = out * frames * pixels / in};
    return builder_channels_to_space(b, x, map);
}

/* One level; *channels is the width before and behind it. */
static value up_block(struct builder *b, value x, int32_t level, int64_t *channels, const struct causal_decoder *d) {
    const int32_t levels = d->multipliers.count;
    const int64_t in = *channels, out = d->base_channels * d->multipliers.items[levels - 1 - level];
    value before = x;
    for (int32_t j = 0; j <= d->layers_per_block; j++) {
        x = resnet(b, x, j == 0 ? in : out, out, builder_path(b, "decoder.up_blocks.%d.resnets.%d", level, j));
    }
    *channels = out;
    if (level == levels - 1) {
        return x;
    }
    bool doubles_frames = d->halves_frames.items[d->halves_frames.count - 1 - level] != 0;
    if (d->residual) {
        x = upsampler(b, x, out, out, doubles_frames, builder_path(b, "decoder.up_blocks.%d.upsampler", level));
        return builder_add(b, x, duplicate(b, before, in, out, doubles_frames, level));
    }
    *channels = out / 2;
    return upsampler(b, x, out, out / 2, doubles_frames, builder_path(b, "decoder.up_blocks.%d.upsamplers.0", level));
}

static value decode(struct builder *b, value z, const struct causal_decoder *d) {
    const int32_t levels = d->multipliers.count;
    int64_t channels = d->base_channels * d->multipliers.items[levels - 1];
    value x = pointwise(b, z, d->latent_channels, d->latent_channels, "post_quant_conv");
    x = conv(b, x, d->latent_channels, channels, 0.0, "decoder.conv_in");
    x = mid_block(b, x, channels);
    for (int32_t level = 0; level < levels; level++) {
        x = up_block(b, x, level, &channels, d);
    }
    x = builder_silu(b, norm(b, x, channels, "decoder.norm_out"));
    x = conv(b, x, channels, d->out_channels, CONV_OUT_GAIN, "decoder.conv_out");
    if (d->patch > 1) { /* the column is the slower index of a patch */
        struct channels_to_space unpatchify = {.factor = d->patch,
                                               .channels = d->out_channels / (d->patch * d->patch),
                                               .by_channel = d->patch * d->patch,
                                               .by_row = 1,
                                               .by_column = d->patch};
        x = builder_channels_to_space(b, x, unpatchify);
    }
    return builder_clamp(b, x, -1.0, 1.0);
}

static struct graph_tiling tiling_of(const struct causal_decoder *d, bool clamps_tiles) {
    return (struct graph_tiling){
        .algorithm = GRAPH_TILING_STRIDES,
        .factor = ((int64_t)1 << (d->multipliers.count - 1)) * d->patch,
        .out_channels = d->out_channels / (d->patch * d->patch),
        .tile = TILE,
        .stride = TILE_STRIDE,
        .patch = d->patch,
        .crops = true,
        .ends_in_clamp = true,
        .clamps = clamps_tiles,
    };
}

enum vaemark_status causal_decoder_build(const struct causal_decoder *d, bool clamps_tiles,
                                         struct vaemark_graph **graph, struct error *error) {
    struct builder b;
    builder_begin(&b);
    value latents = builder_input(&b, "latents", 5, d->latent_channels, 1);
    enum vaemark_status status = builder_finish(&b, decode(&b, latents, d), graph, error);
    if (status == VAEMARK_OK) {
        (*graph)->has_frames = true;
        (*graph)->tiling = tiling_of(d, clamps_tiles);
    }
    return status;
}
