/* Names of AutoencoderDC's checkpoints (spec 2.6). The original files (github.com/mit-han-lab/efficientvit) wrap every
 * layer in modules "main", "conv" and "op_list", and keep q, k and v of attention in one matrix, which is read as a
 * to_qkv that stands alone.
 */
#include <stdio.h>
#include <string.h>

#include "reference/models/models.h"

static const char ORIGINAL[] = "original DC-AE names";

struct renaming {
    const char *foreign, *own;
};

static const struct renaming BEGINNINGS[] = {
    {"decoder.project_in.conv.", "decoder.conv_in."},
    {"decoder.project_out.0.", "decoder.norm_out."},
    {"decoder.project_out.2.conv.conv.", "decoder.conv_out.conv."},
    {"decoder.project_out.2.conv.", "decoder.conv_out."},
};

/* Behind "decoder.stages.I.op_list.J.". */
static const struct renaming PARTS[] = {
    {"main.conv.conv.", "conv."},
    {"main.conv1.conv.", "conv1."},
    {"main.conv2.conv.", "conv2."},
    {"main.conv2.norm.", "norm."},
    {"context_module.main.qkv.conv.", "attn.to_qkv."},
    {"context_module.main.proj.conv.", "attn.to_out."},
    {"context_module.main.proj.norm.", "attn.norm_out."},
    {"local_module.main.inverted_conv.conv.", "conv_out.conv_inverted."},
    {"local_module.main.depth_conv.conv.", "conv_out.conv_depth."},
    {"local_module.main.point_conv.conv.", "conv_out.conv_point."},
    {"local_module.main.point_conv.norm.", "conv_out.norm."},
};

static const struct renaming *find_renaming(const struct renaming *table, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strncmp(name, table[i].foreign, strlen(table[i].foreign)) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* "context_module.main.aggreg.S.0." is the depthwise half of a scale, ".1." the grouped one. */
static bool rename_scale(const char *part, char own[64], const char **rest) {
    int scale = -1, half = -1, length = 0;
    if (sscanf(part, "context_module.main.aggreg.%3d.%1d.%n", &scale, &half, &length) != 2 || length == 0 ||
        scale < 0 || half < 0 || half > 1) {
        return false;
    }
    snprintf(own, 64, "attn.to_qkv_multiscale.%d.%s.", scale, half == 0 ? "proj_in" : "proj_out");
    *rest = part + length;
    return true;
}

static bool rename_stage(const char *name, char *canonical, size_t size_bytes) {
    int level = -1, block = -1, length = 0;
    char own[64];
    if (sscanf(name, "decoder.stages.%3d.op_list.%3d.%n", &level, &block, &length) != 2 || length == 0 || level < 0 ||
        block < 0) {
        return false;
    }
    const char *rest = name + length;
    const struct renaming *part = find_renaming(PARTS, sizeof PARTS / sizeof PARTS[0], rest);
    if (part != NULL) {
        snprintf(own, sizeof own, "%s", part->own);
        rest += strlen(part->foreign);
    } else if (!rename_scale(rest, own, &rest)) {
        return false;
    }
    snprintf(canonical, size_bytes, "decoder.up_blocks.%d.%d.%s%s", level, block, own, rest);
    return true;
}

static const char *canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    const struct renaming *beginning = find_renaming(BEGINNINGS, sizeof BEGINNINGS / sizeof BEGINNINGS[0], name);
    (void)levels;
    if (beginning != NULL) {
        snprintf(canonical, size_bytes, "%s%s", beginning->own, name + strlen(beginning->foreign));
        return ORIGINAL;
    }
    if (rename_stage(name, canonical, size_bytes)) {
        return ORIGINAL;
    }
    snprintf(canonical, size_bytes, "%s", name);
    return NULL;
}

/* Which key says that there is such a tensor. */
static const char *presence_key(const char *name) {
    if (strstr(name, ".to_qkv_multiscale.") != NULL) {
        return "decoder_qkv_multiscales";
    }
    if (strstr(name, ".running_mean") != NULL || strstr(name, ".running_var") != NULL) {
        return "decoder_norm_types";
    }
    if (strstr(name, ".attn.") != NULL || strstr(name, ".conv1.") != NULL || strstr(name, ".conv2.") != NULL) {
        return "decoder_block_types";
    }
    return "decoder_layers_per_block";
}

static const char *config_key(const char *name, int32_t axis, const json_t *config) {
    (void)config;
    if (strcmp(name, "decoder.conv_in.weight") == 0 && axis == 1) {
        return "latent_channels";
    }
    if (strstr(name, ".to_qkv_multiscale.") != NULL && axis > 0) {
        return axis > 1 ? "decoder_qkv_multiscales" : "attention_head_dim";
    }
    if (strstr(name, ".attn.to_out.") != NULL && axis == 1) {
        return "decoder_qkv_multiscales";
    }
    if (strncmp(name, "decoder.conv_out.", 17) == 0 && axis == 0) {
        return "upsample_block_type";
    }
    return axis < 0 ? presence_key(name) : "decoder_block_out_channels";
}

static const char *const DECODER_PREFIXES[] = {"decoder.", NULL};

const struct naming autoencoder_dc_naming = {
    .canonical_name = canonical_name,
    .decoder_prefixes = DECODER_PREFIXES,
    .landmark = "decoder.norm_out.weight",
    .config_key = config_key,
};
