/* Opening models from folders, names of other layouts, and what the graphs of the builders promise. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reference/model.h"
#include "reference/models/models.h"
#include "tests/reference/support_files.h"

/* Tiny, two levels of one block of 4 channels: layers 0, 2, 4, 5, 6. */
static const char CONFIG[] = "{\"_class_name\":\"AutoencoderTiny\",\"decoder_block_out_channels\":[4,4],"
                             "\"num_decoder_blocks\":[1,1],\"latent_channels\":2}";

/* A folder with that configuration and synthetic weights under a name; returns the folder. */
static const char *make_checkpoint(const char *config, const char *weights_name) {
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    const char *folder = support_folder();
    const char *path = support_path("%s/config.json", folder);
    support_write_text(path, config);
    cr_assert_eq(model_open_config(path, "small", &model, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(weights_synthesize(model->graph, 0, support_path("%s/%s", folder, weights_name), &error), VAEMARK_OK,
                 "%s", error.message);
    model_free(model);
    return folder;
}

static void expect_not_found(const char *folder, const char *words) {
    char *config = (char *)&config, *weights = (char *)&weights;
    struct error error = {.status = VAEMARK_OK};
    cr_expect_eq(model_find_files(folder, &config, &weights, NULL, &error), VAEMARK_BAD_INPUT);
    cr_expect_null(config);
    cr_expect_null(weights);
    cr_expect_str_eq(error.where, folder);
    cr_expect_not_null(strstr(error.message, words), "'%s' lacks '%s'", error.message, words);
}

static void expect_found(const char *folder, const char *weights_name) {
    char *config = NULL, *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    cr_assert_eq(model_find_files(folder, &config, &weights, NULL, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_str_eq(config, support_path("%s/config.json", folder));
    cr_expect_str_eq(weights, support_path("%s/%s", folder, weights_name));
    free(config);
    free(weights);
}

Test(model, files_of_a_folder_are_found_or_their_lack_is_told) {
    const char *folder = support_folder();
    expect_not_found(support_path("%s/none", folder), "No such file");
    expect_not_found(folder, "holds no config.json");
    support_write_text(support_path("%s/config.json", folder), CONFIG);
    expect_not_found(folder, "no diffusion_pytorch_model.safetensors and no other *.safetensors");
    expect_not_found(support_path("%s/config.json", folder), "is not a folder");
    support_write_text(support_path("%s/.hidden.safetensors", folder), "");
    support_write_text(support_path("%s/b.safetensors", folder), "");
    expect_found(folder, "b.safetensors");
    support_write_text(support_path("%s/a.safetensors", folder), "");
    expect_not_found(folder, "2 checkpoints (a.safetensors, b.safetensors)");
    for (int i = 0; i < 20; i++) {
        support_write_text(support_path("%s/c%d.safetensors", folder, i), "");
    }
    expect_not_found(folder, "22 checkpoints");
    support_write_text(support_path("%s/diffusion_pytorch_model.safetensors", folder), "");
    expect_found(folder, "diffusion_pytorch_model.safetensors");
}

Test(model, an_opened_model_shows_itself_to_backends) {
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    const char *folder = make_checkpoint(CONFIG, "w.safetensors");
    const char *weights = support_path("%s/w.safetensors", folder);
    cr_assert_eq(model_open(support_path("%s/config.json", folder), weights, "small", &model, &error), VAEMARK_OK, "%s",
                 error.message);
    struct vaemark_model abi = model_abi(model);
    cr_expect_str_eq(abi.name, "small");
    cr_expect_str_eq(abi.vae_type, "AutoencoderTiny");
    cr_expect_str_eq(abi.config_json, CONFIG);
    cr_expect_str_eq(abi.weights_path, weights);
    cr_expect_eq(abi.graph, model->graph);
    for (size_t i = 0; i < abi.graph_api->parameter_count(abi.graph); i++) {
        cr_expect_not_null(abi.graph_api->parameter_tensor(abi.graph, i)->data);
    }
    model_free(model);
    model_free(NULL);
}

Test(model, what_cannot_be_opened_leaves_nothing) {
    struct error error = {.status = VAEMARK_OK};
    const char *folder = make_checkpoint(CONFIG, "w.safetensors");
    const char *config = support_path("%s/config.json", folder);
    struct model *model = (struct model *)&model;
    cr_expect_eq(model_open(config, support_path("%s/none.safetensors", folder), "x", &model, &error),
                 VAEMARK_BAD_INPUT);
    cr_expect_null(model);
    cr_expect_not_null(strstr(error.where, "none.safetensors"), "%s", error.where);
    /* The weights of another configuration: the tensor and both shapes are told. */
    const char *other = support_path("%s/other.json", folder);
    support_write_text(other, "{\"_class_name\":\"AutoencoderTiny\",\"decoder_block_out_channels\":[4,4],"
                              "\"num_decoder_blocks\":[1,1],\"latent_channels\":3}");
    model = (struct model *)&model;
    cr_expect_eq(model_open(other, support_path("%s/w.safetensors", folder), "x", &model, &error), VAEMARK_BAD_INPUT);
    cr_expect_null(model);
    cr_expect_not_null(strstr(error.where, "'decoder.layers.0.weight'"), "%s", error.where);
    cr_expect_not_null(strstr(error.message, "has shape 4x2x3x3, wanted 4x3x3x3"), "%s", error.message);
}

static bool has_parameter(const struct model *model, const char *name) {
    for (size_t i = 0; i < model->graph->parameter_count; i++) {
        if (strcmp(model->graph->parameters[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Pooled blocks are not in published configurations; the tensors' names tell, block by block. */
Test(model, pools_are_inferred_from_the_tensors) {
    const char *pooled = "{\"_class_name\":\"AutoencoderTiny\",\"decoder_block_out_channels\":[4,4],"
                         "\"num_decoder_blocks\":[1,1],\"latent_channels\":2,\"_vaemark_pool\":true}";
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    const char *folder = make_checkpoint(pooled, "w.safetensors");
    const char *plain = support_path("%s/plain.json", folder);
    support_write_text(plain, CONFIG);
    cr_assert_eq(model_open(plain, support_path("%s/w.safetensors", folder), "x", &model, &error), VAEMARK_OK, "%s",
                 error.message);
    cr_expect(has_parameter(model, "decoder.layers.2.pool.0.weight") != 0);
    cr_expect(has_parameter(model, "decoder.layers.5.pool.0.weight") == 0);
    model_free(model);
    cr_assert_eq(model_open_config(plain, "x", &model, &error), VAEMARK_OK, "%s", error.message);
    cr_expect(has_parameter(model, "decoder.layers.2.pool.0.weight") == 0);
    model_free(model);
}

static enum vaemark_status infer(const struct model *model, int64_t channels, int64_t side, int64_t noise_side,
                                 struct shape *image, struct error *error) {
    struct shape *shapes = calloc((size_t)model->graph->value_count, sizeof *shapes);
    struct shape latents = {.rank = 4, .dims = {1, channels, side, side}};
    struct shape noise = {.rank = 4, .dims = {1, 3, noise_side, noise_side}};
    struct vaemark_tensor items[] = {tensor_make("latents", VAEMARK_F32, &latents, NULL),
                                     tensor_make("noise.0", VAEMARK_F32, &noise, NULL),
                                     tensor_make("noise.1", VAEMARK_F32, &noise, NULL)};
    struct vaemark_tensors inputs = {.items = items, .count = model->graph->input_count};
    enum vaemark_status status = graph_infer_shapes(model->graph, &inputs, shapes, error);
    *image = shapes[model->graph->output];
    free(shapes);
    return status;
}

/* Published: eight times the latents, of which a single pixel is enough for the three halvings of the UNet. */
Test(model, consistency_decodes_from_one_latent_pixel) {
    struct model *model = NULL;
    struct shape image;
    struct error error = {.status = VAEMARK_OK};
    const char *path = support_path("%s/models/consistency/config.json", support_source());
    cr_assert_eq(model_open_config(path, "consistency", &model, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_eq(infer(model, 4, 1, 8, &image, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_eq(image.dims[1], 3);
    cr_expect_eq(image.dims[2], 8);
    cr_expect_neq(infer(model, 4, 1, 9, &image, &error), VAEMARK_OK, "noise of the wrong size");
    cr_expect_not_null(strstr(error.message, "noise.0"), "%s", error.message);
    model_free(model);
}

/* An encoder of two levels enlarges by 2 only: the four levels of the UNet then need sizes divisible by 8. */
Test(model, a_unet_deeper_than_its_picture_is_an_error_not_a_crash) {
    struct model *model = NULL;
    struct shape image;
    struct error error = {.status = VAEMARK_OK};
    const char *path = support_path("%s/config.json", support_folder());
    support_write_text(path, "{\"_class_name\":\"ConsistencyDecoderVAE\",\"encoder_block_out_channels\":[32,32]}");
    cr_assert_eq(model_open_config(path, "x", &model, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_neq(infer(model, 4, 1, 2, &image, &error), VAEMARK_OK);
    cr_expect_neq(infer(model, 4, 5, 10, &image, &error), VAEMARK_OK);
    cr_expect_neq(error.message[0], '\0');
    cr_expect_eq(infer(model, 4, 4, 8, &image, &error), VAEMARK_OK, "%s", error.message);
    model_free(model);
}

/* The framework's constants are as precise as the checkpoint; the goldens hold them for a 16-bit one. */
Test(model, consistency_keeps_its_constants_for_single_precision_weights) {
    static const char SMALL[] = "{\"_class_name\":\"ConsistencyDecoderVAE\",\"decoder_block_out_channels\":[8],"
                                "\"decoder_norm_num_groups\":2,\"decoder_layers_per_block\":1,"
                                "\"decoder_down_block_types\":[\"ResnetDownsampleBlock2D\"],"
                                "\"decoder_up_block_types\":[\"ResnetUpsampleBlock2D\"]}";
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    const char *folder = make_checkpoint(SMALL, "w.safetensors");
    cr_assert_eq(model_open(support_path("%s/config.json", folder), support_path("%s/w.safetensors", folder), "x",
                            &model, &error),
                 VAEMARK_OK, "%s: %s", error.where, error.message);
    const struct graph_node *node = &model->graph->nodes[0];
    cr_assert_eq(node->op, OP_AFFINE);
    cr_assert_eq(node->attributes.affine.count, 4);
    cr_expect_eq(node->attributes.affine.scale[3], 0.18215 / (double)0.77022034f);
    cr_expect_eq(node->attributes.affine.shift[0], -(double)0.38862467f / (double)0.9654121f);
    model_free(model);
}

Test(model, every_type_is_found_by_its_name) {
    for (size_t i = 0; i < model_type_count; i++) {
        cr_expect_eq(model_type_find(model_types[i].name), &model_types[i]);
    }
    cr_expect_null(model_type_find("autoencoderkl"));
}
