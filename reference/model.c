/* Models: configuration, weights and graph put together. */
#include "reference/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "reference/models/models.h"

/* A real config.json is one or two KiB. */
enum { MAX_CONFIG_BYTES = 1 << 20, MAX_KNOWN_TYPES = 32 };

const struct model_type model_types[] = {
    {.name = "AutoencoderKL", .build = autoencoder_kl_build, .naming = &autoencoder_kl_naming},
    {.name = "AutoencoderTiny", .build = autoencoder_tiny_build, .naming = &autoencoder_tiny_naming},
    {.name = "ConsistencyDecoderVAE",
     .build = consistency_decoder_vae_build,
     .naming = &consistency_decoder_vae_naming},
    {.name = "AsymmetricAutoencoderKL",
     .build = asymmetric_autoencoder_kl_build,
     .naming = &asymmetric_autoencoder_kl_naming},
    {.name = "VQModel", .build = vq_model_build, .naming = &vq_model_naming},
    {.name = "AutoencoderKLFlux2", .build = autoencoder_kl_flux2_build, .naming = &autoencoder_kl_naming},
    {.name = "AutoencoderKLHunyuanImage",
     .build = autoencoder_kl_hunyuanimage_build,
     .naming = &autoencoder_kl_hunyuanimage_naming},
    {.name = "AutoencoderKLQwenImage",
     .build = autoencoder_kl_qwen_image_build,
     .naming = &autoencoder_kl_qwen_image_naming},
    {.name = "AutoencoderKLWan", .build = autoencoder_kl_wan_build, .naming = &autoencoder_kl_wan_naming},
    {.name = "AutoencoderDC", .build = autoencoder_dc_build, .naming = &autoencoder_dc_naming},
};
const size_t model_type_count = sizeof model_types / sizeof model_types[0];

/* Not among the VAE types, nor listed with them. */
static const struct model_type operation_type = {
    .name = MODEL_TYPE_OPERATION, .build = operation_build, .naming = &operation_naming};

const struct model_type *model_type_find(const char *name) {
    if (strcmp(name, operation_type.name) == 0) {
        return &operation_type;
    }
    for (size_t i = 0; i < model_type_count; i++) {
        if (strcmp(model_types[i].name, name) == 0) {
            return &model_types[i];
        }
    }
    return NULL;
}

/* "A, B, C" of the known types. */
static void list_known_types(char *text, size_t size_bytes) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < model_type_count && used < size_bytes; i++) {
        int length = snprintf(text + used, size_bytes - used, "%s%s", i == 0 ? "" : ", ", model_types[i].name);
        used += length > 0 ? (size_t)length : 0;
    }
}

/* What a class is, told from its name, that is no VAE type known here; "" where nobody knows. */
static const char *kind_of_class(const char *name) {
    static const struct {
        const char *part, *kind;
    } KINDS[] = {
        {"UNet", "a diffusion UNet, not a VAE: give the pipeline's folder or its vae/"},
        {"Transformer", "a diffusion transformer, not a VAE: give the pipeline's folder or its vae/"},
        {"ControlNet", "a ControlNet, not a VAE"},
        {"Scheduler", "a noise scheduler, not a VAE: give the pipeline's folder or its vae/"},
        {"Pipeline", "a whole pipeline: give its folder or its vae/"},
        {"AutoencoderKLHunyuanVideo", "a VAE of films, which are not decoded here"},
    };
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (strstr(name, KINDS[i].part) != NULL) {
            return KINDS[i].kind;
        }
    }
    return "";
}

static enum vaemark_status choose_type(struct model *model, struct error *error) {
    const char *names[MAX_KNOWN_TYPES] = {NULL};
    char known[512];
    const json_t *class_name = json_object_get(model->config, "_class_name");
    list_known_types(known, sizeof known);
    if (!json_is_object(model->config)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, model->config_path, "is not a JSON object");
    }
    const char *other = json_string_value(json_object_get(model->config, "model_type"));
    if (class_name == NULL && other != NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, model->config_path,
                            "is of a transformers model (\"model_type\" is \"%.60s\"), not of a VAE; give the "
                            "pipeline's folder or its vae/",
                            other);
    }
    if (!json_is_string(class_name)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, model->config_path,
                            "has %s \"_class_name\", the text that says which VAE type this is; known are %s",
                            class_name == NULL ? "no" : "an unusable", known);
    }
    model->type = model_type_find(json_string_value(class_name));
    if (model->type != NULL) {
        return VAEMARK_OK;
    }
    for (size_t i = 0; i < model_type_count && i + 1 < MAX_KNOWN_TYPES; i++) {
        names[i] = model_types[i].name;
    }
    const char *kind = kind_of_class(json_string_value(class_name));
    const char *nearest = kind[0] == '\0' ? text_nearest(json_string_value(class_name), names) : NULL;
    char *shown = json_dumps(class_name, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    error_set_at(error, VAEMARK_UNSUPPORTED_MODEL, model->config_path,
                 "\"_class_name\" is %.100s, which is %s%s%s%s; known are %s", shown == NULL ? "?" : shown,
                 kind[0] == '\0' ? "no VAE type known here" : kind, nearest == NULL ? "" : " (did you mean ",
                 nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?)", known);
    free(shown);
    return VAEMARK_UNSUPPORTED_MODEL;
}

