/* AutoencoderDC: the decoder of deep compression autoencoders (Chen et al., Deep Compression Autoencoder for Efficient
 * High-Resolution Diffusion Models, ICLR 2025), as diffusers' class of that name builds it, used by SANA. Its attention
 * is EfficientViT's (Cai et al., ICCV 2023): linear, over several scales, by ReLU instead of softmax.
 *
 *   latents -> conv_in, with a shortcut of repeated channels -> levels, coarsest first: x2 with a shortcut of channels
 *   that become pixels, then blocks -> norm, ReLU, conv_out -> image
 */
#include "reference/builder.h"
#include "reference/models/config.h"
#include "reference/models/models.h"

enum block_type { BLOCK_RESIDUAL = 0, BLOCK_EFFICIENT_VIT };
enum norm_type { NORM_RMS = 0, NORM_BATCH };
enum activation { ACTIVATION_SILU = 0, ACTIVATION_SWISH, ACTIVATION_RELU };

static const char *const BLOCK_TYPES[] = {"ResBlock", "EfficientViTBlock", NULL};
static const char *const NORM_TYPES[] = {"rms_norm", "batch_norm", NULL};
static const char *const ACTIVATIONS[] = {"silu", "swish", "relu", NULL};

/* Lists have an entry a level, finest first. */
struct autoencoder_dc {
    int64_t latent_channels, out_channels;
    int32_t head_channels;
    struct config_list widths, layers, block_types, norms, activations;
    struct config_list scales[CONFIG_MAX_LEVELS]; /* kernels of the attention's further scales */
    bool interpolates; /* x2 by repeating pixels before the convolution, else by its channels */
    bool in_shortcut, relu_before_out;
};

#define NORM_EPSILON      1e-5
#define ATTENTION_EPSILON 1e-15

/* Leaves a picture with a standard deviation of about 0.4 behind a norm and a ReLU. */
#define CONV_OUT_GAIN 0.63

enum { WIDENING = 8, PIXELS = 4 /* that one becomes */, MAX_KERNEL = 63, TILE = 512, TILE_STRIDE = 448 };

static void read_scales(struct config *c, struct autoencoder_dc *dc) {
    /* The class's default is of six levels. */
    static const struct config_list FIVE = {{5}, 1};
    bool given = config_integer_lists(c, "decoder_qkv_multiscales", dc->scales, dc->widths.count, 1, MAX_KERNEL);
    for (int32_t i = 0; !given && i < dc->widths.count; i++) {
        dc->scales[i] = i >= 3 ? FIVE : (struct config_list){.count = 0};
    }
    for (int32_t i = 0; i < dc->widths.count && c->error.status == VAEMARK_OK; i++) {
        for (int32_t j = 0; j < dc->scales[i].count; j++) {
            if (dc->scales[i].items[j] % 2 == 0) {
                error_set(
                    &c->error, VAEMARK_BAD_INPUT,
                    "\"decoder_qkv_multiscales\" has the kernel %lld; an even one would change the picture's size",
                    (long long)dc->scales[i].items[j]);
            }
        }
    }
}

static bool divides(int64_t divisor, int64_t number) {
    return number >= divisor && number % divisor == 0;
}

