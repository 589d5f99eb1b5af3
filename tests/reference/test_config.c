/* Configurations from strangers: each wrong one is refused with the file, the key, what was found and what is allowed.
 * What is absent takes the class's default. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/graph_edit.h"
#include "reference/model.h"
#include "tests/reference/support_files.h"

static enum vaemark_status open_text(const char *text, struct model **model, struct error *error) {
    const char *path = support_path("%s/config.json", support_folder());
    support_write_text(path, text);
    return model_open_config(path, "test", model, error);
}

struct bad_config {
    const char *text;
    enum vaemark_status status;
    const char *words; /* all of them, separated by | */
};

#define KL   "{\"_class_name\":\"AutoencoderKL\","
#define TINY "{\"_class_name\":\"AutoencoderTiny\","
#define QWEN "{\"_class_name\":\"AutoencoderKLQwenImage\","
#define WAN  "{\"_class_name\":\"AutoencoderKLWan\","
#define DC   "{\"_class_name\":\"AutoencoderDC\","
#define VQ   "{\"_class_name\":\"VQModel\","
#define CON  "{\"_class_name\":\"ConsistencyDecoderVAE\","

#define BAD         VAEMARK_BAD_INPUT
#define UNSUPPORTED VAEMARK_UNSUPPORTED_MODEL

