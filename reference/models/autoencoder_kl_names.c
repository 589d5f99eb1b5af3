/* Names of AutoencoderKL's checkpoints (spec 2.1): those of latent diffusion (github.com/CompVis/latent-diffusion,
 * "LDM"), which count levels from the finest, and older ones of the framework.
 */
#include <stdio.h>
#include <string.h>

#include "reference/models/models.h"

static const char LDM[] = "LDM names";
static const char OLD[] = "old diffusers attention names";

struct renaming {
    const char *foreign, *own;
    const char *naming;
};

/* What stands at the beginning of a name, */
static const struct renaming BEGINNINGS[] = {
    {"decoder.post_quant_conv.", "post_quant_conv.", LDM},
    {"decoder.norm_out.", "decoder.conv_norm_out.", LDM},
    {"decoder.mid.block_1.", "decoder.mid_block.resnets.0.", LDM},
    {"decoder.mid.block_2.", "decoder.mid_block.resnets.1.", LDM},
    {"decoder.mid.attn_1.", "decoder.mid_block.attentions.0.", LDM},
};

/* behind "attentions.{j}.", */
static const struct renaming ATTENTION_PARTS[] = {
    {"norm.", "group_norm.", LDM},    {"q.", "to_q.", LDM},     {"k.", "to_k.", LDM},   {"v.", "to_v.", LDM},
    {"proj_out.", "to_out.0.", LDM},  {"query.", "to_q.", OLD}, {"key.", "to_k.", OLD}, {"value.", "to_v.", OLD},
    {"proj_attn.", "to_out.0.", OLD},
};

/* and behind "decoder.up.{k}.". */
static const struct renaming PARTS[] = {
    {"block.", "resnets.", LDM},
    {"upsample.conv.", "upsamplers.0.conv.", LDM},
    {"attn.", "attentions.", LDM},
};

static const struct renaming *find_renaming(const struct renaming *table, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strncmp(name, table[i].foreign, strlen(table[i].foreign)) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* The level of "decoder.up.{k}.", and what is behind it. */
static int32_t parse_level(const char *name, const char **rest) {
    int level = -1, length = 0;
    bool found = sscanf(name, "decoder.up.%2d.%n", &level, &length) == 1 && length > 0 && level >= 0;
    *rest = found ? name + length : NULL;
    return found ? level : -1;
}

int32_t autoencoder_kl_level_of(const char *name) {
    const char *rest = NULL;
    return parse_level(name, &rest);
}

/* "decoder.up.0.block.2.conv1.weight" of four levels is decoder.up_blocks.3.resnets.2.conv1.weight. */
static const char *rename_level(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    const char *rest = NULL;
    int32_t level = parse_level(name, &rest);
    if (level < 0 || level >= levels) {
        return NULL;
    }
    const struct renaming *part = find_renaming(PARTS, sizeof PARTS / sizeof PARTS[0], rest);
    snprintf(canonical, size_bytes, "decoder.up_blocks.%d.%s%s", levels - 1 - level, part == NULL ? "" : part->own,
             rest + (part == NULL ? 0 : strlen(part->foreign)));
    return LDM;
}

/* The shortcut of a residual block, wherever it is. */
static void rename_shortcut(char *canonical, size_t size_bytes) {
    static const char FOREIGN[] = ".nin_shortcut.";
    char *found = strstr(canonical, FOREIGN);
    if (found != NULL) {
        char tail[16];
        snprintf(tail, sizeof tail, "%s", found + strlen(FOREIGN));
        snprintf(found, size_bytes - (size_t)(found - canonical), ".conv_shortcut.%s", tail);
    }
}

/* The parts of an attention, wherever it is; the naming that they are of, or `naming` where they are the builder's. */
static const char *rename_attention(char *canonical, size_t size_bytes, const char *naming) {
    static const char MARK[] = ".attentions.";
    const char *found = strncmp(canonical, "decoder.", 8) == 0 ? strstr(canonical, MARK) : NULL;
    const char *part = found == NULL ? NULL : strchr(found + strlen(MARK), '.');
    if (part == NULL) {
        return naming;
    }
    const struct renaming *renaming =
        find_renaming(ATTENTION_PARTS, sizeof ATTENTION_PARTS / sizeof ATTENTION_PARTS[0], part + 1);
    if (renaming != NULL) {
        char tail[64];
        const size_t kept = (size_t)(part + 1 - canonical);
        snprintf(tail, sizeof tail, "%s", part + 1 + strlen(renaming->foreign));
        snprintf(canonical + kept, size_bytes - kept, "%s%s", renaming->own, tail);
        return naming == NULL ? renaming->naming : naming;
    }
    return naming;
}

const char *autoencoder_kl_canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    const struct renaming *beginning = find_renaming(BEGINNINGS, sizeof BEGINNINGS / sizeof BEGINNINGS[0], name);
    const char *naming = NULL;
    if (beginning != NULL) {
        snprintf(canonical, size_bytes, "%s%s", beginning->own, name + strlen(beginning->foreign));
        naming = beginning->naming;
    } else {
        naming = rename_level(name, levels, canonical, size_bytes);
    }
    if (naming == LDM) {
        rename_shortcut(canonical, size_bytes);
    } else if (naming == NULL) {
        snprintf(canonical, size_bytes, "%s", name);
    }
    return rename_attention(canonical, size_bytes, naming);
}

