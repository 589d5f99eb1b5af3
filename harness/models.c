#include "harness/models.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/text.h"

static enum vaemark_status set_no_memory(struct error *error) {
    return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the list of models");
}

enum vaemark_status models_add_override(struct models *models, const char *text, struct error *error) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1] || (size_t)(equals - text) >= sizeof models->overrides->model) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--weights wants MODEL=FOLDER or MODEL=FILE, not '%s'", text);
    }
    struct weights_override *grown =
        realloc(models->overrides, (models->override_count + 1) * sizeof *models->overrides);
    if (!grown) {
        return set_no_memory(error);
    }
    models->overrides = grown;
    struct weights_override *added = &grown[models->override_count];
    *added = (struct weights_override){.path = strdup(equals + 1)};
    if (!added->path) {
        return set_no_memory(error);
    }
    snprintf(added->model, sizeof added->model, "%.*s", (int)(equals - text), text);
    models->override_count++;
    return VAEMARK_OK;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void models_free_names(char **names) {
    for (size_t i = 0; names && names[i]; i++) {
        free(names[i]);
    }
    free(names);
}

char **models_preset_names(struct error *error) {
    enum { MAX_PRESETS = 1000 };
    char *data = NULL;
    if (data_folder(&data, error) != VAEMARK_OK) {
        return NULL;
    }
    char *folder = path_join(data, "models");
    char **names = calloc(MAX_PRESETS + 1, sizeof *names);
    DIR *listing = folder ? opendir(folder) : NULL;
    size_t count = 0;
    for (struct dirent *entry; names && listing && (entry = readdir(listing)) && count < MAX_PRESETS;) {
        char *config = text_format("%s/%s/config.json", folder, entry->d_name);
        if (config && entry->d_name[0] != '.' && access(config, R_OK) == 0) {
            names[count] = strdup(entry->d_name);
            count += names[count] != NULL;
        }
        free(config);
    }
    if (!listing) {
        error_set_at(error, VAEMARK_IO_ERROR, folder ? folder : data,
                     "cannot be listed; the project's data is incomplete");
        free(names);
        names = NULL;
    } else {
        closedir(listing);
    }
    if (names) {
        qsort(names, count, sizeof *names, compare_names);
    }
    free(folder);
    free(data);
    return names;
}

static void run_model_free(struct run_model *model) {
    if (model) {
        model_free(model->model);
        free(model->folder);
        free(model->config_path);
        free(model->weights_path);
        free(model);
    }
}

void models_free(struct models *models) {
    for (size_t i = 0; i < models->count; i++) {
        run_model_free(models->items[i]);
    }
    for (size_t i = 0; i < models->override_count; i++) {
        free(models->overrides[i].path);
    }
    free(models->items);
    free(models->overrides);
    *models = (struct models){0};
}

static int64_t count_attentions(const struct vaemark_graph *graph) {
    int64_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        count += graph->nodes[i].op == OP_ATTENTION;
    }
    return count;
}

