/* ConsistencyDecoderVAE: OpenAI's consistency decoder for Stable Diffusion 1 latents (Song et al., Consistency Models,
 * ICML 2023; github.com/openai/consistencydecoder), as diffusers' class of that name runs it: a UNet that turns noise
 * into a picture in two steps, given the latents.
 *
 *   latents -> standardised, nearest x8 = condition;   x = noise.0 scaled
 *   for t in 1008, 512:  m = UNet(c_in x | condition, t)[:3];   x0 = c_out m + c_skip x;   x = x0 and noise.1 mixed
 */
#include <math.h>

#include "reference/builder.h"
#include "reference/models/blocks.h"
#include "reference/models/config.h"
#include "reference/models/consistency_schedule.h"
#include "reference/models/models.h"

enum { LATENT_CHANNELS = 4, IMAGE_CHANNELS = 3, MAX_SKIPS = CONFIG_MAX_LEVELS * (CONFIG_MAX_LAYERS + 1) + 1 };

/* Of Stable Diffusion's latents, by channel. The framework keeps them in single precision; see stored_constant(). */
static const float LATENT_MEANS[LATENT_CHANNELS] = {0.38862467f, 0.02253063f, 0.07381133f, -0.0171294f};
static const float LATENT_DEVIATIONS[LATENT_CHANNELS] = {0.9654121f, 1.0440036f, 0.76147926f, 0.77022034f};

/* Leaves a picture with a standard deviation of about 0.4 behind a norm, a SiLU and c_out. */
#define CONV_OUT_GAIN 1.25

struct consistency_decoder {
    double scaling_factor;
    int64_t unet_out_channels, table_rows;
    struct config_list widths; /* of the UNet, finest first */
    int32_t layers, groups, upsampling;
    int constant_bits; /* of the checkpoint's dtype */
    double epsilon;
};

/* What the UNet's downward path leaves for its upward path. */
struct skips {
    struct {
        value x;
        int64_t channels;
    } items[MAX_SKIPS];
    int32_t count;
};

/* Significant bits of the checkpoint's numbers, of which the dtype of its first convolution is the sample. */
static int stored_bits(const struct weights *weights) {
    const struct vaemark_tensor *tensor = weights == NULL ? NULL : weights_find(weights, "decoder_unet.conv_in.weight");
    switch (tensor == NULL ? VAEMARK_F32 : tensor->dtype) {
    case VAEMARK_F16:
        return 11;
    case VAEMARK_BF16:
        return 8;
    default:
        return 24;
    }
}

/* The framework holds means and deviations as buffers of the module: not in the checkpoint, yet converted to its dtype
 * with all the rest. With a 16-bit checkpoint they are rounded to 16 bits, which is 1e-4 of the picture. */
static double stored_constant(float constant, int bits) {
    int exponent = 0;
    double mantissa = frexp((double)constant, &exponent);
    return ldexp(rint(ldexp(mantissa, bits)), exponent - bits);
}

