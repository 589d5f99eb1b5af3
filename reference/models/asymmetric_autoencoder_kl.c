/* AsymmetricAutoencoderKL: Zhu et al. 2023, Designing a Better Asymmetric VQGAN for StableDiffusion; diffusers' class
 * of that name. AutoencoderKL's decoder, wider, into which an encoder of the picture around a hole can be mixed:
 *
 *   y = (1 - mask) * image -> layer, layer, layer / 2, layer / 2, layer / 2, a ReLU between; what leaves a layer,
 * before its ReLU, is mixed into what enters a level of the decoder, and into what leaves the last one, where the
 * shapes agree
 */
#include "reference/builder.h"
#include "reference/models/kl_decoder.h"
#include "reference/models/models.h"

enum { ENCODER_LAYERS = 5, WHOLE_LAYERS = 2 /* those that keep the size */ };

struct asymmetric {
    int64_t latent_channels;
    struct kl_decoder decoder;
};

/* What leaves the layers of the condition's encoder. */
struct condition {
    int32_t image_scale; /* of image and mask: latents times this */
    int64_t channels[ENCODER_LAYERS];
    value layers[ENCODER_LAYERS], mask;
    const struct kl_decoder *decoder;
};

static struct asymmetric read_config(struct config *c) {
    struct asymmetric a = {.latent_channels = config_channels(c, "latent_channels", 4)};
    struct kl_decoder *d = &a.decoder;
    d->in = a.latent_channels;
    d->out = config_channels(c, "out_channels", 3);
    d->widths = config_integers(c, "up_block_out_channels", (struct config_list){{64}, 1}, 1, CONFIG_MAX_CHANNELS / 2);
    d->resnets = config_layers(c, "layers_per_up_block", 1) + 1;
    d->norm.groups = (int32_t)config_channels(c, "norm_num_groups", 32);
    d->norm.epsilon = KL_NORM_EPSILON;
    d->mid_attention = true;
    config_block_types(c, "up_block_types", "UpDecoderBlock2D", d->widths.count);
    config_choice(c, "act_fn", "silu", "swish");
    config_check_groups(c, "up_block_out_channels", &d->widths, "norm_num_groups", d->norm.groups);
    config_check_latent_scale(c);
    return a;
}

/* Twice as wide a layer, from the decoder's finest width to its coarsest, which the last layer has in any case. */
static void find_channels(struct condition *condition, const struct config_list *widths) {
    const int64_t most = widths->items[widths->count - 1];
    int64_t channels = widths->items[0];
    for (int32_t i = 0; i < ENCODER_LAYERS - 1; i++) {
        channels = channels > most ? most : channels;
        condition->channels[i] = channels;
        channels *= 2;
    }
    condition->channels[ENCODER_LAYERS - 1] = most;
}

/* Image pixels a pixel behind that layer. */
static int32_t reduction(int32_t layer) {
    return layer < WHOLE_LAYERS ? 1 : (int32_t)1 << (layer - WHOLE_LAYERS + 1);
}

static struct conv2d_options layer_options(const struct condition *condition, int32_t layer, int64_t image_channels) {
    struct conv2d_options options = {.in = layer == 0 ? image_channels : condition->channels[layer - 1],
                                     .out = condition->channels[layer]};
    if (layer >= WHOLE_LAYERS) {
        options.kernel = 4;
        options.stride = 2;
        options.padding = 1;
    }
    return options;
}

static const char *layer_module(struct builder *b, int32_t layer) {
    return builder_path(b, "decoder.condition_encoder.layers.%d", layer);
}

static void encode(struct builder *b, value image, struct condition *condition, int64_t image_channels) {
    const double scale = -1, shift = 1;
    value y = builder_multiply(b, image, builder_affine(b, condition->mask, &scale, &shift, 1));
    for (int32_t i = 0; i < ENCODER_LAYERS; i++) {
        y = builder_conv2d(b, y, layer_options(condition, i, image_channels), layer_module(b, i));
        condition->layers[i] = y;
        y = builder_relu(b, y);
    }
}