static bool is_folder(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_preset(const char *name) {
    char **names = models_preset_names(NULL);
    bool found = false;
    for (size_t i = 0; names && names[i]; i++) {
        found = found || strcmp(names[i], name) == 0;
    }
    models_free_names(names);
    return found;
}

/* "models", or "operations" for the single operations that suite `kernels` is made of. */
static const char *folder_of_preset(const char *data, const char *name) {
    char *config = text_format("%s/operations/%s/config.json", data, name);
    const bool operation = config && access(config, R_OK) == 0;
    free(config);
    return operation ? "operations" : "models";
}

/* Fills in the paths of a preset; weights_path stays NULL where none lie beside the configuration. */
static enum vaemark_status find_preset(struct run_model *model, struct error *error) {
    char *data = NULL;
    enum vaemark_status status = data_folder(&data, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    const char *kind = folder_of_preset(data, model->name);
    model->folder = text_format("%s/%s/%s", data, kind, model->name);
    model->config_path = text_format("%s/%s/%s/config.json", data, kind, model->name);
    model->weights_path = text_format("%s/%s/%s/diffusion_pytorch_model.safetensors", data, kind, model->name);
    free(data);
    if (!model->folder || !model->config_path || !model->weights_path) {
        return set_no_memory(error);
    }
    if (access(model->weights_path, F_OK) != 0) {
        free(model->weights_path);
        model->weights_path = NULL;
    }
    if (strchr(model->name, '/') || access(model->config_path, R_OK) != 0) {
        char **names = models_preset_names(NULL);
        const char *nearest = names ? text_nearest(model->name, (const char *const *)names) : NULL;
        error_set(error, VAEMARK_INVALID_ARGUMENT, "there is no model '%s'%s%s%s ('vaemark list models' names them)",
                  model->name, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
        models_free_names(names);
        return VAEMARK_INVALID_ARGUMENT;
    }
    return VAEMARK_OK;
}

/* Configuration and weights of a folder; where it has no configuration, that of the preset of the model's name. */
static enum vaemark_status apply_folder(struct run_model *model, const char *path, struct error *error) {
    struct error inner = {0};
    free(model->config_path);
    free(model->weights_path);
    free(model->folder);
    model->config_path = model->weights_path = NULL;
    model->folder = strdup(path);
    if (!model->folder) {
        return set_no_memory(error);
    }
    enum vaemark_status status =
        model_find_files(path, &model->config_path, &model->weights_path, model->found, &inner);
    char *config = path_join(path, "config.json");
    bool bare = status == VAEMARK_BAD_INPUT && config && access(config, F_OK) != 0;
    free(config);
    if (bare && is_preset(model->name)) {
        free(model->folder);
        status = find_preset(model, error);
        free(model->weights_path);
        model->weights_path = NULL;
        return status == VAEMARK_OK ? checkpoint_find_weights(path, &model->weights_path, model->found, error) : status;
    }
    if (status != VAEMARK_OK && error) {
        *error = inner;
    }
    return status;
}

/* --weights for this model: a folder brings its own configuration, a file only the tensors. */
static enum vaemark_status apply_override(struct run_model *model, const char *path, struct error *error) {
    if (is_folder(path)) {
        return apply_folder(model, path, error);
    }
    free(model->weights_path);
    model->weights_path = strdup(path);
    return model->weights_path ? VAEMARK_OK : set_no_memory(error);
}

static enum vaemark_status add_model(struct models *models, struct run_model *model, struct error *error) {
    if (models->count == models->capacity) {
        size_t capacity = models->capacity ? 2 * models->capacity : 16;
        struct run_model **grown = realloc(models->items, capacity * sizeof *grown);
        if (!grown) {
            return set_no_memory(error);
        }
        models->items = grown;
        models->capacity = capacity;
    }
    models->items[models->count++] = model;
    return VAEMARK_OK;
}

/* Opens what the paths say and files the model under its name; frees it on failure. */
static enum vaemark_status finish(struct models *models, struct run_model *model, enum vaemark_status status,
                                  struct run_model **found, struct error *error) {
    if (status == VAEMARK_OK) {
        status = model->weights_path
                     ? model_open(model->config_path, model->weights_path, model->name, &model->model, error)
                     : model_open_config(model->config_path, model->name, &model->model, error);
    }
    if (status == VAEMARK_OK) {
        status = hash_file(model->config_path, model->config_sha256, error);
    }
    if (status == VAEMARK_OK) {
        status = add_model(models, model, error);
    }
    if (status != VAEMARK_OK) {
        run_model_free(model);
        return status;
    }
    model->attention_count = count_attentions(model->model->graph);
    *found = model;
    return VAEMARK_OK;
}

enum vaemark_status models_find(struct models *models, const char *name, struct run_model **model,
                                struct error *error) {
    for (size_t i = 0; i < models->count; i++) {
        if (strcmp(models->items[i]->name, name) == 0) {
            *model = models->items[i];
            return VAEMARK_OK;
        }
    }
    struct run_model *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return set_no_memory(error);
    }
    snprintf(opened->name, sizeof opened->name, "%s", name);
    const char *override = NULL;
    for (size_t i = 0; i < models->override_count; i++) {
        override = strcmp(models->overrides[i].model, name) == 0 ? models->overrides[i].path : override;
    }
    enum vaemark_status status = VAEMARK_OK;
    if (!override || !is_folder(override)) {
        status = find_preset(opened, error);
    }
    if (status == VAEMARK_OK && override) {
        status = apply_override(opened, override, error);
    }
    return finish(models, opened, status, model, error);
}

/* A model that no preset describes: named after its path; a file's configuration lies beside it. */
static enum vaemark_status name_after_path(struct run_model *model, const char *path, struct error *error) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    size_t start = length;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    snprintf(model->name, sizeof model->name, "%.*s", (int)(length - start), path + start);
    if (is_folder(path)) {
        return VAEMARK_OK;
    }
    if (access(path, F_OK) != 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, path,
                            "there is no such folder or file; --weights wants a folder with config.json and a "
                            ".safetensors file, or a file");
    }
    model->folder = start == 0 ? strdup(".") : text_format("%.*s", (int)start, path);
    model->config_path = model->folder ? path_join(model->folder, "config.json") : NULL;
    if (!model->config_path) {
        return set_no_memory(error);
    }
    if (access(model->config_path, F_OK) != 0) {
        return error_set_at(error, VAEMARK_INVALID_ARGUMENT, path,
                            "is a file without a config.json beside it; say which configuration it goes with: "
                            "--model NAME --weights FILE ('vaemark list models' names them)");
    }
    snprintf(model->found, sizeof model->found, "the config.json beside the file is taken");
    return VAEMARK_OK;
}

