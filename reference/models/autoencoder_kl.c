/* AutoencoderKL: the decoder of the latent diffusion models (Rombach et al., High-Resolution Image Synthesis with
 * Latent Diffusion Models, CVPR 2022), as diffusers' class of that name builds it: Stable Diffusion 1 to 3, SDXL,
 * FLUX.1. AutoencoderKLFlux2 is the same with other keys: a decoder of its own widths, and statistics for the pipeline.
 *
 *   latents -> post_quant_conv -> decoder (kl_decoder.h) -> image
 */
#include "reference/builder.h"
#include "reference/models/kl_decoder.h"
#include "reference/models/models.h"

struct autoencoder_kl {
    int64_t latent_channels;
    bool use_post_quant_conv;
    struct kl_decoder decoder;
};

/* What the class assumes where config.json says nothing. */
struct defaults {
    struct config_list block_out_channels;
    int64_t latent_channels;
    int32_t layers_per_block;
    int64_t sample_size;
};

static const struct defaults KL_DEFAULTS = {{{64}, 1}, 4, 1, 32};
static const struct defaults FLUX2_DEFAULTS = {{{128, 256, 512, 512}, 4}, 32, 2, 1024};

static struct autoencoder_kl read_config(struct config *c, const struct defaults *defaults, const char *widths_key) {
    struct autoencoder_kl kl = {
        .latent_channels = config_channels(c, "latent_channels", defaults->latent_channels),
        .use_post_quant_conv = config_boolean(c, "use_post_quant_conv", true),
    };
    struct kl_decoder *d = &kl.decoder;
    d->in = kl.latent_channels;
    d->out = config_channels(c, "out_channels", 3);
    d->widths = config_integers(c, widths_key, defaults->block_out_channels, 1, CONFIG_MAX_CHANNELS);
    d->resnets = config_layers(c, "layers_per_block", defaults->layers_per_block) + 1;
    d->norm.groups = (int32_t)config_channels(c, "norm_num_groups", 32);
    d->norm.epsilon = KL_NORM_EPSILON;
    d->mid_attention = config_boolean(c, "mid_block_add_attention", true);
    config_block_types(c, "up_block_types", "UpDecoderBlock2D", d->widths.count);
    config_choice(c, "act_fn", "silu", "swish"); /* two names of one function */
    config_check_groups(c, widths_key, &d->widths, "norm_num_groups", d->norm.groups);
    config_check_latent_scale(c);
    return kl;
}

static value decode(struct builder *b, value z, const struct autoencoder_kl *kl) {
    const struct conv2d_options pointwise = {
        .in = kl->latent_channels, .out = kl->latent_channels, .kernel = 1, .gain = 1.0};
    if (kl->use_post_quant_conv) {
        z = builder_conv2d(b, z, pointwise, "post_quant_conv");
    }
    return kl_decoder_build(b, z, &kl->decoder);
}

static enum vaemark_status build(struct builder *b, const struct autoencoder_kl *kl, const struct config *config,
                                 int64_t default_sample_size, struct vaemark_graph **graph, struct error *error) {
    const value latents = builder_input(b, "latents", 4, kl->latent_channels, 1);
    const enum vaemark_status status = builder_finish(b, decode(b, latents, kl), graph, error);
    if (status == VAEMARK_OK) {
        struct graph_tiling *tiling = &(*graph)->tiling;
        tiling->algorithm = GRAPH_TILING_NEIGHBOURS;
        tiling->factor = kl_decoder_factor(&kl->decoder);
        tiling->out_channels = kl->decoder.out;
        tiling->sample_size = config_sample_size(config, default_sample_size, &tiling->sample_size_is_list);
    }
    return status;
}

enum vaemark_status autoencoder_kl_build(const json_t *json, const struct weights *weights,
                                         struct vaemark_graph **graph, struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    const struct autoencoder_kl kl = read_config(&config, &KL_DEFAULTS, "block_out_channels");
    const enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    return build(&b, &kl, &config, KL_DEFAULTS.sample_size, graph, error);
}

/* The statistics by which the pipeline normalises patches of latents (reference/latent_space.h): checkpoints have
 * them, decoding does not read them. */
static void declare_statistics(struct builder *b, int64_t latent_channels, const struct config_list *patch) {
    struct shape shape = {.rank = 1, .dims = {latent_channels}};
    for (int32_t i = 0; i < patch->count; i++) {
        shape.dims[0] *= patch->items[i];
    }
    builder_declare(b, "bn", "running_mean", shape, PARAMETER_BIAS);
    builder_declare(b, "bn", "running_var", shape, PARAMETER_NORM_SCALE);
}

enum vaemark_status autoencoder_kl_flux2_build(const json_t *json, const struct weights *weights,
                                               struct vaemark_graph **graph, struct error *error) {
    enum { MAX_PATCH = 16 };
    (void)weights;
    struct config config;
    config_begin(&config, json);
    /* The "small decoder" has widths of its own. */
    const json_t *own = json_object_get(json, "decoder_block_out_channels");
    const bool has_own = own != NULL && !json_is_null(own);
    const struct autoencoder_kl kl =
        read_config(&config, &FLUX2_DEFAULTS, has_own ? "decoder_block_out_channels" : "block_out_channels");
    const struct config_list patch =
        config_integers(&config, "patch_size", (struct config_list){{2, 2}, 2}, 1, MAX_PATCH);
    const enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    declare_statistics(&b, kl.latent_channels, &patch);
    return build(&b, &kl, &config, FLUX2_DEFAULTS.sample_size, graph, error);
}