/* Checkpoints have the encoder in any case. */
static void declare_encoder(struct builder *b, const struct condition *condition, int64_t image_channels) {
    for (int32_t i = 0; i < ENCODER_LAYERS; i++) {
        const struct conv2d_options layer = layer_options(condition, i, image_channels);
        const int64_t kernel = layer.kernel == 0 ? 3 : layer.kernel;
        const struct shape weight = {4, {layer.out, layer.in, kernel, kernel}}, bias = {1, {layer.out}};
        builder_declare(b, layer_module(b, i), "weight", weight, PARAMETER_WEIGHT);
        builder_declare(b, layer_module(b, i), "bias", bias, PARAMETER_BIAS);
    }
}

/* The layer whose result has that many channels and pixels; of several the last, as the framework keeps them by shape.
 * -1: there is none, and the framework fails. */
static int32_t find_layer(const struct condition *condition, int64_t channels, int32_t pixels_a_latent) {
    for (int32_t i = ENCODER_LAYERS - 1; i >= 0; i--) {
        if (condition->channels[i] == channels && condition->image_scale == pixels_a_latent * reduction(i)) {
            return i;
        }
    }
    return -1;
}

/* What enters level `level` has the width of the level before and its size times 2 for every level. */
static int32_t layer_at_level(const struct condition *condition, int32_t level) {
    const struct config_list *widths = &condition->decoder->widths;
    const int32_t levels = widths->count, before = level == 0 ? 0 : level - 1;
    int32_t size = 1;
    for (int32_t i = 0; i < level && i < levels - 1; i++) {
        size *= 2;
    }
    return find_layer(condition, widths->items[levels - 1 - before], size);
}

static value mix_in(struct builder *b, value x, int32_t level, const void *context) {
    const struct condition *condition = context;
    const int32_t layer = layer_at_level(condition, level);
    const int32_t factor = reduction(layer);
    return builder_mix(b, x, condition->layers[layer],
                       factor == 1 ? condition->mask : builder_subsample(b, condition->mask, factor));
}

/* Whether a condition fits everywhere that it is mixed in. */
static bool condition_fits(const struct condition *condition) {
    bool fits = true;
    for (int32_t level = 0; level <= condition->decoder->widths.count; level++) {
        fits = fits && layer_at_level(condition, level) >= 0;
    }
    return fits;
}

static value decode(struct builder *b, struct asymmetric *a) {
    struct condition condition = {.image_scale = (int32_t)kl_decoder_factor(&a->decoder), .decoder = &a->decoder};
    const struct conv2d_options pointwise = {
        .in = a->latent_channels, .out = a->latent_channels, .kernel = 1, .gain = 1.0};
    value z = builder_input(b, "latents", 4, a->latent_channels, 1);
    find_channels(&condition, &a->decoder.widths);
    if (condition_fits(&condition)) {
        value image = builder_optional_input(b, "condition.image", a->decoder.out, condition.image_scale);
        condition.mask = builder_optional_input(b, "condition.mask", 1, condition.image_scale);
        encode(b, image, &condition, a->decoder.out);
        a->decoder.at_level = mix_in;
        a->decoder.context = &condition;
    } else { /* a condition is no input then: it would be left out in silence where the framework fails */
        declare_encoder(b, &condition, a->decoder.out);
    }
    z = builder_conv2d(b, z, pointwise, "post_quant_conv");
    return kl_decoder_build(b, z, &a->decoder);
}

enum vaemark_status asymmetric_autoencoder_kl_build(const json_t *json, const struct weights *weights,
                                                    struct vaemark_graph **graph, struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    struct asymmetric a = read_config(&config);
    const enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    return builder_finish(&b, decode(&b, &a), graph, error);
}