static const struct bad_config BAD_CONFIGS[] = {
    {"", BAD, "not valid JSON"},
    {"{", BAD, "line 1|not valid JSON"},
    {"[]", BAD, "not a JSON object"},
    {"{}", BAD, "no \"_class_name\"|AutoencoderKL, AutoencoderTiny, ConsistencyDecoderVAE"},
    {"{\"_class_name\":3}", BAD, "unusable \"_class_name\""},
    {"{\"_class_name\":\"AutoencoderKl\"}", UNSUPPORTED, "AutoencoderKl|did you mean AutoencoderKL?|AutoencoderTiny"},
    {"{\"_class_name\":\"UNet2DConditionModel\"}", UNSUPPORTED, "\"UNet2DConditionModel\"|known are"},
    {KL "\"latent_channels\":4,\"latent_channels\":8}", BAD, "duplicate"},
    {KL "\"latent_channels\":0}", BAD, "\"latent_channels\" is 0|from 1 to 65536"},
    {KL "\"latent_channels\":-4}", BAD, "\"latent_channels\" is -4"},
    {KL "\"latent_channels\":65537}", BAD, "\"latent_channels\" is 65537"},
    {KL "\"latent_channels\":4.0}", BAD, "\"latent_channels\" is 4.0"},
    {KL "\"latent_channels\":\"4\"}", BAD, "\"latent_channels\" is \"4\""},
    {KL "\"latent_channels\":null}", BAD, "\"latent_channels\" is null"},
    {KL "\"latent_channels\":99999999999999999999}", BAD, "not valid JSON"},
    {KL "\"out_channels\":true}", BAD, "\"out_channels\" is true"},
    {KL "\"block_out_channels\":[]}", BAD, "\"block_out_channels\" is []|1 to 12"},
    {KL "\"block_out_channels\":64}", BAD, "\"block_out_channels\" is 64"},
    {KL "\"block_out_channels\":[64,0]}", BAD, "entry 1 of \"block_out_channels\" is 0"},
    {KL "\"block_out_channels\":[64,70000]}", BAD, "entry 1|70000|65536"},
    {KL "\"block_out_channels\":[32,32,32,32,32,32,32,32,32,32,32,32,32]}", BAD, "1 to 12"},
    {KL "\"block_out_channels\":[64,80]}", BAD, "entry 1 of \"block_out_channels\" is 80|\"norm_num_groups\" = 32"},
    {KL "\"norm_num_groups\":0}", BAD, "\"norm_num_groups\" is 0"},
    {KL "\"layers_per_block\":65}", BAD, "\"layers_per_block\" is 65|from 0 to 64"},
    {KL "\"layers_per_block\":-1}", BAD, "\"layers_per_block\" is -1"},
    {KL "\"use_post_quant_conv\":1}", BAD, "\"use_post_quant_conv\" is 1|true or false"},
    {KL "\"mid_block_add_attention\":\"yes\"}", BAD, "\"mid_block_add_attention\" is \"yes\""},
    {KL "\"act_fn\":\"gelu\"}", UNSUPPORTED, "\"act_fn\" is \"gelu\"|\"silu\" or \"swish\""},
    {KL "\"act_fn\":null}", BAD, "\"act_fn\" is null"},
    {KL "\"up_block_types\":[\"AttnUpDecoderBlock2D\"]}", UNSUPPORTED, "AttnUpDecoderBlock2D|\"UpDecoderBlock2D\""},
    {KL "\"up_block_types\":[\"UpDecoderBlock2D\",\"UpDecoderBlock2D\"]}", BAD, "a list of 1 block types"},
    {KL "\"up_block_types\":[1]}", BAD, "entry 0 of \"up_block_types\" is 1"},
    {KL "\"scaling_factor\":1e999}", BAD, "not valid JSON"},
    {KL "\"scaling_factor\":NaN}", BAD, "not valid JSON"},
    {KL "\"scaling_factor\":\"x\"}", BAD, "\"scaling_factor\" is \"x\"|finite number or null"},
    {KL "\"shift_factor\":[]}", BAD, "\"shift_factor\" is []"},
    {TINY "\"decoder_block_out_channels\":[64,64]}", BAD, "2 entries|\"num_decoder_blocks\" 4"},
    {TINY "\"num_decoder_blocks\":[3,3,3,65]}", BAD, "entry 3 of \"num_decoder_blocks\" is 65"},
    {TINY "\"num_decoder_blocks\":\"3\"}", BAD, "\"num_decoder_blocks\" is \"3\""},
    {TINY "\"upsampling_scaling_factor\":0}", BAD, "\"upsampling_scaling_factor\" is 0"},
    {TINY "\"upsampling_scaling_factor\":2.5}", BAD, "\"upsampling_scaling_factor\" is 2.5"},
    {TINY "\"upsample_fn\":\"bilinear\"}", UNSUPPORTED, "\"bilinear\"|\"nearest\""},
    {TINY "\"act_fn\":\"mish\"}", UNSUPPORTED, "\"mish\"|\"relu\" or \"silu\""},
    {TINY "\"_vaemark_pool\":2}", BAD, "\"_vaemark_pool\" is 2"},
    {CON "\"scaling_factor\":0}", BAD, "\"scaling_factor\" is 0|above 0"},
    {CON "\"scaling_factor\":null}", BAD, "\"scaling_factor\" is null"},
    {CON "\"latent_channels\":16}", BAD, "\"latent_channels\" is 16|from 4 to 4"},
    {CON "\"decoder_in_channels\":8}", BAD, "\"decoder_in_channels\" is 8"},
    {CON "\"decoder_out_channels\":2}", BAD, "\"decoder_out_channels\" is 2"},
    {CON "\"decoder_num_train_timesteps\":1008}", BAD, "\"decoder_num_train_timesteps\" is 1008|from 1009"},
    {CON "\"decoder_norm_eps\":-1e-5}", BAD, "\"decoder_norm_eps\" is"},
    {CON "\"decoder_layers_per_block\":0}", BAD, "\"decoder_layers_per_block\" is 0"},
    {CON "\"decoder_block_out_channels\":[320,648]}", BAD, "entry 1|648|\"decoder_norm_num_groups\" = 32"},
    {CON "\"decoder_down_block_types\":[\"ResnetDownsampleBlock2D\"]}", BAD, "a list of 4 block types"},
    {CON "\"decoder_up_block_types\":[\"UpBlock2D\",\"UpBlock2D\",\"UpBlock2D\",\"UpBlock2D\"]}", UNSUPPORTED,
     "entry 0 of \"decoder_up_block_types\"|\"UpBlock2D\"|\"ResnetUpsampleBlock2D\""},
    {CON "\"decoder_time_embedding_type\":\"positional\"}", UNSUPPORTED, "\"positional\"|\"learned\""},
    {CON "\"decoder_resnet_time_scale_shift\":\"default\"}", UNSUPPORTED, "\"default\"|\"scale_shift\""},
    {QWEN "\"dim_mult\":[1,2],\"temperal_downsample\":[]}", BAD,
     "\"temperal_downsample\" has 0 entries|\"dim_mult\" 2"},
    {QWEN "\"temperal_downsample\":[0,1,1]}", BAD, "\"temperal_downsample\" is [0,1,1]|true or false"},
    {QWEN "\"temperal_downsample\":true}", BAD, "\"temperal_downsample\" is true"},
    {QWEN "\"base_dim\":0}", BAD, "\"base_dim\" is 0"},
    {QWEN "\"z_dim\":null}", BAD, "\"z_dim\" is null"},
    {WAN "\"decoder_base_dim\":\"256\"}", BAD, "\"decoder_base_dim\" is \"256\""},
    {WAN "\"patch_size\":2}", BAD, "\"out_channels\" is 3|\"patch_size\" = 2"},
    {WAN "\"patch_size\":0}", BAD, "\"patch_size\" is 0"},
    {WAN "\"is_residual\":true,\"dim_mult\":[1,3,4,7]}", BAD, "\"dim_mult\"|level 1|672|384"},
    {DC "\"decoder_block_types\":\"Block\"}", UNSUPPORTED,
     "\"decoder_block_types\"|\"ResBlock\", \"EfficientViTBlock\""},
    {DC "\"decoder_norm_types\":[\"rms_norm\"]}", BAD, "\"decoder_norm_types\"|a list of 6"},
    {DC "\"decoder_qkv_multiscales\":[[],[],[],[4],[5],[5]]}", BAD, "\"decoder_qkv_multiscales\"|kernel 4"},
    {DC "\"decoder_qkv_multiscales\":[[5]]}", BAD, "\"decoder_qkv_multiscales\"|6 lists"},
    {DC "\"upsample_block_type\":\"bilinear\"}", UNSUPPORTED, "\"bilinear\"|\"pixel_shuffle\" or \"interpolate\""},
    {DC "\"latent_channels\":48}", BAD, "1024|\"latent_channels\" = 48"},
    {DC "\"decoder_layers_per_block\":[3,3]}", BAD, "\"decoder_block_out_channels\" has 6|2"},
    {DC "\"decoder_conv_act_fn\":\"gelu\"}", UNSUPPORTED, "\"gelu\"|\"relu\" or \"silu\""},
    {VQ "\"norm_type\":\"layer\"}", UNSUPPORTED, "\"norm_type\" is \"layer\"|\"group\" or \"spatial\""},
    {VQ "\"num_vq_embeddings\":0}", BAD, "\"num_vq_embeddings\" is 0|from 1 to 16777216"},
    {VQ "\"vq_embed_dim\":\"4\"}", BAD, "\"vq_embed_dim\" is \"4\""},
    {VQ "\"up_block_types\":[\"X\"]}", UNSUPPORTED, "\"X\"|\"UpDecoderBlock2D\" or \"AttnUpDecoderBlock2D\""},
    /* 16 groups would do; a spatial norm has 32 */
    {VQ "\"norm_type\":\"spatial\",\"norm_num_groups\":16,\"block_out_channels\":[48]}", BAD,
     "48|\"groups of a spatial norm\" = 32"},
    {CON "\"decoder_add_attention\":true}", UNSUPPORTED, "\"decoder_add_attention\" is true"},
};

