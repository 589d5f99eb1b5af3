/* Names of the types that share AutoencoderKL's decoder, or LDM's way of naming. */
#include <criterion/criterion.h>
#include <string.h>

#include "reference/models/models.h"

struct row {
    const char *name, *wanted, *naming;
};

static void expect_rows(const struct naming *naming, int32_t levels, const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char canonical[512];
        const char *found = naming->canonical_name(rows[i].name, levels, canonical, sizeof canonical);
        cr_expect_str_eq(canonical, rows[i].wanted, "%s became %s", rows[i].name, canonical);
        cr_expect(found == NULL ? rows[i].naming == NULL : rows[i].naming != NULL && strcmp(found, rows[i].naming) == 0,
                  "%s is of %s", rows[i].name, found == NULL ? "nobody" : found);
    }
}
#define EXPECT_ROWS(naming, levels, rows) expect_rows(naming, levels, rows, sizeof(rows) / sizeof(rows)[0])

/* Attention in levels, too: of LDM's VQ models, and of older checkpoints of the framework. */
Test(names_kl, of_vq_models) {
    static const struct row ROWS[] = {
        {"decoder.up.3.attn.1.norm.weight", "decoder.up_blocks.0.attentions.1.group_norm.weight", "LDM names"},
        {"decoder.up.3.attn.0.proj_out.bias", "decoder.up_blocks.0.attentions.0.to_out.0.bias", "LDM names"},
        {"decoder.up.2.attn.0.v.weight", "decoder.up_blocks.1.attentions.0.to_v.weight", "LDM names"},
        {"decoder.up_blocks.0.attentions.2.query.weight", "decoder.up_blocks.0.attentions.2.to_q.weight",
         "old diffusers attention names"},
        {"decoder.up_blocks.0.attentions.2.proj_attn.bias", "decoder.up_blocks.0.attentions.2.to_out.0.bias",
         "old diffusers attention names"},
        {"decoder.up_blocks.0.attentions.0.spatial_norm.conv_y.weight",
         "decoder.up_blocks.0.attentions.0.spatial_norm.conv_y.weight", NULL},
        {"decoder.mid_block.attentions.0.to_k.weight", "decoder.mid_block.attentions.0.to_k.weight", NULL},
        {"quantize.embedding.weight", "quantize.embedding.weight", NULL},
        {"encoder.mid_block.attentions.0.key.weight", "encoder.mid_block.attentions.0.key.weight", NULL},
    };
    EXPECT_ROWS(&vq_model_naming, 4, ROWS);
}

/* FLUX.2's original keeps post_quant_conv in the decoder and statistics beside it. */
Test(names_kl, of_the_original_flux2) {
    static const struct row ROWS[] = {
        {"decoder.post_quant_conv.weight", "post_quant_conv.weight", "LDM names"},
        {"decoder.up.0.block.2.nin_shortcut.bias", "decoder.up_blocks.3.resnets.2.conv_shortcut.bias", "LDM names"},
        {"bn.running_mean", "bn.running_mean", NULL},
    };
    EXPECT_ROWS(&autoencoder_kl_naming, 4, ROWS);
}

/* The way up of the condition's encoder is never read: such tensors must not count as the decoder's. */
Test(names_kl, of_the_original_asymmetric_decoder) {
    static const struct row ROWS[] = {
        {"decoder.encoder.layers.2.weight", "decoder.condition_encoder.layers.2.weight", "names of the original"},
        {"decoder.encoder.up_layers.0.weight", "unused.up_layers.0.weight", "names of the original"},
        {"decoder.mid.block_1.conv1.weight", "decoder.mid_block.resnets.0.conv1.weight", "LDM names"},
        {"decoder.condition_encoder.layers.0.bias", "decoder.condition_encoder.layers.0.bias", NULL},
    };
    EXPECT_ROWS(&asymmetric_autoencoder_kl_naming, 4, ROWS);
}

/* Levels forwards, unlike LDM's, and one number a block: three resnets and an enlargement a level. */
Test(names_kl, of_the_original_hunyuanimage) {
    static const char ORIGINAL[] = "names of the original";
    static const struct row ROWS[] = {
        {"decoder.up.0.block.0.conv1.weight", "decoder.up_blocks.0.conv1.weight", ORIGINAL},
        {"decoder.up.1.block.2.norm2.bias", "decoder.up_blocks.6.norm2.bias", ORIGINAL},
        {"decoder.up.4.upsample.conv.weight", "decoder.up_blocks.19.conv.weight", ORIGINAL},
        {"decoder.up.5.block.2.conv2.bias", "decoder.up_blocks.22.conv2.bias", ORIGINAL},
        {"decoder.mid.attn_1.proj_out.weight", "decoder.mid_block.attentions.0.proj.weight", ORIGINAL},
        {"decoder.mid.block_2.norm1.weight", "decoder.mid_block.resnets.1.norm1.weight", ORIGINAL},
        {"decoder.norm_out.weight", "decoder.norm_out.weight", NULL},
        {"decoder.up_blocks.3.conv.weight", "decoder.up_blocks.3.conv.weight", NULL},
    };
    EXPECT_ROWS(&autoencoder_kl_hunyuanimage_naming, 3, ROWS);
    cr_expect_eq(autoencoder_kl_hunyuanimage_naming.level_of("decoder.up.4.block.2.conv1.weight"), 2);
    cr_expect_eq(autoencoder_kl_hunyuanimage_naming.level_of("decoder.conv_in.weight"), -1);
}
