/* The models of a run: presets, what --weights says instead, and synthetic weights where there are none. */
#ifndef HARNESS_MODELS_H
#define HARNESS_MODELS_H

#include "reference/model.h"

struct run_model {
    char name[128];
    char *folder; /* where latents' files are looked for */
    char *config_path, *weights_path;
    char found[CHECKPOINT_NOTE_BYTES]; /* what was passed over where the weights were looked for, for people */
    bool synthetic;
    char origin[500]; /* "synthetic, seed 0", or the weights' file name and layout */
    char config_sha256[65], weights_sha256[65];
    struct model *model; /* graph, and bound weights once models_need_weights() was called */
    int64_t attention_count;
};

/* --weights MODEL=DIR|FILE */
struct weights_override {
    char model[128];
    char *path;
};

struct models {
    struct run_model **items; /* stable addresses: cases point at them */
    size_t count, capacity;
    struct weights_override *overrides;
    size_t override_count;
    uint64_t seed; /* of synthetic weights */
};

/* Remembers "MODEL=DIR|FILE". */
enum vaemark_status models_add_override(struct models *models, const char *text, struct error *error);
/* The model of that name, opened without weights at first use. Unknown names: "did you mean". */
enum vaemark_status models_find(struct models *models, const char *name, struct run_model **model, struct error *error);
/* Opens the weights, making synthetic ones in the cache where needed; `note` is called before anything slow. */
enum vaemark_status models_need_weights(struct models *models, struct run_model *model, void (*note)(const char *text),
                                        struct error *error);
/* A model of one's own: a folder (path) or a preset with another file; for `vaemark decode`. */
enum vaemark_status models_open_path(struct models *models, const char *preset, const char *weights,
                                     struct run_model **model, struct error *error);
void models_free(struct models *models);

/* The names of presets in the data folder, sorted, NULL-terminated; free with models_free_names. */
char **models_preset_names(struct error *error);
void models_free_names(char **names);

#endif
