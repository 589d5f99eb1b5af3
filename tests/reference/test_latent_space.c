/* From diffusion space to VAE space: as the framework's pipelines do it (tests/data/latents), and what is refused. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/latent_space.h"
#include "tests/reference/support_files.h"

static const struct latent_size NOT_SAID = {0, 0};

/* A model without a graph: a type by name, a configuration, and weights or none. */
struct bare_model {
    struct model model;
    struct model_type type;
};

static struct bare_model *bare_model(const char *vae_type, json_t *config, const char *weights_file) {
    struct bare_model *bare = calloc(1, sizeof *bare);
    struct error error = {.status = VAEMARK_OK};
    static char config_path[] = "config.json";
    cr_assert(bare && config);
    bare->type.name = vae_type;
    bare->model.type = &bare->type;
    bare->model.config = config;
    bare->model.config_path = config_path;
    if (weights_file) {
        cr_assert_eq(weights_open(weights_file, &bare->model.weights, &error), VAEMARK_OK, "%s", error.message);
    }
    return bare;
}

static void bare_model_free(struct bare_model *bare) {
    json_decref(bare->model.config);
    weights_free(bare->model.weights);
    free(bare);
}

static struct bare_model *model_of(const char *vae_type, const char *config) {
    return bare_model(vae_type, json_loads(config, 0, NULL), NULL);
}

static struct shape shape_of_json(const json_t *list) {
    struct shape shape = {.rank = (int32_t)json_array_size(list)};
    for (int32_t i = 0; i < shape.rank; i++) {
        shape.dims[i] = json_integer_value(json_array_get(list, (size_t)i));
    }
    return shape;
}

/* ((37 i) mod 101 - 50) / 32: exact in every dtype. */
static struct vaemark_tensor make_latents(struct shape shape) {
    int64_t count = shape_element_count(&shape);
    float *data = malloc((size_t)count * sizeof *data);
    cr_assert(data);
    for (int64_t i = 0; i < count; i++) {
        data[i] = (float)(37 * i % 101 - 50) / 32;
    }
    return tensor_make("latents", VAEMARK_F32, &shape, data);
}

/* ---- As the pipelines do it ---- */

/* A checkpoint with FLUX.2's statistics, where the case has them. */
static const char *write_statistics(const json_t *row) {
    static float mean[64], variance[64];
    struct error error = {.status = VAEMARK_OK};
    const json_t *means = json_object_get(row, "running_mean"), *variances = json_object_get(row, "running_var");
    struct shape shape = {.rank = 1, .dims = {(int64_t)json_array_size(means)}};
    if (!means) {
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(means); i++) {
        mean[i] = (float)json_number_value(json_array_get(means, i));
        variance[i] = (float)json_number_value(json_array_get(variances, i));
    }
    struct vaemark_tensor tensors[] = {tensor_make("bn.running_mean", VAEMARK_F32, &shape, mean),
                                       tensor_make("bn.running_var", VAEMARK_F32, &shape, variance)};
    struct vaemark_tensors list = {.items = tensors, .count = 2};
    const char *path = support_path("%s/bn.safetensors", support_folder());
    cr_assert_eq(weights_write(path, &list, &error), VAEMARK_OK, "%s", error.message);
    return path;
}

static void expect_case(const json_t *row) {
    const char *name = json_string_value(json_object_get(row, "name"));
    struct bare_model *bare = bare_model(json_string_value(json_object_get(row, "vae_type")),
                                         json_incref(json_object_get(row, "config")), write_statistics(row));
    struct error error = {.status = VAEMARK_OK};
    struct shape size = shape_of_json(json_object_get(row, "size"));
    struct shape wanted = shape_of_json(json_object_get(row, "z_shape"));
    const json_t *values = json_object_get(row, "z");
    struct vaemark_tensor x = make_latents(shape_of_json(json_object_get(row, "x_shape"))), z = {0};
    enum vaemark_status status =
        latent_space_convert(&bare->model, &x, &(struct latent_size){size.dims[0], size.dims[1]}, &z, &error);
    cr_assert_eq(status, VAEMARK_OK, "%s: %s", name, error.message);
    struct shape found = tensor_shape(&z);
    cr_assert(shape_equal(&found, &wanted), "%s: shape", name);
    cr_assert_eq((size_t)shape_element_count(&found), json_array_size(values));
    for (size_t i = 0; i < json_array_size(values); i++) {
        double right = json_number_value(json_array_get(values, i)), got = ((const float *)z.data)[i];
        cr_assert(fabs(got - right) <= 1e-7 * (1 + fabs(right)), "%s: element %zu is %.9g, not %.9g", name, i, got,
                  right);
    }
    free(x.data);
    free(z.data);
    bare_model_free(bare);
}

