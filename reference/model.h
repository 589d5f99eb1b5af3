/* Models: a VAE type with a configuration and weights. reference/models/ has one file a VAE type; model_types[] has one
 * row for each. models/NAME/config.json (at the top of the tree) are the presets. */
#ifndef REFERENCE_MODEL_H
#define REFERENCE_MODEL_H

#include <jansson.h>

#include "reference/graph.h"
#include "reference/weights_names.h"

/* A VAE type. `build` reads the configuration and what the checkpoint holds (`weights` may be NULL: a plain preset)
 * and makes the graph. It fails with VAEMARK_BAD_INPUT naming the key, what was found and what is allowed. */
struct model_type {
    const char *name; /* as the ecosystem names the class: "AutoencoderKL" */
    enum vaemark_status (*build)(const json_t *config, const struct weights *weights, struct vaemark_graph **graph,
                                 struct error *error);
    const struct naming *naming; /* of its checkpoints (spec 2.1 to 2.3) */
};

/* One operation of the decoders as a model (models/operation.c), for suite `kernels`: found by name, but no VAE type.
 */
#define MODEL_TYPE_OPERATION "VaemarkOperation"

extern const struct model_type model_types[];
extern const size_t model_type_count;
const struct model_type *model_type_find(const char *name); /* NULL if there is none */

/* An opened model. Owns its graph, weights and configuration. */
struct model {
    char name[128];
    const struct model_type *type;
    char *config_path; /* for messages */
    char *config_json; /* the text of config.json */
    json_t *config;
    struct weights *weights; /* NULL: graph only (shapes, counts) */
    struct vaemark_graph *graph;
};

/* Reads a configuration file and builds the graph without weights: enough for shapes and counts. `name` is kept. */
enum vaemark_status model_open_config(const char *config_path, const char *name, struct model **model,
                                      struct error *error);
/* Opens a configuration and a safetensors file, builds the graph and binds every parameter. */
enum vaemark_status model_open(const char *config_path, const char *weights_path, const char *name,
                               struct model **model, struct error *error);
void model_free(struct model *model);

/* The ABI's view of it, valid as long as the model. */
struct vaemark_model model_abi(const struct model *model);

enum { CHECKPOINT_NOTE_BYTES = 400 };

/* In a folder as frameworks save it, or a whole pipeline's with its "vae" in it, the paths of config.json and of the
 * checkpoint: one *.safetensors or an index of shards; diffusion_pytorch_model.safetensors before all others, full
 * precision before variants such as *.fp16.safetensors. Allocated. `note` (may be NULL, else empty or kept in front)
 * says what was passed over. VAEMARK_BAD_INPUT names what is missing or ambiguous and how to give it. */
enum vaemark_status model_find_files(const char *folder, char **config_path, char **weights_path,
                                     char note[CHECKPOINT_NOTE_BYTES], struct error *error);
/* The checkpoint alone. `note` is wanted. */
enum vaemark_status checkpoint_find_weights(const char *folder, char **weights_path, char note[CHECKPOINT_NOTE_BYTES],
                                            struct error *error);

/* Capability table: VAE type x option. `reference/capability.c` holds it; `vaemark list models` prints it. */
enum capability { CAPABILITY_MUST, CAPABILITY_MAY, CAPABILITY_MUST_REFUSE };
/* What the project's own backends (own true) or others must do with an option on a VAE type. Unknown types and options
 * are CAPABILITY_MUST_REFUSE. */
enum capability capability_of(const char *vae_type, const char *option, bool own);
/* What the framework gets wrong there, and what to know beside; NULL: nothing. */
const char *capability_note(const char *vae_type, const char *option);
const char *capability_name(enum capability capability); /* "must", "may", "must-refuse" */
/* The options of the table, NULL-terminated. */
extern const char *const capability_options[];
/* VAEMARK_OK, or the one typed refusal with its message: "AutoencoderTiny does not take the option fuse_qkv: ...". */
enum vaemark_status capability_check(const char *vae_type, const char *option, struct error *error);

#endif