/* Shortcuts repeat channels, whole times; a level without layers has no x2 and so keeps size and width. */
static void check_widths(struct config *c, const struct autoencoder_dc *dc) {
    const int64_t *widths = dc->widths.items, *layers = dc->layers.items;
    const int32_t last = dc->widths.count - 1;
    if (dc->in_shortcut && !divides(dc->latent_channels, widths[last])) {
        error_set(&c->error, VAEMARK_BAD_INPUT,
                  "the last entry of \"decoder_block_out_channels\" is %lld, which \"latent_channels\" = %lld does not "
                  "divide: the shortcut repeats channels",
                  (long long)widths[last], (long long)dc->latent_channels);
    }
    for (int32_t i = last - 1; i >= 0 && c->error.status == VAEMARK_OK; i--) {
        if (layers[i] > 0 && !divides(widths[i + 1], PIXELS * widths[i])) {
            error_set(&c->error, VAEMARK_BAD_INPUT,
                      "entry %d of \"decoder_block_out_channels\" is %lld, four times which entry %d, %lld, does not "
                      "divide: the shortcut repeats channels",
                      i, (long long)widths[i], i + 1, (long long)widths[i + 1]);
        } else if (layers[i] == 0 && i > 0 && widths[i] != widths[i + 1]) {
            error_set(&c->error, VAEMARK_BAD_INPUT,
                      "entry %d of \"decoder_layers_per_block\" is 0, so the level keeps the width of the one before; "
                      "entries %d and %d of \"decoder_block_out_channels\" must be equal",
                      i, i, i + 1);
        }
    }
    if (c->error.status == VAEMARK_OK && layers[0] == 0 && last == 0) {
        error_set(&c->error, VAEMARK_BAD_INPUT, "\"decoder_layers_per_block\" is [0]: one level without layers");
    }
}

static struct autoencoder_dc read_config(struct config *c) {
    static const struct config_list WIDTHS = {{128, 256, 512, 512, 1024, 1024}, 6}, LAYERS = {{3, 3, 3, 3, 3, 3}, 6};
    struct autoencoder_dc dc = {
        .latent_channels = config_channels(c, "latent_channels", 32),
        .out_channels = config_channels(c, "in_channels", 3),
        .head_channels = (int32_t)config_channels(c, "attention_head_dim", 32),
        .widths = config_integers(c, "decoder_block_out_channels", WIDTHS, 1, CONFIG_MAX_CHANNELS),
        .layers = config_integers(c, "decoder_layers_per_block", LAYERS, 0, CONFIG_MAX_LAYERS),
        .interpolates = !config_choice(c, "upsample_block_type", "pixel_shuffle", "interpolate"),
        .in_shortcut = config_boolean(c, "decoder_in_shortcut", true),
        .relu_before_out = config_choice(c, "decoder_conv_act_fn", "relu", "silu"),
    };
    dc.block_types = config_choices(c, "decoder_block_types", BLOCK_TYPES, dc.widths.count);
    dc.norms = config_choices(c, "decoder_norm_types", NORM_TYPES, dc.widths.count);
    dc.activations = config_choices(c, "decoder_act_fns", ACTIVATIONS, dc.widths.count);
    read_scales(c, &dc);
    config_check_latent_scale(c);
    if (c->error.status == VAEMARK_OK && dc.widths.count != dc.layers.count) {
        error_set(&c->error, VAEMARK_BAD_INPUT,
                  "\"decoder_block_out_channels\" has %d entries and \"decoder_layers_per_block\" %d; one a level is "
                  "wanted in both",
                  dc.widths.count, dc.layers.count);
    }
    if (c->error.status == VAEMARK_OK) {
        check_widths(c, &dc);
    }
    return dc;
}

static value rms_norm(struct builder *b, value x, int64_t channels, const char *module) {
    return builder_rms_norm(b, x, channels, NORM_EPSILON, 0.0, true, "weight", module);
}

static value norm(struct builder *b, value x, int64_t channels, int64_t type, const char *module) {
    return type == NORM_BATCH ? builder_batch_norm(b, x, channels, NORM_EPSILON, module)
                              : rms_norm(b, x, channels, module);
}

static value activate(struct builder *b, value x, bool relu) {
    return relu ? builder_relu(b, x) : builder_silu(b, x);
}

/* 4 C channels become C of twice the size, each four a square. */
static value pixel_shuffle(struct builder *b, value x, int64_t channels, int64_t repeats) {
    struct channels_to_space map = {
        .factor = 2, .channels = channels, .by_channel = PIXELS, .by_row = 2, .by_column = 1, .divisor = repeats};
    return builder_channels_to_space(b, x, map);
}