Test(latent_space, converts_as_the_pipelines_do) {
    json_error_t error;
    json_t *file = json_load_file(support_path("%s/tests/data/latents/expected.json", support_source()), 0, &error);
    cr_assert(file, "%s", error.text);
    size_t index;
    const json_t *row;
    json_array_foreach(json_object_get(file, "cases"), index, row) {
        expect_case(row);
    }
    cr_expect_geq(index, 15);
    json_decref(file);
}

/* ---- What the files say for others ---- */

static struct vaemark_tensor convert(struct bare_model *bare, struct shape shape, struct latent_size size) {
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_tensor x = make_latents(shape), z = {0};
    cr_assert_eq(latent_space_convert(&bare->model, &x, &size, &z, &error), VAEMARK_OK, "%s", error.message);
    free(x.data);
    return z;
}

Test(latent_space, taef2_takes_latents_of_flux2_packed_and_unpacked) {
    struct bare_model *bare =
        model_of("AutoencoderTiny", "{\"latent_channels\":2,\"_vaemark_pool\":true,\"scaling_factor\":1.0}");
    struct vaemark_tensor plain = convert(bare, (struct shape){4, {1, 2, 2, 4}}, NOT_SAID);
    struct vaemark_tensor patched = convert(bare, (struct shape){4, {1, 8, 1, 2}}, NOT_SAID);
    struct vaemark_tensor tokens = convert(bare, (struct shape){3, {1, 2, 8}}, (struct latent_size){2, 4});
    static const int FROM_PATCHED[16] = {0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15};
    static const int FROM_TOKENS[16] = {0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15};
    for (int i = 0; i < 16; i++) {
        const float *x = plain.data;
        cr_expect_eq(x[i], (float)(37 * i % 101 - 50) / 32);
        cr_expect_eq(((const float *)patched.data)[i], x[FROM_PATCHED[i]], "patched %d", i);
        cr_expect_eq(((const float *)tokens.data)[i], x[FROM_TOKENS[i]], "tokens %d", i);
    }
    cr_expect_eq(plain.rank, 4);
    cr_expect_eq(patched.shape[2], 2);
    cr_expect_eq(tokens.shape[3], 4);
    free(plain.data);
    free(patched.data);
    free(tokens.data);
    bare_model_free(bare);
}

Test(latent_space, absent_keys_are_the_class_defaults) {
    struct bare_model *kl = model_of("AutoencoderKL", "{}"), *qwen = model_of("AutoencoderKLQwenImage", "{}");
    struct vaemark_tensor z = convert(kl, (struct shape){4, {1, 4, 1, 1}}, NOT_SAID);
    cr_expect_float_eq(((const float *)z.data)[0], -50 / 32.0 / 0.18215, 1e-5);
    free(z.data);
    z = convert(qwen, (struct shape){5, {1, 16, 1, 1, 1}}, NOT_SAID);
    cr_expect_float_eq(((const float *)z.data)[0], -50 / 32.0 * 2.8184 - 0.7571, 1e-5);
    cr_expect_float_eq(((const float *)z.data)[15], (37 * 15 % 101 - 50) / 32.0 * 1.9160 - 0.2921, 1e-5);
    free(z.data);
    bare_model_free(kl);
    bare_model_free(qwen);
}

