/* Names of the checkpoints of AutoencoderKLQwenImage and AutoencoderKLWan (spec 2.9). The original files
 * (github.com/Wan-Video/Wan2.1 and Wan2.2) number what lies in a row: Wan 2.1 all levels in one list of four entries a
 * level, "decoder.upsamples.4.residual.2.weight", and Wan 2.2 each level in its own,
 * "decoder.upsamples.1.upsamples.0.residual.2.weight".
 */
#include <stdio.h>
#include <string.h>

#include "reference/models/models.h"

static const char WAN[] = "original Wan names";

enum { LEVEL_ENTRIES = 4 }; /* three residual blocks and what doubles the size */

struct renaming {
    const char *foreign, *own;
};

static const struct renaming BEGINNINGS[] = {
    {"conv2.", "post_quant_conv."},
    {"decoder.conv1.", "decoder.conv_in."},
    {"decoder.head.0.", "decoder.norm_out."},
    {"decoder.head.2.", "decoder.conv_out."},
    {"decoder.middle.0.", "decoder.mid_block.resnets.0."},
    {"decoder.middle.1.", "decoder.mid_block.attentions.0."},
    {"decoder.middle.2.", "decoder.mid_block.resnets.1."},
};

/* Within a residual block. */
static const struct renaming PARTS[] = {
    {"residual.0.", "norm1."}, {"residual.2.", "conv1."},       {"residual.3.", "norm2."},
    {"residual.6.", "conv2."}, {"shortcut.", "conv_shortcut."},
};

static const struct renaming *find_renaming(const struct renaming *table, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strncmp(name, table[i].foreign, strlen(table[i].foreign)) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* Writes the module that "upsamples.I." or "upsamples.I.upsamples.J." is; `rest` is what stands behind. */
static bool rename_level(const char *name, char module[96], const char **rest) {
    int entry = -1, inner = -1, length = 0, inner_length = 0;
    if (sscanf(name, "decoder.upsamples.%3d.%n", &entry, &length) != 1 || length == 0 || entry < 0) {
        return false;
    }
    bool nested = sscanf(name + length, "upsamples.%3d.%n", &inner, &inner_length) == 1 && inner_length > 0;
    *rest = name + length + (nested ? inner_length : 0);
    int level = nested ? entry : entry / LEVEL_ENTRIES, block = nested ? inner : entry % LEVEL_ENTRIES;
    bool resizes = strncmp(*rest, "resample.", 9) == 0 || strncmp(*rest, "time_conv.", 10) == 0;
    if (block < 0 || (!resizes && find_renaming(PARTS, sizeof PARTS / sizeof PARTS[0], *rest) == NULL)) {
        return false;
    }
    if (resizes) {
        snprintf(module, 96, "decoder.up_blocks.%d.%s.", level, nested ? "upsampler" : "upsamplers.0");
    } else {
        snprintf(module, 96, "decoder.up_blocks.%d.resnets.%d.", level, block);
    }
    return true;
}

static const char *canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    const struct renaming *beginning = find_renaming(BEGINNINGS, sizeof BEGINNINGS / sizeof BEGINNINGS[0], name);
    char module[96];
    const char *rest = NULL;
    (void)levels;
    if (beginning != NULL) {
        snprintf(module, sizeof module, "%s", beginning->own);
        rest = name + strlen(beginning->foreign);
    } else if (!rename_level(name, module, &rest)) {
        snprintf(canonical, size_bytes, "%s", name);
        return NULL;
    }
    const struct renaming *part = find_renaming(PARTS, sizeof PARTS / sizeof PARTS[0], rest);
    snprintf(canonical, size_bytes, "%s%s%s", module, part == NULL ? "" : part->own,
             rest + (part == NULL ? 0 : strlen(part->foreign)));
    return WAN;
}

/* Levels, blocks and widths all show in the same names: the number in the name tells which is meant. */
static const char *level_key(const char *name, const json_t *config) {
    int level = 0, block = 0;
    int levels = (int)json_array_size(json_object_get(config, "dim_mult"));
    bool of_block = sscanf(name, "decoder.up_blocks.%2d.resnets.%2d", &level, &block) == 2;
    if (strstr(name, ".time_conv.") != NULL) {
        return "temperal_downsample";
    }
    if (strstr(name, ".upsampler.") != NULL || strstr(name, ".upsamplers.") != NULL) {
        return level < levels - 1 ? "is_residual" : "dim_mult";
    }
    return of_block && block > 0 && level < levels && strstr(name, ".conv_shortcut.") == NULL ? "num_res_blocks"
                                                                                              : "dim_mult";
}

static const char *key_of(const char *name, int32_t axis, const json_t *config, const char *width,
                          const char *out_channels) {
    if (strncmp(name, "post_quant_conv.", 16) == 0 || (strcmp(name, "decoder.conv_in.weight") == 0 && axis == 1)) {
        return "z_dim";
    }
    if (strncmp(name, "decoder.conv_out.", 17) == 0 && axis == 0) {
        return out_channels;
    }
    if (strncmp(name, "decoder.up_blocks.", 18) == 0 && axis < 0) {
        return level_key(name, config);
    }
    return axis < 0 ? "_class_name" : width;
}

static const char *qwen_image_key(const char *name, int32_t axis, const json_t *config) {
    const char *key = key_of(name, axis, config, "base_dim", "input_channels");
    return strcmp(key, "is_residual") == 0 ? "_class_name" : key;
}

static const char *wan_key(const char *name, int32_t axis, const json_t *config) {
    bool own_width = json_is_integer(json_object_get(config, "decoder_base_dim"));
    return key_of(name, axis, config, own_width ? "decoder_base_dim" : "base_dim", "out_channels");
}

static const char *const DECODER_PREFIXES[] = {"decoder.", "post_quant_conv.", NULL};

const struct naming autoencoder_kl_qwen_image_naming = {
    .canonical_name = canonical_name,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "decoder.norm_out.gamma",
    .keeps_to_qkv = true,
    .config_key = qwen_image_key,
};

const struct naming autoencoder_kl_wan_naming = {
    .canonical_name = canonical_name,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "decoder.norm_out.gamma",
    .keeps_to_qkv = true,
    .config_key = wan_key,
};