/* Each of the words, separated by |, is in the text. */
static void expect_words(const char *text, const char *words, const char *config) {
    char copy[256];
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok_r(copy, "|", &rest); word != NULL; word = strtok_r(NULL, "|", &rest)) {
        cr_expect_not_null(strstr(text, word), "%s: '%s' lacks '%s'", config, text, word);
    }
}

Test(config, wrong_ones_are_refused_with_their_reason) {
    const char *path = support_path("%s/config.json", support_folder());
    for (size_t i = 0; i < sizeof BAD_CONFIGS / sizeof BAD_CONFIGS[0]; i++) {
        struct model *model = NULL;
        struct error error = {.status = VAEMARK_OK};
        support_write_text(path, BAD_CONFIGS[i].text);
        enum vaemark_status status = model_open_config(path, "test", &model, &error);
        cr_expect_eq(status, BAD_CONFIGS[i].status, "%s: %s: %s", BAD_CONFIGS[i].text, status_name(status),
                     error.message);
        cr_expect_null(model, "%s", BAD_CONFIGS[i].text);
        cr_expect_not_null(strstr(error.where, "config.json"), "%s: where is '%s'", BAD_CONFIGS[i].text, error.where);
        expect_words(error.message, BAD_CONFIGS[i].words, BAD_CONFIGS[i].text);
    }
}