/* Doubles are not cut to floats before they are computed with. */
Test(latent_space, computes_in_double) {
    struct bare_model *bare = model_of("AutoencoderKL", "{\"scaling_factor\":1.0,\"shift_factor\":-1.0}");
    double values[4] = {1.0 + 0x1p-40, 1.0, 2.0, 3.0};
    struct shape shape = {4, {1, 4, 1, 1}};
    struct vaemark_tensor x = tensor_make("latents", VAEMARK_F64, &shape, values), z = {0};
    cr_assert_eq(latent_space_convert(&bare->model, &x, &NOT_SAID, &z, NULL), VAEMARK_OK);
    cr_expect_eq(((const float *)z.data)[0], 0x1p-40f);
    free(z.data);
    bare_model_free(bare);
}

Test(latent_space, every_type_has_a_convention) {
    for (size_t i = 0; i < model_type_count; i++) {
        cr_expect(latent_space_is_known(model_types[i].name), "%s", model_types[i].name);
    }
    cr_expect_not(latent_space_converts("VQModel"));
    cr_expect(latent_space_converts("AutoencoderKL"));
}

Test(latent_space, is_described_with_the_configuration_s_numbers) {
    static const struct {
        const char *vae_type, *config, *text;
    } ROWS[] = {
        {"AutoencoderKL", "{\"scaling_factor\":0.13025}", "x / 0.13025"},
        {"AutoencoderKL", "{\"latent_channels\":16,\"scaling_factor\":0.3611,\"shift_factor\":0.1159}",
         "x / 0.3611 + 0.1159, tokens unpacked"},
        {"AutoencoderKL", "{\"scaling_factor\":0.5,\"latents_mean\":[0,0,0,0],\"latents_std\":[1,1,1,1]}",
         "x * latents_std / 0.5 + latents_mean"},
        {"AutoencoderTiny", "{}", "x"},
        {"AutoencoderTiny", "{\"latent_channels\":32,\"_vaemark_pool\":true}", "x, tokens and patches unpacked"},
        {"VQModel", "{\"scaling_factor\":0.18215}", "x"},
        {"AutoencoderKLFlux2", "{}",
         "x * sqrt(bn.running_var + 0.0001) + bn.running_mean, tokens and patches unpacked"},
        {"AutoencoderKLHunyuanImage", "{}", "not known: \"scaling_factor\" is absent"},
        {"AutoencoderKLQwenImage", "{}", "x * latents_std + latents_mean, tokens unpacked"},
        {"AutoencoderKLWan", "{}", "x * latents_std + latents_mean"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        char text[LATENT_SPACE_TEXT_BYTES];
        struct bare_model *bare = model_of(ROWS[i].vae_type, ROWS[i].config);
        cr_expect_str_eq(latent_space_describe(&bare->model, text), ROWS[i].text);
        bare_model_free(bare);
    }
}

/* ---- What is refused ---- */

#define KL16 "{\"latent_channels\":16,\"scaling_factor\":0.3611,\"shift_factor\":0.1159}"

static const struct refusal {
    const char *vae_type, *config;
    struct shape shape;
    struct latent_size size;
    const char *words; /* all of them, separated by | */
} REFUSALS[] = {
    {"AutoencoderKL", "{}", {3, {4, 8, 8}}, {0, 0}, "'latents'|AutoencoderKL|(N,4,H,W)|found 4x8x8"},
    {"AutoencoderKL", "{}", {4, {1, 16, 8, 8}}, {0, 0}, "(N,4,H,W)|found 1x16x8x8"},
    {"AutoencoderKL", "{}", {3, {1, 4, 16}}, {0, 0}, "(N,4,H,W)|found 1x4x16"},
    {"AutoencoderKL", KL16, {3, {1, 4, 32}}, {0, 0}, "(N,16,H,W) or tokens (N,tokens,64)|found 1x4x32"},
    {"AutoencoderKL", KL16, {4, {1, 64, 4, 4}}, {0, 0}, "(N,16,H,W) or tokens (N,tokens,64)|found 1x64x4x4"},
    {"AutoencoderKL", KL16, {3, {1, 6, 64}}, {0, 0}, "6 tokens|no square|H/2 * W/2 = 6"},
    {"AutoencoderKL", KL16, {3, {1, 6, 64}}, {4, 4}, "6 tokens|4x4"},
    {"AutoencoderKL", KL16, {3, {1, 6, 64}}, {3, 8}, "6 tokens|3x8|must be even"},
    {"AutoencoderKL", KL16, {3, {1, 6, 64}}, {INT64_MAX - 1, INT64_MAX - 1}, "6 tokens"},
    {"AutoencoderKL",
     "{\"latent_channels\":16,\"scaling_factor\":0.3611}",
     {3, {1, 4, 64}},
     {0, 0},
     "\"shift_factor\" is absent or null|0.1159"},
    {"AutoencoderKL", "{\"scaling_factor\":null}", {4, {1, 4, 1, 1}}, {0, 0}, "\"scaling_factor\" is null|TypeError"},
    {"AutoencoderKL", "{\"scaling_factor\":0}", {4, {1, 4, 1, 1}}, {0, 0}, "\"scaling_factor\" is 0|other than 0"},
    {"AutoencoderKL", "{\"scaling_factor\":\"1\"}", {4, {1, 4, 1, 1}}, {0, 0}, "\"scaling_factor\" is \"1\""},
    {"AutoencoderKL", "{\"shift_factor\":[]}", {4, {1, 4, 1, 1}}, {0, 0}, "\"shift_factor\" is []"},
    {"AutoencoderKL",
     "{\"latents_mean\":[0,0],\"latents_std\":[1,1,1,1]}",
     {4, {1, 4, 1, 1}},
     {0, 0},
     "\"latents_mean\" has 2 entries|4 finite numbers"},
    {"AutoencoderKL",
     "{\"latents_mean\":[0,0,0,0],\"latents_std\":[1,1,null,1]}",
     {4, {1, 4, 1, 1}},
     {0, 0},
     "\"latents_std[2]\" is null"},
    {"AutoencoderKL",
     "{\"shift_factor\":0.1,\"latents_mean\":[0,0,0,0],\"latents_std\":[1,1,1,1]}",
     {4, {1, 4, 1, 1}},
     {0, 0},
     "\"shift_factor\" is 0.1|together with"},
    {"AutoencoderKL", "{\"latent_channels\":0}", {4, {1, 4, 1, 1}}, {0, 0}, "\"latent_channels\" is 0"},
    {"AutoencoderTiny", "{}", {4, {1, 16, 2, 2}}, {0, 0}, "(N,4,H,W)|found 1x16x2x2"},
    {"AutoencoderTiny", "{\"latent_channels\":32}", {4, {1, 128, 2, 2}}, {0, 0}, "(N,32,H,W)|found 1x128x2x2"},
    {"AutoencoderKLFlux2",
     "{}",
     {4, {1, 32, 8, 8}},
     {0, 0},
     "(N,128,H/2,W/2) or tokens (N,tokens,128)|found 1x32x8x8|VAE space already"},
    {"AutoencoderKLFlux2", "{\"patch_size\":[1,2]}", {4, {1, 128, 4, 4}}, {0, 0}, "\"patch_size\" is [1,2]|[2, 2]"},
    {"AutoencoderKLFlux2", "{\"batch_norm_eps\":null}", {4, {1, 128, 4, 4}}, {0, 0}, "\"batch_norm_eps\" is null"},
    {"AutoencoderKLFlux2", "{}", {4, {1, 128, 4, 4}}, {0, 0}, "'bn.running_var'|without weights"},
    {"AutoencoderKLHunyuanImage",
     "{\"scaling_factor\":null}",
     {4, {1, 64, 2, 2}},
     {0, 0},
     "\"scaling_factor\" is null|TypeError|published number"},
    {"AutoencoderKLQwenImage", "{}", {4, {1, 16, 2, 2}}, {0, 0}, "(N,16,1,H,W) or tokens (N,tokens,64)"},
    {"AutoencoderKLWan", "{\"z_dim\":48}", {5, {1, 48, 1, 1, 1}}, {0, 0}, "\"latents_mean\" is absent|48 finite"},
    {"AutoencoderKLWan", "{\"latents_std\":null}", {5, {1, 16, 1, 1, 1}}, {0, 0}, "\"latents_std\" is null"},
    {"AutoencoderOther", "{}", {4, {1, 4, 1, 1}}, {0, 0}, "AutoencoderOther has no convention"},
};

static void expect_words(const char *message, const char *words) {
    char copy[256];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *rest = copy, *word; (word = strsep(&rest, "|"));) {
        cr_expect(strstr(message, word), "'%s' lacks '%s'", message, word);
    }
}

