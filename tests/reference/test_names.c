/* Names of foreign checkpoints, name by name: every row of the specification's tables. */
#include <criterion/criterion.h>

#include "reference/models/models.h"

static void expect_name(const struct naming *naming, const char *name, int32_t levels, const char *wanted,
                        const char *wanted_naming) {
    char canonical[128];
    const char *found = naming->canonical_name(name, levels, canonical, sizeof canonical);
    cr_expect_str_eq(canonical, wanted, "'%s' becomes '%s'", name, canonical);
    cr_expect((found == NULL) == (wanted_naming == NULL), "'%s' is of '%s'", name, found == NULL ? "?" : found);
    if (found != NULL && wanted_naming != NULL) {
        cr_expect_str_eq(found, wanted_naming);
    }
}

Test(names, of_latent_diffusion_and_old_attention) {
    static const char LDM[] = "LDM names", OLD[] = "old diffusers attention names";
    static const struct {
        const char *name, *wanted, *naming;
    } ROWS[] = {
        {"decoder.post_quant_conv.weight", "post_quant_conv.weight", LDM},
        {"decoder.mid.block_1.norm1.weight", "decoder.mid_block.resnets.0.norm1.weight", LDM},
        {"decoder.mid.block_2.conv2.bias", "decoder.mid_block.resnets.1.conv2.bias", LDM},
        {"decoder.mid.attn_1.norm.weight", "decoder.mid_block.attentions.0.group_norm.weight", LDM},
        {"decoder.mid.attn_1.q.weight", "decoder.mid_block.attentions.0.to_q.weight", LDM},
        {"decoder.mid.attn_1.k.bias", "decoder.mid_block.attentions.0.to_k.bias", LDM},
        {"decoder.mid.attn_1.v.weight", "decoder.mid_block.attentions.0.to_v.weight", LDM},
        {"decoder.mid.attn_1.proj_out.bias", "decoder.mid_block.attentions.0.to_out.0.bias", LDM},
        {"decoder.up.0.block.2.conv1.weight", "decoder.up_blocks.3.resnets.2.conv1.weight", LDM},
        {"decoder.up.1.block.0.nin_shortcut.weight", "decoder.up_blocks.2.resnets.0.conv_shortcut.weight", LDM},
        {"decoder.up.3.upsample.conv.bias", "decoder.up_blocks.0.upsamplers.0.conv.bias", LDM},
        {"decoder.norm_out.weight", "decoder.conv_norm_out.weight", LDM},
        {"decoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.to_q.weight", OLD},
        {"decoder.mid_block.attentions.0.key.bias", "decoder.mid_block.attentions.0.to_k.bias", OLD},
        {"decoder.mid_block.attentions.0.value.weight", "decoder.mid_block.attentions.0.to_v.weight", OLD},
        {"decoder.mid_block.attentions.0.proj_attn.bias", "decoder.mid_block.attentions.0.to_out.0.bias", OLD},
        {"decoder.conv_in.weight", "decoder.conv_in.weight", NULL},
        {"encoder.mid.block_1.norm1.weight", "encoder.mid.block_1.norm1.weight", NULL},
        {"decoder.up.4.block.0.conv1.weight", "decoder.up.4.block.0.conv1.weight", NULL},
        {"decoder.up.x", "decoder.up.x", NULL},
        {"decoder.up.99999999999.block.0.x", "decoder.up.99999999999.block.0.x", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        expect_name(&autoencoder_kl_naming, ROWS[i].name, 4, ROWS[i].wanted, ROWS[i].naming);
    }
    expect_name(&autoencoder_kl_naming, "decoder.up.0.block.0.conv1.bias", 1,
                "decoder.up_blocks.0.resnets.0.conv1.bias", LDM);
}

Test(names, of_the_original_tiny_files) {
    static const char TAESD[] = "original TAESD names";
    static const struct {
        const char *name, *wanted, *naming;
    } ROWS[] = {
        {"1.weight", "decoder.layers.0.weight", TAESD},
        {"3.conv.0.bias", "decoder.layers.2.conv.0.bias", TAESD},
        {"19.weight", "decoder.layers.18.weight", TAESD},
        {"3.pool.1.weight", "decoder.layers.2.pool.1.weight", TAESD},
        {"decoder.3.conv.4.weight", "decoder.layers.2.conv.4.weight", TAESD},
        {"decoder.layers.0.weight", "decoder.layers.0.weight", NULL},
        {"0.weight", "0.weight", NULL},
        {"encoder.3.conv.0.weight", "encoder.3.conv.0.weight", NULL},
        {"12", "12", NULL},
        {"3x.weight", "3x.weight", NULL},
        {"-1.weight", "-1.weight", NULL},
        {"99999999999999999999.weight", "99999999999999999999.weight", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        expect_name(&autoencoder_tiny_naming, ROWS[i].name, 0, ROWS[i].wanted, ROWS[i].naming);
    }
}

Test(names, of_the_original_consistency_decoder) {
    static const char OPENAI[] = "original OpenAI names";
    static const struct {
        const char *name, *wanted, *naming;
    } ROWS[] = {
        {"embed_image.f.w", "decoder_unet.conv_in.weight", OPENAI},
        {"embed_time.emb", "decoder_unet.time_proj.weight", OPENAI},
        {"embed_time.emb.weight", "decoder_unet.time_proj.weight", OPENAI},
        {"embed_time.f_1.w", "decoder_unet.time_embedding.linear_1.weight", OPENAI},
        {"embed_time.f_2.b", "decoder_unet.time_embedding.linear_2.bias", OPENAI},
        {"blocks.down_1_conv_2.gn_1.g", "decoder_unet.down_blocks.1.resnets.2.norm1.weight", OPENAI},
        {"down_0_conv_0.f_1.w", "decoder_unet.down_blocks.0.resnets.0.conv1.weight", OPENAI},
        {"down_2_downsamp.f_t.b", "decoder_unet.down_blocks.2.downsamplers.0.time_emb_proj.bias", OPENAI},
        {"mid_1.gn_2.b", "decoder_unet.mid_block.resnets.1.norm2.bias", OPENAI},
        {"up_3_conv_0.f_s.w", "decoder_unet.up_blocks.0.resnets.0.conv_shortcut.weight", OPENAI},
        {"blocks.up_0_conv_3.f_2.b", "decoder_unet.up_blocks.3.resnets.3.conv2.bias", OPENAI},
        {"up_1_upsamp.gn_1.weight", "decoder_unet.up_blocks.2.upsamplers.0.norm1.weight", OPENAI},
        {"output.gn.g", "decoder_unet.conv_norm_out.weight", OPENAI},
        {"output.f.b", "decoder_unet.conv_out.bias", OPENAI},
        {"up_4_conv_0.f_1.w", "up_4_conv_0.f_1.w", NULL},
        {"up_0_conv_0.f_9.w", "up_0_conv_0.f_9.w", NULL},
        {"up_0_conv_0x.f_1.w", "up_0_conv_0x.f_1.w", NULL},
        {"mid_0.f_1.x", "mid_0.f_1.x", NULL},
        {"decoder_unet.conv_in.weight", "decoder_unet.conv_in.weight", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        expect_name(&consistency_decoder_vae_naming, ROWS[i].name, 4, ROWS[i].wanted, ROWS[i].naming);
    }
}

Test(names, of_the_original_wan_files) {
    static const char WAN[] = "original Wan names";
    static const struct {
        const char *name, *wanted, *naming;
    } ROWS[] = {
        {"conv2.weight", "post_quant_conv.weight", WAN},
        {"decoder.conv1.bias", "decoder.conv_in.bias", WAN},
        {"decoder.middle.0.residual.0.gamma", "decoder.mid_block.resnets.0.norm1.gamma", WAN},
        {"decoder.middle.0.residual.2.weight", "decoder.mid_block.resnets.0.conv1.weight", WAN},
        {"decoder.middle.2.residual.3.gamma", "decoder.mid_block.resnets.1.norm2.gamma", WAN},
        {"decoder.middle.2.residual.6.bias", "decoder.mid_block.resnets.1.conv2.bias", WAN},
        {"decoder.middle.1.norm.gamma", "decoder.mid_block.attentions.0.norm.gamma", WAN},
        {"decoder.middle.1.to_qkv.weight", "decoder.mid_block.attentions.0.to_qkv.weight", WAN},
        {"decoder.middle.1.proj.bias", "decoder.mid_block.attentions.0.proj.bias", WAN},
        {"decoder.upsamples.2.residual.6.weight", "decoder.up_blocks.0.resnets.2.conv2.weight", WAN},
        {"decoder.upsamples.3.resample.1.weight", "decoder.up_blocks.0.upsamplers.0.resample.1.weight", WAN},
        {"decoder.upsamples.4.shortcut.weight", "decoder.up_blocks.1.resnets.0.conv_shortcut.weight", WAN},
        {"decoder.upsamples.7.time_conv.bias", "decoder.up_blocks.1.upsamplers.0.time_conv.bias", WAN},
        {"decoder.upsamples.14.residual.0.gamma", "decoder.up_blocks.3.resnets.2.norm1.gamma", WAN},
        {"decoder.upsamples.1.upsamples.2.residual.2.bias", "decoder.up_blocks.1.resnets.2.conv1.bias", WAN},
        {"decoder.upsamples.2.upsamples.0.shortcut.bias", "decoder.up_blocks.2.resnets.0.conv_shortcut.bias", WAN},
        {"decoder.upsamples.0.upsamples.3.resample.1.bias", "decoder.up_blocks.0.upsampler.resample.1.bias", WAN},
        {"decoder.upsamples.0.upsamples.3.time_conv.weight", "decoder.up_blocks.0.upsampler.time_conv.weight", WAN},
        {"decoder.head.0.gamma", "decoder.norm_out.gamma", WAN},
        {"decoder.head.2.weight", "decoder.conv_out.weight", WAN},
        {"decoder.conv_in.weight", "decoder.conv_in.weight", NULL},
        {"conv1.weight", "conv1.weight", NULL},
        {"encoder.middle.0.residual.0.gamma", "encoder.middle.0.residual.0.gamma", NULL},
        {"decoder.upsamples.x.residual.0.gamma", "decoder.upsamples.x.residual.0.gamma", NULL},
        {"decoder.upsamples.-1.residual.0.gamma", "decoder.upsamples.-1.residual.0.gamma", NULL},
        {"decoder.upsamples.0.strange.0.gamma", "decoder.upsamples.0.strange.0.gamma", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        expect_name(&autoencoder_kl_wan_naming, ROWS[i].name, 1, ROWS[i].wanted, ROWS[i].naming);
        expect_name(&autoencoder_kl_qwen_image_naming, ROWS[i].name, 1, ROWS[i].wanted, ROWS[i].naming);
    }
}

Test(names, of_the_original_dc_files) {
    static const char DC[] = "original DC-AE names";
    static const struct {
        const char *name, *wanted, *naming;
    } ROWS[] = {
        {"decoder.project_in.conv.weight", "decoder.conv_in.weight", DC},
        {"decoder.project_out.0.bias", "decoder.norm_out.bias", DC},
        {"decoder.project_out.2.conv.weight", "decoder.conv_out.weight", DC},
        {"decoder.project_out.2.conv.conv.bias", "decoder.conv_out.conv.bias", DC},
        {"decoder.stages.0.op_list.0.main.conv.conv.weight", "decoder.up_blocks.0.0.conv.weight", DC},
        {"decoder.stages.1.op_list.2.main.conv1.conv.bias", "decoder.up_blocks.1.2.conv1.bias", DC},
        {"decoder.stages.1.op_list.2.main.conv2.conv.weight", "decoder.up_blocks.1.2.conv2.weight", DC},
        {"decoder.stages.1.op_list.2.main.conv2.norm.running_var", "decoder.up_blocks.1.2.norm.running_var", DC},
        {"decoder.stages.5.op_list.0.context_module.main.qkv.conv.weight", "decoder.up_blocks.5.0.attn.to_qkv.weight",
         DC},
        {"decoder.stages.5.op_list.0.context_module.main.aggreg.0.0.weight",
         "decoder.up_blocks.5.0.attn.to_qkv_multiscale.0.proj_in.weight", DC},
        {"decoder.stages.5.op_list.0.context_module.main.aggreg.1.1.weight",
         "decoder.up_blocks.5.0.attn.to_qkv_multiscale.1.proj_out.weight", DC},
        {"decoder.stages.5.op_list.0.context_module.main.proj.conv.weight", "decoder.up_blocks.5.0.attn.to_out.weight",
         DC},
        {"decoder.stages.5.op_list.0.context_module.main.proj.norm.bias", "decoder.up_blocks.5.0.attn.norm_out.bias",
         DC},
        {"decoder.stages.5.op_list.0.local_module.main.inverted_conv.conv.bias",
         "decoder.up_blocks.5.0.conv_out.conv_inverted.bias", DC},
        {"decoder.stages.5.op_list.0.local_module.main.depth_conv.conv.weight",
         "decoder.up_blocks.5.0.conv_out.conv_depth.weight", DC},
        {"decoder.stages.5.op_list.0.local_module.main.point_conv.conv.weight",
         "decoder.up_blocks.5.0.conv_out.conv_point.weight", DC},
        {"decoder.stages.5.op_list.0.local_module.main.point_conv.norm.weight",
         "decoder.up_blocks.5.0.conv_out.norm.weight", DC},
        {"decoder.conv_in.weight", "decoder.conv_in.weight", NULL},
        {"encoder.project_in.conv.weight", "encoder.project_in.conv.weight", NULL},
        {"decoder.stages.x.op_list.0.main.conv.conv.weight", "decoder.stages.x.op_list.0.main.conv.conv.weight", NULL},
        {"decoder.stages.0.op_list.0.strange.weight", "decoder.stages.0.op_list.0.strange.weight", NULL},
        {"decoder.stages.5.op_list.0.context_module.main.aggreg.0.2.weight",
         "decoder.stages.5.op_list.0.context_module.main.aggreg.0.2.weight", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        expect_name(&autoencoder_dc_naming, ROWS[i].name, 1, ROWS[i].wanted, ROWS[i].naming);
    }
}