static enum vaemark_status load_config(struct model *model, struct error *error) {
    size_t size_bytes = 0;
    json_error_t json_error;
    enum vaemark_status status =
        file_read(model->config_path, MAX_CONFIG_BYTES, &model->config_json, &size_bytes, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    model->config = json_loadb(model->config_json, size_bytes, JSON_REJECT_DUPLICATES, &json_error);
    if (model->config == NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, model->config_path, "line %d, column %d: not valid JSON: %s",
                            json_error.line, json_error.column, json_error.text);
    }
    return choose_type(model, error);
}

/* Builders know keys and modules, not files: the file is put before what they say. */
static enum vaemark_status build_graph(struct model *model, struct error *error) {
    struct error inner = {.status = VAEMARK_OK};
    enum vaemark_status status = model->type->build(model->config, model->weights, &model->graph, &inner);
    if (status != VAEMARK_OK) {
        error_set_at(error, status, model->config_path, "%s%s%s", inner.where, inner.where[0] == '\0' ? "" : " ",
                     inner.message);
    }
    return status;
}

static enum vaemark_status start(const char *config_path, const char *name, struct model **model, struct error *error) {
    *model = calloc(1, sizeof **model);
    if (*model == NULL || ((*model)->config_path = strdup(config_path)) == NULL) {
        model_free(*model);
        *model = NULL;
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, config_path, "no memory to open it");
    }
    snprintf((*model)->name, sizeof(*model)->name, "%s", name);
    return load_config(*model, error);
}

/* Frees what was opened on failure, so that a caller gets a model or nothing. */
static enum vaemark_status finish(struct model **model, enum vaemark_status status) {
    if (status != VAEMARK_OK) {
        model_free(*model);
        *model = NULL;
    }
    return status;
}

enum vaemark_status model_open_config(const char *config_path, const char *name, struct model **model,
                                      struct error *error) {
    enum vaemark_status status = start(config_path, name, model, error);
    if (status == VAEMARK_OK) {
        status = build_graph(*model, error);
    }
    return finish(model, status);
}

/* Weights of another type are told as such, not by the first tensor that they lack. */
static enum vaemark_status check_type(const struct model *model, struct error *error) {
    if (weights_find(model->weights, model->type->naming->landmark) != NULL) {
        return VAEMARK_OK;
    }
    const char *encoder = model->type->naming->encoder_mark;
    if (encoder != NULL && weights_has_stored(model->weights, encoder)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights_path(model->weights),
                            "holds an encoder (it has '%s'); give the file of the decoder", encoder);
    }
    for (size_t i = 0; i < model_type_count; i++) {
        const char *found = model_types[i].naming == model->type->naming
                                ? NULL
                                : weights_find_landmark(model->weights, model_types[i].naming, model->type->naming);
        if (found != NULL) {
            return error_set_at(error, VAEMARK_BAD_INPUT, weights_path(model->weights),
                                "holds the weights of %s (it has '%.200s'), but %s says %s; the two don't belong "
                                "together",
                                model_types[i].name, found, model->config_path, model->type->name);
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status bind(struct model *model, struct error *error) {
    const struct naming *naming = model->type->naming;
    enum vaemark_status status = check_type(model, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    /* Before shapes are: with fewer blocks others get their numbers. */
    status = weights_check_leftovers(model->weights, model->graph, naming, model->config, error);
    return status == VAEMARK_OK ? graph_bind_weights(model->graph, model->weights, naming, model->config, error)
                                : status;
}

enum vaemark_status model_open(const char *config_path, const char *weights_path, const char *name,
                               struct model **model, struct error *error) {
    enum vaemark_status status = start(config_path, name, model, error);
    if (status == VAEMARK_OK) {
        status = weights_open(weights_path, &(*model)->weights, error);
    }
    if (status == VAEMARK_OK) {
        status = weights_adopt_names((*model)->weights, (*model)->type->naming, error);
    }
    if (status == VAEMARK_OK) {
        status = build_graph(*model, error);
    }
    if (status == VAEMARK_OK) {
        status = bind(*model, error);
    }
    return finish(model, status);
}

void model_free(struct model *model) {
    if (model == NULL) {
        return;
    }
    graph_free(model->graph);
    weights_free(model->weights);
    json_decref(model->config);
    free(model->config_json);
    free(model->config_path);
    free(model);
}

struct vaemark_model model_abi(const struct model *model) {
    return (struct vaemark_model){
        .struct_size = sizeof(struct vaemark_model),
        .name = model->name,
        .vae_type = model->type->name,
        .config_json = model->config_json,
        .weights_path = model->weights == NULL ? "" : weights_path(model->weights),
        .graph = model->graph,
        .graph_api = &graph_api,
    };
}