Test(latent_space, refusals_say_what_was_found_and_what_is_wanted) {
    for (size_t i = 0; i < sizeof REFUSALS / sizeof REFUSALS[0]; i++) {
        const struct refusal *row = &REFUSALS[i];
        struct error error = {.status = VAEMARK_OK};
        struct bare_model *bare = model_of(row->vae_type, row->config);
        struct vaemark_tensor x = make_latents(row->shape), z = {0};
        cr_expect_neq(latent_space_convert(&bare->model, &x, &row->size, &z, &error), VAEMARK_OK, "%s", row->words);
        cr_expect_null(z.data);
        char text[1600];
        expect_words(error_text(&error, text, sizeof text), row->words);
        cr_expect(error.message[0] != '"' || strcmp(error.where, "config.json") == 0, "%s", text);
        free(x.data);
        bare_model_free(bare);
    }
}

Test(latent_space, integers_are_no_latents) {
    struct bare_model *bare = model_of("AutoencoderKL", "{}");
    struct error error = {.status = VAEMARK_OK};
    int32_t codes[4] = {0};
    struct shape shape = {4, {1, 4, 1, 1}};
    struct vaemark_tensor x = tensor_make("latents", VAEMARK_I32, &shape, codes), z = {0};
    cr_expect_eq(latent_space_convert(&bare->model, &x, &NOT_SAID, &z, &error), VAEMARK_BAD_INPUT);
    expect_words(error.message, "'latents' is I32|floating point");
    bare_model_free(bare);
}

