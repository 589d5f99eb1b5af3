/* Reading a config.json: each call takes one key, checks its type and its range, and answers with a fallback (the
 * framework's class default) where the key is absent. One sticky error, as with builders: after the first failure every
 * call answers with its fallback. Messages name the key, what was found and what is allowed. */
#ifndef REFERENCE_MODELS_CONFIG_H
#define REFERENCE_MODELS_CONFIG_H

#include <jansson.h>

#include <stdbool.h>

#include "base/error.h"

enum { CONFIG_MAX_LEVELS = 12, CONFIG_MAX_CHANNELS = 65536, CONFIG_MAX_LAYERS = 64 };

struct config {
    const json_t *json;
    struct error error;
};

struct config_list {
    int64_t items[CONFIG_MAX_LEVELS];
    int32_t count;
};

/* Fails where the root is not an object. */
void config_begin(struct config *config, const json_t *json);

int64_t config_integer(struct config *config, const char *key, int64_t fallback, int64_t least, int64_t most);
/* A count of channels, 1 to CONFIG_MAX_CHANNELS. */
int64_t config_channels(struct config *config, const char *key, int64_t fallback);
/* A count of layers in a stage, 0 to CONFIG_MAX_LAYERS. */
int32_t config_layers(struct config *config, const char *key, int32_t fallback);
bool config_boolean(struct config *config, const char *key, bool fallback);
/* A number > 0 and finite. */
double config_positive(struct config *config, const char *key, double fallback);
/* Numbers, 1 to CONFIG_MAX_LEVELS of them, each from least to most. */
struct config_list config_integers(struct config *config, const char *key, struct config_list fallback, int64_t least,
                                   int64_t most);
/* As config_integer(); null is as good as absent. */
int64_t config_integer_or_null(struct config *config, const char *key, int64_t fallback, int64_t least, int64_t most);
/* Truth values, at most CONFIG_MAX_LEVELS and perhaps none: 0 and 1. */
struct config_list config_booleans(struct config *config, const char *key, struct config_list fallback);
/* Texts, one that serves all levels or a list of `count`: indices into `choices` (NULL-terminated); the first where the
 * key is absent. Another text is VAEMARK_UNSUPPORTED_MODEL. */
struct config_list config_choices(struct config *config, const char *key, const char *const *choices, int32_t count);
/* A list of `count` lists of whole numbers, each list of at most CONFIG_MAX_LEVELS and perhaps none: fills `lists`.
 * False where the key is absent. */
bool config_integer_lists(struct config *config, const char *key, struct config_list *lists, int32_t count,
                          int64_t least, int64_t most);
/* The text must be one of two (the second may be NULL); another one is VAEMARK_UNSUPPORTED_MODEL. Answers whether it is
 * the first; so does an absent key. */
bool config_choice(struct config *config, const char *key, const char *first, const char *second);
/* The key, where present, must be true or false as `only` says; else VAEMARK_UNSUPPORTED_MODEL with `why`. */
void config_only_boolean(struct config *config, const char *key, bool only, const char *why);
/* A list of block types, where present: `count` entries, each `only`; else an error (VAEMARK_UNSUPPORTED_MODEL for
 * another type). */
void config_block_types(struct config *config, const char *key, const char *only, int32_t count);
/* The same where a level may be of either of two types; answers which entries are `other`. An absent key: none. */
struct config_flags {
    bool items[CONFIG_MAX_LEVELS];
};
struct config_flags config_block_kinds(struct config *config, const char *key, const char *only, const char *other,
                                       int32_t count);
/* Every entry of a list of channels must be a multiple of the number of groups of a group norm. */
void config_check_groups(struct config *config, const char *key, const struct config_list *channels,
                         const char *groups_key, int64_t groups);
/* scaling_factor and shift_factor, which decoding does not use, must be finite numbers or null where present. */
void config_check_latent_scale(struct config *config);

/* "sample_size", the side of the pictures that a model was trained on, in pixels, or the first of a list of sides,
 * which *is_list tells. Decoding does not need it, but tiling: 0 where it is neither, the fallback where the key is
 * absent. */
int64_t config_sample_size(const struct config *config, int64_t fallback, bool *is_list);

/* Passes a config's error on to the caller's; VAEMARK_OK where there is none. */
enum vaemark_status config_finish(const struct config *config, struct error *error);

#endif