enum vaemark_status models_open_path(struct models *models, const char *preset, const char *weights,
                                     struct run_model **model, struct error *error) {
    if (preset && !weights) {
        return models_find(models, preset, model, error);
    }
    struct run_model *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return set_no_memory(error);
    }
    enum vaemark_status status = VAEMARK_OK;
    if (preset) {
        snprintf(opened->name, sizeof opened->name, "%s", preset);
        status = is_folder(weights) ? VAEMARK_OK : find_preset(opened, error);
    } else {
        status = name_after_path(opened, weights, error);
    }
    if (status == VAEMARK_OK) {
        status = apply_override(opened, weights, error);
    }
    return finish(models, opened, status, model, error);
}

static enum vaemark_status make_synthetic(const struct models *models, struct run_model *model,
                                          void (*note)(const char *text), struct error *error) {
    char *cache = NULL;
    enum vaemark_status status = cache_folder(&cache, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    char size_text[32];
    char *folder = path_join(cache, "weights");
    char *file = weights_synthetic_name(model->model->graph, model->name, models->seed);
    status = folder && file ? folder_make(folder, error) : set_no_memory(error);
    if (status == VAEMARK_OK) {
        model->weights_path = path_join(folder, file);
        status = model->weights_path ? VAEMARK_OK : set_no_memory(error);
    }
    if (status == VAEMARK_OK && access(model->weights_path, R_OK) != 0) {
        double size_bytes = 4.0 * (double)graph_parameter_elements(model->model->graph);
        char *text = text_format("making synthetic weights of %s (%s, once)", model->name,
                                 text_format_bytes(size_bytes, size_text, sizeof size_text));
        if (note && text) {
            note(text);
        }
        free(text);
    }
    if (status == VAEMARK_OK) { /* what is there and whole is left alone, what is damaged made anew */
        status = weights_synthesize(model->model->graph, models->seed, model->weights_path, error);
    }
    if (status == VAEMARK_IO_ERROR && error) {
        struct error cause = *error;
        error_set_at(error, status, cause.where,
                     "%s; synthetic weights are kept in the cache folder, which VAEMARK_CACHE can put elsewhere",
                     cause.message);
    }
    free(file);
    free(folder);
    free(cache);
    return status;
}

/* Of one file its digest; of several the digest of "digest  name" lines, the index first, then its shards by name. */
static enum vaemark_status hash_weights(struct run_model *model, struct error *error) {
    const struct weights *weights = model->model->weights;
    size_t count = weights_file_count(weights);
    if (count == 1) {
        return hash_file(model->weights_path, model->weights_sha256, error);
    }
    struct hash *hash = hash_begin();
    enum vaemark_status status = hash ? VAEMARK_OK : set_no_memory(error);
    char hex[65];
    for (size_t i = 0; status == VAEMARK_OK && i < count; i++) {
        const char *path = weights_file_path(weights, i);
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        status = hash_file(path, hex, error);
        if (status == VAEMARK_OK) {
            hash_update(hash, hex, 64);
            hash_update(hash, "  ", 2);
            hash_update(hash, name, strlen(name));
            hash_update(hash, "\n", 1);
        }
    }
    if (hash) {
        hash_finish(hash, hex);
    }
    if (status == VAEMARK_OK) {
        snprintf(model->weights_sha256, sizeof model->weights_sha256, "%s", hex);
    }
    return status;
}

enum vaemark_status models_need_weights(struct models *models, struct run_model *model, void (*note)(const char *text),
                                        struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    if (model->weights_sha256[0]) {
        return status;
    }
    char *found = model->found[0] ? text_format("%s: %s", model->name, model->found) : NULL;
    if (note && found) {
        note(found);
    }
    free(found);
    if (!model->weights_path) {
        model->synthetic = true;
        snprintf(model->origin, sizeof model->origin, "synthetic, seed %llu", (unsigned long long)models->seed);
        status = make_synthetic(models, model, note, error);
        struct model *bound = NULL;
        if (status == VAEMARK_OK) {
            status = model_open(model->config_path, model->weights_path, model->name, &bound, error);
        }
        if (status != VAEMARK_OK) {
            return status;
        }
        model_free(model->model);
        model->model = bound;
    } else {
        const char *slash = strrchr(model->weights_path, '/');
        snprintf(model->origin, sizeof model->origin, "%.250s (%s)", slash ? slash + 1 : model->weights_path,
                 weights_layout(model->model->weights));
    }
    return hash_weights(model, error);
}