static void expect_bad_checkpoint(struct vaemark_tensor *tensors, size_t count, const char *words) {
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_tensors list = {.items = tensors, .count = count};
    const char *path = support_path("%s/bn.safetensors", support_folder());
    cr_assert_eq(weights_write(path, &list, &error), VAEMARK_OK, "%s", error.message);
    struct bare_model *bare = bare_model("AutoencoderKLFlux2", json_loads("{\"latent_channels\":1}", 0, NULL), path);
    struct vaemark_tensor x = make_latents((struct shape){4, {1, 4, 1, 1}}), z = {0};
    cr_expect_eq(latent_space_convert(&bare->model, &x, &NOT_SAID, &z, &error), VAEMARK_BAD_INPUT);
    cr_expect_str_eq(error.where, path);
    expect_words(error.message, words);
    free(x.data);
    bare_model_free(bare);
}

Test(latent_space, flux2_s_statistics_must_be_in_the_checkpoint) {
    float good[4] = {1, 1, 1, 1}, bad[4] = {1, -2, 1, 1}, nan_mean[4] = {0, 0, NAN, 0};
    struct shape four = {1, {4}}, three = {1, {3}};
    struct vaemark_tensor mean = tensor_make("bn.running_mean", VAEMARK_F32, &four, good);
    expect_bad_checkpoint(&mean, 1, "no tensor 'bn.running_var'|as it was published");
    struct vaemark_tensor few[2] = {mean, tensor_make("bn.running_var", VAEMARK_F32, &three, good)};
    expect_bad_checkpoint(few, 2, "'bn.running_var'|4 floating-point numbers|F32 of shape 3");
    few[1] = tensor_make("bn.running_var", VAEMARK_F32, &four, bad);
    expect_bad_checkpoint(few, 2, "at 1 are 1 and -2|at least 0");
    few[1] = tensor_make("bn.running_var", VAEMARK_F32, &four, good);
    few[0] = tensor_make("bn.running_mean", VAEMARK_F32, &four, nan_mean);
    expect_bad_checkpoint(few, 2, "at 2 are nan");
}
