/* Names of AutoencoderKLHunyuanImage's checkpoints: the framework's, and those of the original, which look like LDM's
 * but count levels forwards, and whose blocks have two numbers where the framework's have one.
 */
#include <stdio.h>
#include <string.h>

#include "reference/models/models.h"

static const char ORIGINAL[] = "names of the original";

static const struct {
    const char *foreign, *own;
} BEGINNINGS[] = {
    {"decoder.mid.block_1.", "decoder.mid_block.resnets.0."},
    {"decoder.mid.block_2.", "decoder.mid_block.resnets.1."},
    {"decoder.mid.attn_1.norm.", "decoder.mid_block.attentions.0.norm."},
    {"decoder.mid.attn_1.q.", "decoder.mid_block.attentions.0.to_q."},
    {"decoder.mid.attn_1.k.", "decoder.mid_block.attentions.0.to_k."},
    {"decoder.mid.attn_1.v.", "decoder.mid_block.attentions.0.to_v."},
    {"decoder.mid.attn_1.proj_out.", "decoder.mid_block.attentions.0.proj."},
};

/* Level and block of "decoder.up.{i}.block.{j}."; the rest behind it, NULL where the name is another. */
static const char *parse_block(const char *name, int *level, int *block) {
    int length = 0;
    const bool found = sscanf(name, "decoder.up.%2d.block.%2d.%n", level, block, &length) == 2 && length > 0;
    return found && *level >= 0 && *block >= 0 ? name + length : NULL;
}

/* What must be counted is not levels, which come in order, but the blocks of one. */
static int32_t block_of(const char *name) {
    int level = 0, block = 0;
    return parse_block(name, &level, &block) == NULL ? -1 : block;
}

static const char *canonical_name(const char *name, int32_t blocks, char *canonical, size_t size_bytes) {
    int level = 0, block = 0, length = 0;
    const char *rest = parse_block(name, &level, &block);
    if (rest != NULL) {
        snprintf(canonical, size_bytes, "decoder.up_blocks.%d.%s", level * (blocks + 1) + block, rest);
        return ORIGINAL;
    }
    if (sscanf(name, "decoder.up.%2d.upsample.conv.%n", &level, &length) == 1 && length > 0 && level >= 0) {
        snprintf(canonical, size_bytes, "decoder.up_blocks.%d.conv.%s", level * (blocks + 1) + blocks, name + length);
        return ORIGINAL;
    }
    for (size_t i = 0; i < sizeof BEGINNINGS / sizeof BEGINNINGS[0]; i++) {
        if (strncmp(name, BEGINNINGS[i].foreign, strlen(BEGINNINGS[i].foreign)) == 0) {
            snprintf(canonical, size_bytes, "%s%s", BEGINNINGS[i].own, name + strlen(BEGINNINGS[i].foreign));
            return ORIGINAL;
        }
    }
    snprintf(canonical, size_bytes, "%s", name);
    return NULL;
}

static const char *config_key(const char *name, int32_t axis, const json_t *config) {
    (void)config;
    if (strcmp(name, "decoder.conv_in.weight") == 0 && axis == 1) {
        return "latent_channels";
    }
    if (strncmp(name, "decoder.conv_out.", 17) == 0 && axis == 0) {
        return "out_channels";
    }
    if (axis < 0) {
        return strncmp(name, "decoder.up_blocks.", 18) == 0 ? "layers_per_block" : "_class_name";
    }
    return "block_out_channels";
}

static const char *const DECODER_PREFIXES[] = {"decoder.", NULL};

const struct naming autoencoder_kl_hunyuanimage_naming = {
    .canonical_name = canonical_name,
    .level_of = block_of,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "decoder.up_blocks.0.conv1.weight",
    .config_key = config_key,
};