static struct consistency_decoder read_config(struct config *c, const struct weights *weights) {
    struct config_list encoder = config_integers(c, "encoder_block_out_channels",
                                                 (struct config_list){{128, 256, 512, 512}, 4}, 1, CONFIG_MAX_CHANNELS);
    struct consistency_decoder decoder = {
        .scaling_factor = config_positive(c, "scaling_factor", 0.18215),
        .unet_out_channels = config_integer(c, "decoder_out_channels", 6, IMAGE_CHANNELS, CONFIG_MAX_CHANNELS),
        .table_rows = config_integer(c, "decoder_num_train_timesteps", CONSISTENCY_TIMESTEPS,
                                     CONSISTENCY_FIRST_STEP + 1, CONFIG_MAX_CHANNELS),
        .widths = config_integers(c, "decoder_block_out_channels", (struct config_list){{320, 640, 1024, 1024}, 4}, 1,
                                  CONFIG_MAX_CHANNELS),
        .layers = (int32_t)config_integer(c, "decoder_layers_per_block", 3, 1, CONFIG_MAX_LAYERS),
        .groups = (int32_t)config_channels(c, "decoder_norm_num_groups", 32),
        .upsampling = 1 << (encoder.count - 1),
        .constant_bits = stored_bits(weights),
        .epsilon = config_positive(c, "decoder_norm_eps", 1e-5),
    };
    config_integer(c, "latent_channels", LATENT_CHANNELS, LATENT_CHANNELS, LATENT_CHANNELS);
    config_integer(c, "decoder_in_channels", IMAGE_CHANNELS + LATENT_CHANNELS, IMAGE_CHANNELS + LATENT_CHANNELS,
                   IMAGE_CHANNELS + LATENT_CHANNELS);
    config_block_types(c, "decoder_down_block_types", "ResnetDownsampleBlock2D", decoder.widths.count);
    config_block_types(c, "decoder_up_block_types", "ResnetUpsampleBlock2D", decoder.widths.count);
    config_choice(c, "decoder_time_embedding_type", "learned", NULL);
    config_choice(c, "decoder_resnet_time_scale_shift", "scale_shift", NULL);
    config_only_boolean(c, "decoder_add_attention", false, "no published decoder has attention in its UNet");
    config_check_groups(c, "decoder_block_out_channels", &decoder.widths, "decoder_norm_num_groups", decoder.groups);
    return decoder;
}

static int64_t time_channels(const struct consistency_decoder *d) {
    return 4 * d->widths.items[0];
}

/* (1, 4 C0), behind the SiLU that every block would apply to it. */
static value time_embedding(struct builder *b, int32_t t, const struct consistency_decoder *d) {
    const int64_t in = d->widths.items[0], out = time_channels(d);
    value e = builder_embedding(b, d->table_rows, in, t, "decoder_unet.time_proj");
    e = builder_linear(b, e, in, out, "decoder_unet.time_embedding.linear_1");
    e = builder_silu(b, e);
    e = builder_linear(b, e, out, out, "decoder_unet.time_embedding.linear_2");
    return builder_silu(b, e);
}

static value resnet(struct builder *b, value x, value e, int64_t in, int64_t out, enum resample resample,
                    const struct consistency_decoder *d, const char *module) {
    struct resnet resnet = {.in = in,
                            .out = out,
                            .norm = {.groups = d->groups, .epsilon = d->epsilon},
                            .time_embedding = e,
                            .time_channels = time_channels(d),
                            .resample = resample};
    return resnet_build(b, x, resnet, module);
}

static value skips_push(struct skips *skips, value x, int64_t channels) {
    skips->items[skips->count].x = x;
    skips->items[skips->count++].channels = channels;
    return x;
}

static value down_blocks(struct builder *b, value x, value e, struct skips *skips,
                         const struct consistency_decoder *d) {
    const int32_t levels = d->widths.count;
    int64_t in = d->widths.items[0];
    for (int32_t level = 0; level < levels; level++) {
        const int64_t out = d->widths.items[level];
        for (int32_t j = 0; j < d->layers; j++, in = out) {
            x = resnet(b, x, e, in, out, RESAMPLE_NONE, d,
                       builder_path(b, "decoder_unet.down_blocks.%d.resnets.%d", level, j));
            skips_push(skips, x, out);
        }
        if (level < levels - 1) {
            x = resnet(b, x, e, out, out, RESAMPLE_DOWN, d,
                       builder_path(b, "decoder_unet.down_blocks.%d.downsamplers.0", level));
            skips_push(skips, x, out);
        }
    }
    return x;
}

static value up_blocks(struct builder *b, value x, value e, struct skips *skips, const struct consistency_decoder *d) {
    const int32_t levels = d->widths.count;
    int64_t in = d->widths.items[levels - 1];
    for (int32_t level = 0; level < levels; level++) {
        const int64_t out = d->widths.items[levels - 1 - level];
        for (int32_t j = 0; j <= d->layers; j++, in = out) {
            skips->count--;
            x = builder_concat(b, x, skips->items[skips->count].x);
            x = resnet(b, x, e, in + skips->items[skips->count].channels, out, RESAMPLE_NONE, d,
                       builder_path(b, "decoder_unet.up_blocks.%d.resnets.%d", level, j));
        }
        if (level < levels - 1) {
            x = resnet(b, x, e, out, out, RESAMPLE_UP, d,
                       builder_path(b, "decoder_unet.up_blocks.%d.upsamplers.0", level));
        }
    }
    return x;
}

