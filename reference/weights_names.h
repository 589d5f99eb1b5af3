/* Names of tensors: checkpoints of one VAE type are published under several namings, with and without prefixes. Each
 * type says how they are read; behind weights_adopt_names() all tensors are found under the names of its builder. */
#ifndef REFERENCE_WEIGHTS_NAMES_H
#define REFERENCE_WEIGHTS_NAMES_H

#include <jansson.h>

#include "reference/weights.h"

/* A VAE type's names. */
struct naming {
    /* Writes the builder's name of a tensor (of the decoder; others are copied) and answers whose naming `name` is of,
     * "LDM names"; NULL where it is the builder's own or not known. `levels`: see level_of. */
    const char *(*canonical_name)(const char *name, int32_t levels, char *canonical, size_t size_bytes);
    /* Namings that count levels from the finest can only be turned round by who knows how many there are: the level
     * that a name is of, -1 for none. One more than the highest is handed to canonical_name. NULL: nobody counts so. */
    int32_t (*level_of)(const char *name);
    /* What the names of the decoder's tensors begin with; NULL-terminated. Only such tensors matter. */
    const char *const *decoder_prefixes;
    /* A tensor that every checkpoint of the type has, by which it is known. */
    const char *landmark;
    const char *encoder_mark; /* a name that only files of the encoder alone have; NULL: no such files are known */
    bool keeps_to_qkv;        /* checkpoints have one projection to_qkv; else a lone one is cut into its three parts */
    /* The configuration's key that says whether there is such a tensor (axis -1), or how long that axis is. */
    const char *(*config_key)(const char *name, int32_t axis, const json_t *config);
};

/* Gives the tensors the names of `naming`. Prefixes `first_stage_model.` and `vae.` are stripped: probed in that order,
 * the last one that any tensor of the decoder has wins, and tensors without it are left out. A `to_qkv` that stands
 * alone becomes its three parts, but in types that keep it. One tensor under two names is VAEMARK_BAD_INPUT naming
 * both. Once a file. */
enum vaemark_status weights_adopt_names(struct weights *weights, const struct naming *naming, struct error *error);

/* Whether the file has a tensor that it calls so. */
bool weights_has_stored(const struct weights *weights, const char *stored);
/* The file's name for the tensor by which `naming`'s type is known, NULL where there is none. A foreign name that
 * `except` (may be NULL) knows as well is no evidence: LDM's names and HunyuanImage's look alike. */
const char *weights_find_landmark(const struct weights *weights, const struct naming *naming,
                                  const struct naming *except);

/* "LDM names, prefix first_stage_model." for people. "" before weights_adopt_names(). */
const char *weights_layout(const struct weights *weights);

/* Every tensor of the decoder must be a parameter of the graph: one that is left over means that the configuration is
 * of a smaller model. VAEMARK_BAD_INPUT names the tensor and the key. A `to_qkv` beside its parts is none.
 * Nothing is said where parameters are missing: graph_bind_weights() does. */
enum vaemark_status weights_check_leftovers(const struct weights *weights, const struct vaemark_graph *graph,
                                            const struct naming *naming, const json_t *config, struct error *error);

#endif
