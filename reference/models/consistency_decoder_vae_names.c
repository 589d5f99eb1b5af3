/* Names of ConsistencyDecoderVAE's checkpoints (spec 2.3): the framework's, and those of the original
 * (github.com/openai/consistencydecoder), which names a UNet without "decoder_unet." before it.
 */
#include <stdio.h>
#include <string.h>

#include "reference/models/models.h"

static const char OPENAI[] = "original OpenAI names";

struct renaming {
    const char *foreign, *own;
};

static const struct renaming MODULES[] = {
    {"embed_image.f.", "conv_in."},
    {"embed_time.emb.", "time_proj."},
    {"embed_time.f_1.", "time_embedding.linear_1."},
    {"embed_time.f_2.", "time_embedding.linear_2."},
    {"output.gn.", "conv_norm_out."},
    {"output.f.", "conv_out."},
};

static const struct renaming PARTS[] = {
    {"gn_1.", "norm1."}, {"f_1.", "conv1."}, {"f_t.", "time_emb_proj."},
    {"gn_2.", "norm2."}, {"f_2.", "conv2."}, {"f_s.", "conv_shortcut."},
};

static const struct renaming LEAVES[] = {
    {"w", "weight"}, {"g", "weight"}, {"weight", "weight"}, {"b", "bias"}, {"bias", "bias"},
};

/* The row whose `foreign` is what `name` begins with. */
static const struct renaming *find_beginning(const struct renaming *table, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strncmp(name, table[i].foreign, strlen(table[i].foreign)) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const char *find_leaf(const char *name) {
    for (size_t i = 0; i < sizeof LEAVES / sizeof LEAVES[0]; i++) {
        if (strcmp(name, LEAVES[i].foreign) == 0) {
            return LEAVES[i].own;
        }
    }
    return NULL;
}

/* The module of a residual block, "up_0_conv_2." is up_blocks.3.resnets.2 of four levels; answers what is behind it,
 * NULL where it is none. */
static const char *rename_block(const char *name, int32_t levels, char *module, size_t size_bytes) {
    int level = -1, block = -1, length = 0;
    if (sscanf(name, "down_%1d_conv_%1d.%n", &level, &block, &length) == 2 && length > 0) {
        snprintf(module, size_bytes, "down_blocks.%d.resnets.%d", level, block);
    } else if (sscanf(name, "down_%1d_downsamp.%n", &level, &length) == 1 && length > 0) {
        snprintf(module, size_bytes, "down_blocks.%d.downsamplers.0", level);
    } else if (sscanf(name, "up_%1d_conv_%1d.%n", &level, &block, &length) == 2 && length > 0 && level < levels) {
        snprintf(module, size_bytes, "up_blocks.%d.resnets.%d", levels - 1 - level, block);
    } else if (sscanf(name, "up_%1d_upsamp.%n", &level, &length) == 1 && length > 0 && level < levels) {
        snprintf(module, size_bytes, "up_blocks.%d.upsamplers.0", levels - 1 - level);
    } else if (sscanf(name, "mid_%1d.%n", &level, &length) == 1 && length > 0) {
        snprintf(module, size_bytes, "mid_block.resnets.%d", level);
    } else {
        return NULL;
    }
    return name + length;
}

static const char *skip_blocks(const char *name) {
    return strncmp(name, "blocks.", 7) == 0 ? name + 7 : name;
}

static int32_t level_of(const char *name) {
    int level = -1, length = 0;
    int found = sscanf(skip_blocks(name), "up_%1d_%n", &level, &length);
    return found == 1 && length > 0 ? level : -1;
}

static bool rename_openai(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    char module[64];
    name = skip_blocks(name);
    if (strcmp(name, "embed_time.emb") == 0) { /* the table itself, saved as a bare parameter */
        snprintf(canonical, size_bytes, "decoder_unet.time_proj.weight");
        return true;
    }
    const struct renaming *known = find_beginning(MODULES, sizeof MODULES / sizeof MODULES[0], name);
    const char *leaf = known == NULL ? NULL : find_leaf(name + strlen(known->foreign));
    if (leaf != NULL) {
        snprintf(canonical, size_bytes, "decoder_unet.%s%s", known->own, leaf);
        return true;
    }
    const char *rest = rename_block(name, levels, module, sizeof module);
    const struct renaming *part = rest == NULL ? NULL : find_beginning(PARTS, sizeof PARTS / sizeof PARTS[0], rest);
    leaf = part == NULL ? NULL : find_leaf(rest + strlen(part->foreign));
    if (leaf != NULL) {
        snprintf(canonical, size_bytes, "decoder_unet.%s.%s%s", module, part->own, leaf);
    }
    return leaf != NULL;
}

static const char *canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    if (rename_openai(name, levels, canonical, size_bytes)) {
        return OPENAI;
    }
    snprintf(canonical, size_bytes, "%s", name);
    return NULL;
}

static const char *config_key(const char *name, int32_t axis, const json_t *config) {
    (void)config;
    if (strstr(name, ".attentions.") != NULL) {
        return "decoder_add_attention";
    }
    if (strncmp(name, "decoder_unet.conv_out.", 22) == 0 && axis == 0) {
        return "decoder_out_channels";
    }
    if (strncmp(name, "decoder_unet.time_proj.", 23) == 0 && axis == 0) {
        return "decoder_num_train_timesteps";
    }
    return axis < 0 && strstr(name, ".resnets.") != NULL ? "decoder_layers_per_block" : "decoder_block_out_channels";
}

static const char *const DECODER_PREFIXES[] = {"decoder_unet.", NULL};

const struct naming consistency_decoder_vae_naming = {
    .canonical_name = canonical_name,
    .level_of = level_of,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "decoder_unet.conv_in.weight",
    .config_key = config_key,
};