/* x2 without its shortcut. */
static value upsample(struct builder *b, value x, int64_t in, int64_t out, double gain, const struct autoencoder_dc *dc,
                      const char *module) {
    const char *conv = builder_path(b, "%s.conv", module);
    if (dc->interpolates) {
        x = builder_upsample_nearest(b, x, 2);
        return builder_conv2d(b, x, (struct conv2d_options){.in = in, .out = out, .gain = gain}, conv);
    }
    x = builder_conv2d(b, x, (struct conv2d_options){.in = in, .out = PIXELS * out, .gain = gain}, conv);
    return pixel_shuffle(b, x, out, 1);
}

/* The norm comes last. */
static value residual_block(struct builder *b, value x, int32_t level, const struct autoencoder_dc *dc,
                            const char *module) {
    const int64_t channels = dc->widths.items[level];
    struct conv2d_options first = {.in = channels, .out = channels};
    struct conv2d_options second = {.in = channels, .out = channels, .no_bias = true};
    value t = builder_conv2d(b, x, first, builder_path(b, "%s.conv1", module));
    t = activate(b, t, dc->activations.items[level] == ACTIVATION_RELU);
    t = builder_conv2d(b, t, second, builder_path(b, "%s.conv2", module));
    return builder_add(b, norm(b, t, channels, dc->norms.items[level], builder_path(b, "%s.norm", module)), x);
}

/* q, k and v of one further scale: each channel's surroundings, then each 32 channels (of a head) mixed. */
static value project_scale(struct builder *b, value qkv, int64_t channels, int32_t kernel, int64_t heads,
                           const char *module) {
    struct conv2d_options depthwise = {
        .in = channels, .out = channels, .kernel = kernel, .groups = (int32_t)channels, .no_bias = true, .gain = 1.0};
    struct conv2d_options grouped = {
        .in = channels, .out = channels, .kernel = 1, .groups = (int32_t)(3 * heads), .no_bias = true, .gain = 1.0};
    value x = builder_conv2d(b, qkv, depthwise, builder_path(b, "%s.proj_in", module));
    return builder_conv2d(b, x, grouped, builder_path(b, "%s.proj_out", module));
}

/* The names mislead: to_q, to_k and to_v are thirds of one matrix, and of what they make, with the other scales behind
 * it, every 3 x 32 rows are one head's q, k and v. */
static value attention(struct builder *b, value x, int32_t level, const struct autoencoder_dc *dc, const char *module) {
    const int64_t channels = dc->widths.items[level], heads = channels / dc->head_channels;
    const int64_t inner = heads * dc->head_channels;
    const struct config_list *scales = &dc->scales[level];
    value q = builder_linear_no_bias(b, x, channels, inner, builder_path(b, "%s.to_q", module));
    value k = builder_linear_no_bias(b, x, channels, inner, builder_path(b, "%s.to_k", module));
    value v = builder_linear_no_bias(b, x, channels, inner, builder_path(b, "%s.to_v", module));
    value qkv = builder_concat(b, builder_concat(b, q, k), v), all = qkv;
    for (int32_t i = 0; i < scales->count; i++) {
        const char *scale = builder_path(b, "%s.to_qkv_multiscale.%d", module, i);
        all = builder_concat(b, all, project_scale(b, qkv, 3 * inner, (int32_t)scales->items[i], heads, scale));
    }
    value o = builder_linear_attention(b, all, dc->head_channels, ATTENTION_EPSILON, module);
    o = builder_linear_no_bias(b, o, (1 + scales->count) * inner, channels, builder_path(b, "%s.to_out", module));
    o = norm(b, o, channels, dc->norms.items[level], builder_path(b, "%s.norm_out", module));
    return builder_add(b, o, x);
}

