/* Names of VQModel's checkpoints: AutoencoderKL's (LDM published both with one code), and a codebook. */
#include <string.h>

#include "reference/models/models.h"

static const char *config_key(const char *name, int32_t axis, const json_t *config) {
    if (strncmp(name, "quantize.embedding.", 19) == 0) {
        return axis < 0 ? "_class_name" : axis == 0 ? "num_vq_embeddings" : "vq_embed_dim";
    }
    if (strcmp(name, "post_quant_conv.weight") == 0 && axis == 1) {
        return "vq_embed_dim";
    }
    if (axis < 0 && strstr(name, ".attentions.") != NULL && strncmp(name, "decoder.up_blocks.", 18) == 0) {
        return "up_block_types";
    }
    if (axis < 0 && (strstr(name, ".norm_layer.") != NULL || strstr(name, ".conv_y.") != NULL ||
                     strstr(name, ".conv_b.") != NULL || strstr(name, ".group_norm.") != NULL)) {
        return "norm_type";
    }
    return autoencoder_kl_config_key(name, axis, config);
}

static const char *const DECODER_PREFIXES[] = {"decoder.", "post_quant_conv.", "quantize.", NULL};

const struct naming vq_model_naming = {
    .canonical_name = autoencoder_kl_canonical_name,
    .level_of = autoencoder_kl_level_of,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "quantize.embedding.weight",
    .config_key = config_key,
};
