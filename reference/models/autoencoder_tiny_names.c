/* Names of AutoencoderTiny's checkpoints (spec 2.2). The original files (github.com/madebyollin/taesd) number the
 * layers from 1, because their layer 0 is the clamp, which has no weights: "3.conv.0.weight" is
 * decoder.layers.2.conv.0.weight. The original network as a whole says "decoder.3.conv.0.weight".
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/models/models.h"

static const char *canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    static const char DECODER[] = "decoder.";
    (void)levels;
    char *rest = NULL;
    const char *digits = strncmp(name, DECODER, strlen(DECODER)) == 0 ? name + strlen(DECODER) : name;
    long number = isdigit((unsigned char)digits[0]) ? strtol(digits, &rest, 10) : 0;
    if (number >= 1 && number < 10000 && *rest == '.') {
        snprintf(canonical, size_bytes, "decoder.layers.%ld%s", number - 1, rest);
        return "original TAESD names";
    }
    snprintf(canonical, size_bytes, "%s", name);
    return NULL;
}

static const char *config_key(const char *name, int32_t axis, const json_t *config) {
    (void)config;
    if (axis == 1 && strcmp(name, "decoder.layers.0.weight") == 0) {
        return "latent_channels";
    }
    return axis < 0 ? "num_decoder_blocks" : "decoder_block_out_channels";
}

static const char *const DECODER_PREFIXES[] = {"decoder.", NULL};

const struct naming autoencoder_tiny_naming = {
    .canonical_name = canonical_name,
    .decoder_prefixes = DECODER_PREFIXES,
    .encoder_mark = "0.weight", /* which the decoder's layer of that number, the clamp, does not have */
    .landmark = "decoder.layers.0.weight",
    .config_key = config_key,
};