static value unet(struct builder *b, value x, int32_t t, const struct consistency_decoder *d) {
    const int64_t finest = d->widths.items[0], coarsest = d->widths.items[d->widths.count - 1];
    struct skips skips = {.count = 0};
    value e = time_embedding(b, t, d);
    x = builder_conv2d(b, x, (struct conv2d_options){.in = IMAGE_CHANNELS + LATENT_CHANNELS, .out = finest},
                       "decoder_unet.conv_in");
    skips_push(&skips, x, finest);
    x = down_blocks(b, x, e, &skips, d);
    x = resnet(b, x, e, coarsest, coarsest, RESAMPLE_NONE, d, "decoder_unet.mid_block.resnets.0");
    x = resnet(b, x, e, coarsest, coarsest, RESAMPLE_NONE, d, "decoder_unet.mid_block.resnets.1");
    x = up_blocks(b, x, e, &skips, d);
    x = builder_group_norm(b, x, finest, d->groups, d->epsilon, "decoder_unet.conv_norm_out");
    x = builder_silu(b, x);
    return builder_conv2d(b, x,
                          (struct conv2d_options){.in = finest, .out = d->unet_out_channels, .gain = CONV_OUT_GAIN},
                          "decoder_unet.conv_out");
}

/* The latents as the UNet was trained on them: mean 0, deviation 1, as large as the picture. */
static value condition(struct builder *b, value z, const struct consistency_decoder *d) {
    double scale[LATENT_CHANNELS], shift[LATENT_CHANNELS];
    for (int i = 0; i < LATENT_CHANNELS; i++) {
        double deviation = stored_constant(LATENT_DEVIATIONS[i], d->constant_bits);
        scale[i] = d->scaling_factor / deviation;
        shift[i] = -stored_constant(LATENT_MEANS[i], d->constant_bits) / deviation;
    }
    return builder_upsample_nearest(b, builder_affine(b, z, scale, shift, LATENT_CHANNELS), d->upsampling);
}

static value scaled(struct builder *b, double factor, value x) {
    static const double NO_SHIFT = 0.0;
    return builder_affine(b, x, &factor, &NO_SHIFT, 1);
}

/* The picture that the UNet sees in x at step t. */
static value predict(struct builder *b, value x, value cond, int32_t t, const struct consistency_decoder *d) {
    struct consistency_step step = consistency_schedule_at(t);
    value m = unet(b, builder_concat(b, scaled(b, (double)step.c_in, x), cond), t, d);
    m = builder_slice(b, m, 0, IMAGE_CHANNELS);
    return builder_weighted_add(b, (double)step.c_out, m, (double)step.c_skip, x);
}

enum vaemark_status consistency_decoder_vae_build(const json_t *json, const struct weights *weights,
                                                  struct vaemark_graph **graph, struct error *error) {
    struct config config;
    config_begin(&config, json);
    struct consistency_decoder d = read_config(&config, weights);
    enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    const struct consistency_step first = consistency_schedule_at(CONSISTENCY_FIRST_STEP);
    const struct consistency_step second = consistency_schedule_at(CONSISTENCY_SECOND_STEP);
    struct builder b;
    builder_begin(&b);
    value latents = builder_input(&b, "latents", 4, LATENT_CHANNELS, 1);
    value noise_0 = builder_input(&b, "noise.0", 4, IMAGE_CHANNELS, d.upsampling);
    value noise_1 = builder_input(&b, "noise.1", 4, IMAGE_CHANNELS, d.upsampling);
    value cond = condition(&b, latents, &d);
    value x = scaled(&b, (double)first.sqrt_noise, noise_0);
    value x0 = predict(&b, x, cond, CONSISTENCY_FIRST_STEP, &d);
    x = builder_weighted_add(&b, (double)second.sqrt_signal, x0, (double)second.sqrt_noise, noise_1);
    return builder_finish(&b, predict(&b, x, cond, CONSISTENCY_SECOND_STEP, &d), graph, error);
}