/* The key that lists the decoder's widths: some types have another for their encoder. */
static const char *widths_key(const json_t *config) {
    static const char *const KEYS[] = {"up_block_out_channels", "decoder_block_out_channels"};
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        if (json_is_array(json_object_get(config, KEYS[i]))) {
            return KEYS[i];
        }
    }
    return "block_out_channels";
}

static const char *layers_key(const json_t *config) {
    return json_object_get(config, "layers_per_up_block") == NULL ? "layers_per_block" : "layers_per_up_block";
}

/* Levels, blocks and widths all show in the same names: the number in the name tells which is meant. */
static const char *level_key(const char *name, const json_t *config) {
    int level = 0, block = 0;
    int found = sscanf(name, "decoder.up_blocks.%2d.resnets.%2d", &level, &block);
    int levels = (int)json_array_size(json_object_get(config, widths_key(config)));
    bool shortcut = strstr(name, ".conv_shortcut.") != NULL;
    return found == 2 && block > 0 && level < levels && !shortcut ? layers_key(config) : widths_key(config);
}

const char *autoencoder_kl_config_key(const char *name, int32_t axis, const json_t *config) {
    if (strncmp(name, "post_quant_conv.", 16) == 0) {
        return axis < 0 ? "use_post_quant_conv" : "latent_channels";
    }
    if (strcmp(name, "decoder.conv_in.weight") == 0 && axis == 1) {
        return "latent_channels";
    }
    if (strncmp(name, "decoder.conv_out.", 17) == 0 && axis == 0) {
        return "out_channels";
    }
    if (strncmp(name, "decoder.mid_block.attentions.0.", 31) == 0 && axis < 0) {
        return "mid_block_add_attention";
    }
    if (strncmp(name, "decoder.up_blocks.", 18) == 0 && strstr(name, ".attentions.") == NULL) {
        return axis < 0 ? level_key(name, config) : widths_key(config);
    }
    return axis < 0 ? "_class_name" : widths_key(config);
}

static const char *const DECODER_PREFIXES[] = {"decoder.", "post_quant_conv.", NULL};

const struct naming autoencoder_kl_naming = {
    .canonical_name = autoencoder_kl_canonical_name,
    .level_of = autoencoder_kl_level_of,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "decoder.mid_block.resnets.0.conv1.weight",
    .config_key = autoencoder_kl_config_key,
};
