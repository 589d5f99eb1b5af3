/* Names of AsymmetricAutoencoderKL's checkpoints: AutoencoderKL's, and of the original (Zhu et al.) the condition's
 * encoder, whose layers on the way up nothing ever reads.
 */
#include <stdio.h>
#include <string.h>

#include "reference/models/models.h"

static const char *canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    static const char FOREIGN[] = "decoder.encoder.";
    if (strncmp(name, FOREIGN, strlen(FOREIGN)) != 0) {
        return autoencoder_kl_canonical_name(name, levels, canonical, size_bytes);
    }
    const char *rest = name + strlen(FOREIGN);
    const bool unused = strncmp(rest, "up_layers.", 10) == 0;
    snprintf(canonical, size_bytes, "%s%s", unused ? "unused." : "decoder.condition_encoder.", rest);
    return "names of the original";
}

static const char *config_key(const char *name, int32_t axis, const json_t *config) {
    if (strncmp(name, "decoder.condition_encoder.", 26) == 0) {
        return axis < 0 ? "_class_name" : "up_block_out_channels";
    }
    return autoencoder_kl_config_key(name, axis, config);
}

static const char *const DECODER_PREFIXES[] = {"decoder.", "post_quant_conv.", NULL};

const struct naming asymmetric_autoencoder_kl_naming = {
    .canonical_name = canonical_name,
    .level_of = autoencoder_kl_level_of,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "decoder.condition_encoder.layers.0.weight",
    .config_key = config_key,
};