/* The second half of the widened channels is the gate of the first. */
static value gated_convolution(struct builder *b, value x, int64_t channels, const char *module) {
    const int64_t wide = WIDENING * channels, half = wide / 2;
    struct conv2d_options widen = {.in = channels, .out = wide, .kernel = 1};
    struct conv2d_options depthwise = {.in = wide, .out = wide, .groups = (int32_t)wide};
    struct conv2d_options narrow = {.in = half, .out = channels, .kernel = 1, .no_bias = true};
    value t = builder_conv2d(b, x, widen, builder_path(b, "%s.conv_inverted", module));
    t = builder_conv2d(b, builder_silu(b, t), depthwise, builder_path(b, "%s.conv_depth", module));
    value gate = builder_silu(b, builder_slice(b, t, half, half));
    t = builder_multiply(b, builder_slice(b, t, 0, half), gate);
    t = builder_conv2d(b, t, narrow, builder_path(b, "%s.conv_point", module));
    return builder_add(b, rms_norm(b, t, channels, builder_path(b, "%s.norm", module)), x);
}

static value block(struct builder *b, value x, int32_t level, const struct autoencoder_dc *dc, const char *module) {
    if (dc->block_types.items[level] == BLOCK_RESIDUAL) {
        return residual_block(b, x, level, dc, module);
    }
    x = attention(b, x, level, dc, builder_path(b, "%s.attn", module));
    return gated_convolution(b, x, dc->widths.items[level], builder_path(b, "%s.conv_out", module));
}

/* x2 from the level before, if there is one and this has blocks, and the blocks. */
static value up_block(struct builder *b, value x, int32_t level, const struct autoencoder_dc *dc) {
    int32_t number = 0;
    if (level < dc->widths.count - 1 && dc->layers.items[level] > 0) {
        const int64_t in = dc->widths.items[level + 1], out = dc->widths.items[level];
        value shortcut = pixel_shuffle(b, x, out, PIXELS * out / in);
        value up = upsample(b, x, in, out, 1.0, dc, builder_path(b, "decoder.up_blocks.%d.%d", level, number++));
        x = builder_add(b, up, shortcut);
    }
    for (int64_t j = 0; j < dc->layers.items[level]; j++) {
        x = block(b, x, level, dc, builder_path(b, "decoder.up_blocks.%d.%d", level, number++));
    }
    return x;
}

static value decoder(struct builder *b, value z, const struct autoencoder_dc *dc) {
    const int32_t levels = dc->widths.count;
    const bool out_doubles = dc->layers.items[0] == 0;
    const int64_t first = dc->widths.items[levels - 1], last = dc->widths.items[out_doubles ? 1 : 0];
    value x = builder_conv2d(b, z, (struct conv2d_options){.in = dc->latent_channels, .out = first, .gain = 1.0},
                             "decoder.conv_in");
    if (dc->in_shortcut) {
        x = builder_add(b, x, builder_repeat_channels(b, z, dc->latent_channels, first / dc->latent_channels));
    }
    for (int32_t level = levels - 1; level >= 0; level--) {
        x = up_block(b, x, level, dc);
    }
    x = activate(b, rms_norm(b, x, last, "decoder.norm_out"), dc->relu_before_out);
    if (out_doubles) {
        return upsample(b, x, last, dc->out_channels, CONV_OUT_GAIN, dc, "decoder.conv_out");
    }
    return builder_conv2d(b, x, (struct conv2d_options){.in = last, .out = dc->out_channels, .gain = CONV_OUT_GAIN},
                          "decoder.conv_out");
}

static struct graph_tiling tiling_of(const struct autoencoder_dc *dc) {
    int64_t factor = 1;
    for (int32_t i = 0; i < dc->widths.count - 1; i++) {
        factor *= 2;
    }
    return (struct graph_tiling){
        .algorithm = GRAPH_TILING_STRIDES,
        .factor = factor,
        .out_channels = dc->out_channels,
        .tile = TILE,
        .stride = TILE_STRIDE,
    };
}

enum vaemark_status autoencoder_dc_build(const json_t *json, const struct weights *weights,
                                         struct vaemark_graph **graph, struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    struct autoencoder_dc dc = read_config(&config);
    enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    value latents = builder_input(&b, "latents", 4, dc.latent_channels, 1);
    status = builder_finish(&b, decoder(&b, latents, &dc), graph, error);
    if (status == VAEMARK_OK) {
        (*graph)->tiling = tiling_of(&dc);
    }
    return status;
}