Test(config, deep_and_large_ones_are_refused) {
    enum { DEPTH = 100000, LARGE = 2 << 20 };
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    char *text = calloc(1, LARGE);
    memset(text, '[', DEPTH);
    cr_expect_eq(open_text(text, &model, &error), VAEMARK_BAD_INPUT);
    memset(text, ' ', LARGE - 1);
    cr_expect_eq(open_text(text, &model, &error), VAEMARK_BAD_INPUT);
    cr_expect_not_null(strstr(error.message, "larger than"), "%s", error.message);
    free(text);
}

Test(config, a_missing_file_is_named) {
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    cr_expect_neq(model_open_config("/nowhere/config.json", "test", &model, &error), VAEMARK_OK);
    cr_expect_not_null(strstr(error.where, "/nowhere/config.json"), "%s", error.where);
}

/* Where no layer of the condition's encoder is as small as the latents the framework raises a KeyError: no condition is
 * an input then, though checkpoints have the encoder. */
Test(config, a_condition_that_fits_nowhere_is_no_input) {
    static const struct {
        const char *levels;
        size_t inputs;
    } TRIALS[] = {{"[8,8],\"up_block_types\":[\"UpDecoderBlock2D\",\"UpDecoderBlock2D\"]", 3},
                  {"[8,8,8,8,8],\"up_block_types\":[\"UpDecoderBlock2D\",\"UpDecoderBlock2D\",\"UpDecoderBlock2D\","
                   "\"UpDecoderBlock2D\",\"UpDecoderBlock2D\"]",
                   1}};
    for (size_t i = 0; i < sizeof TRIALS / sizeof *TRIALS; i++) {
        char text[512];
        struct model *model = NULL;
        struct error error = {.status = VAEMARK_OK};
        snprintf(text, sizeof text,
                 "{\"_class_name\":\"AsymmetricAutoencoderKL\",\"norm_num_groups\":4,\"up_block_out_channels\":%s}",
                 TRIALS[i].levels);
        cr_assert_eq(open_text(text, &model, &error), VAEMARK_OK, "%s", error.message);
        cr_expect_eq(model->graph->input_count, TRIALS[i].inputs, "%zu inputs", model->graph->input_count);
        const int32_t last = graph_find_parameter(model->graph, "decoder.condition_encoder.layers.4.weight");
        const struct shape wanted = {4, {8, 8, 4, 4}};
        cr_assert(last >= 0);
        cr_expect(shape_equal(&model->graph->parameters[last].shape, &wanted));
        model_free(model);
    }
}

/* What instantiating the classes without arguments gives. */
Test(config, absent_keys_take_the_class_defaults) {
    static const struct {
        const char *text, *parameter;
        struct shape shape;
        size_t parameters;
    } DEFAULTS[] = {
        {"{\"_class_name\":\"AutoencoderKL\"}", "decoder.conv_in.weight", {4, {64, 4, 3, 3}}, 50},
        {"{\"_class_name\":\"AutoencoderTiny\"}", "decoder.layers.18.weight", {4, {3, 64, 3, 3}}, 67},
        {"{\"_class_name\":\"AutoencoderKLQwenImage\"}", "decoder.conv_in.weight", {4, {384, 16, 3, 3}}, 108},
        {"{\"_class_name\":\"AutoencoderKLWan\"}", "decoder.conv_in.weight", {4, {384, 16, 3, 3}}, 108},
        {"{\"_class_name\":\"ConsistencyDecoderVAE\"}", "decoder_unet.time_proj.weight", {2, {1024, 320}}, 407},
    };
    for (size_t i = 0; i < sizeof DEFAULTS / sizeof DEFAULTS[0]; i++) {
        struct model *model = NULL;
        struct error error = {.status = VAEMARK_OK};
        bool found = false;
        cr_assert_eq(open_text(DEFAULTS[i].text, &model, &error), VAEMARK_OK, "%s", error.message);
        for (size_t k = 0; k < model->graph->parameter_count; k++) {
            found = found || (strcmp(model->graph->parameters[k].name, DEFAULTS[i].parameter) == 0 &&
                              shape_equal(&model->graph->parameters[k].shape, &DEFAULTS[i].shape));
        }
        cr_expect(found != 0, "%s: %s", DEFAULTS[i].text, DEFAULTS[i].parameter);
        cr_expect_eq(model->graph->parameter_count, DEFAULTS[i].parameters, "%s: %zu", DEFAULTS[i].text,
                     model->graph->parameter_count);
        model_free(model);
    }
}
