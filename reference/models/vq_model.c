/* VQModel: van den Oord et al. 2017, Neural Discrete Representation Learning; Esser et al. 2021, Taming Transformers;
 * Zheng et al. 2022, MoVQ (norms modulated by the latents); Patil et al. 2024, aMUSEd (latents are codes).
 *
 *   latents, or rows of the codebook -> post_quant_conv -> decoder (kl_decoder.h) -> image
 *
 * Option quantize (reference/quantize.h) puts the nearest row of the codebook in the place of each latent pixel.
 */
#include "reference/builder.h"
#include "reference/models/kl_decoder.h"
#include "reference/models/models.h"

struct vq_model {
    int64_t latent_channels, embedding_channels, embeddings;
    bool lookup_from_codebook;
    struct kl_decoder decoder;
};

static const char CODEBOOK[] = "quantize.embedding";

enum { SPATIAL_GROUPS = 32 /* the framework's SpatialNorm has them whatever "norm_num_groups" says */ };

static int64_t read_embedding_channels(struct config *c, int64_t latent_channels) {
    const json_t *found = json_object_get(c->json, "vq_embed_dim");
    return json_is_null(found) ? latent_channels : config_channels(c, "vq_embed_dim", latent_channels);
}

static void read_norm(struct config *c, struct vq_model *vq) {
    struct kl_decoder *d = &vq->decoder;
    const int32_t groups = (int32_t)config_channels(c, "norm_num_groups", 32);
    const bool spatial = !config_choice(c, "norm_type", "group", "spatial");
    d->norm.groups = spatial ? SPATIAL_GROUPS : groups;
    d->norm.epsilon = KL_NORM_EPSILON;
    d->norm.condition_channels = spatial ? vq->embedding_channels : 0;
    config_check_groups(c, "block_out_channels", &d->widths, spatial ? "groups of a spatial norm" : "norm_num_groups",
                        d->norm.groups);
}

static struct vq_model read_config(struct config *c) {
    enum { MAX_EMBEDDINGS = 1 << 24 }; /* every code is exact in single precision */
    struct vq_model vq = {
        .latent_channels = config_channels(c, "latent_channels", 3),
        .embeddings = config_integer(c, "num_vq_embeddings", 256, 1, MAX_EMBEDDINGS),
        .lookup_from_codebook = config_boolean(c, "lookup_from_codebook", false),
    };
    struct kl_decoder *d = &vq.decoder;
    vq.embedding_channels = read_embedding_channels(c, vq.latent_channels);
    d->in = vq.latent_channels;
    d->out = config_channels(c, "out_channels", 3);
    d->widths = config_integers(c, "block_out_channels", (struct config_list){{64}, 1}, 1, CONFIG_MAX_CHANNELS);
    d->resnets = config_layers(c, "layers_per_block", 1) + 1;
    read_norm(c, &vq);
    d->mid_attention = config_boolean(c, "mid_block_add_attention", true);
    const struct config_flags attentions =
        config_block_kinds(c, "up_block_types", "UpDecoderBlock2D", "AttnUpDecoderBlock2D", d->widths.count);
    for (int32_t i = 0; i < d->widths.count; i++) {
        d->level_attention[i] = attentions.items[i];
    }
    config_choice(c, "act_fn", "silu", "swish");
    config_check_latent_scale(c);
    return vq;
}

static value decode(struct builder *b, struct vq_model *vq) {
    const struct conv2d_options pointwise = {
        .in = vq->embedding_channels, .out = vq->latent_channels, .kernel = 1, .gain = 1.0};
    const struct shape codebook = {.rank = 2, .dims = {vq->embeddings, vq->embedding_channels}};
    value z;
    if (vq->lookup_from_codebook) {
        z = builder_codes(b, "latents", vq->embeddings);
        z = builder_lookup(b, z, vq->embeddings, vq->embedding_channels, CODEBOOK);
    } else {
        z = builder_input(b, "latents", 4, vq->embedding_channels, 1);
        builder_declare(b, CODEBOOK, "weight", codebook, PARAMETER_TABLE);
    }
    vq->decoder.norm.condition = z;
    z = builder_conv2d(b, z, pointwise, "post_quant_conv");
    return kl_decoder_build(b, z, &vq->decoder);
}

enum vaemark_status vq_model_build(const json_t *json, const struct weights *weights, struct vaemark_graph **graph,
                                   struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    struct vq_model vq = read_config(&config);
    const enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    return builder_finish(&b, decode(&b, &vq), graph, error);
}
