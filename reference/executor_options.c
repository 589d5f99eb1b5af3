#include "reference/executor_options.h"

#include <string.h>

#include "base/text.h"
#include "reference/model.h"

enum { MAX_THREADS = 1024 };

const struct executor_options executor_options_default = {.bits = 32};

static const char *const option_keys[] = {"precision", "threads", "fuse_qkv",    "quantize", "tiling",
                                          "slicing",   "tile",    "tile_stride", "isa",      NULL};

/* Precisions that others have. */
static const char *const foreign_precisions[] = {"bf16", "fp16", "fp32-strict", NULL};
static const char *const precisions[] = {"fp32", "fp64", "bf16", "fp16", "fp32-strict", NULL};

#define NO_PRECISION "the reference takes precision fp32 and fp64 only"

/* Only where the capability table leaves a choice: what must be refused is refused, not declared. */
const struct vaemark_unsupported executor_unsupported[] = {
    {NULL, "precision=bf16", NO_PRECISION},
    {NULL, "precision=fp16", NO_PRECISION},
    {NULL, "precision=fp32-strict", NO_PRECISION},
};
const size_t executor_unsupported_count = sizeof executor_unsupported / sizeof executor_unsupported[0];

static enum vaemark_status wrong_type(const struct vaemark_option *option, const char *wanted, struct error *error) {
    return error_set(error, VAEMARK_UNKNOWN_OPTION, "option %s takes %s", option->key, wanted);
}

static enum vaemark_status take_precision(struct executor_options *options, const struct vaemark_option *option,
                                          struct error *error) {
    const char *nearest;

    if (option->type != VAEMARK_TEXT || option->value.text == NULL) {
        return wrong_type(option, "a text: fp32 or fp64", error);
    }
    if (strcmp(option->value.text, "fp32") == 0 || strcmp(option->value.text, "fp64") == 0) {
        options->bits = option->value.text[2] == '3' ? 32 : 64;
        return VAEMARK_OK;
    }
    for (size_t i = 0; foreign_precisions[i] != NULL; i++) {
        if (strcmp(option->value.text, foreign_precisions[i]) == 0) {
            return error_set(error, VAEMARK_UNSUPPORTED_OPTION, "precision %s is not supported: %s", option->value.text,
                             NO_PRECISION);
        }
    }
    nearest = text_nearest(option->value.text, precisions);
    return error_set(error, VAEMARK_UNKNOWN_OPTION, "there is no precision '%s'%s%s%s; %s", option->value.text,
                     nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "'?", NO_PRECISION);
}

static enum vaemark_status take_threads(struct executor_options *options, const struct vaemark_option *option,
                                        struct error *error) {
    if (option->type != VAEMARK_INTEGER || option->value.integer < 0 || option->value.integer > MAX_THREADS) {
        return wrong_type(option, "an integer from 0 (all) to 1024", error);
    }
    options->threads = (int32_t)option->value.integer;
    return VAEMARK_OK;
}

/* A switch that the capability table guards. */
static enum vaemark_status take_switch(int32_t *on, const char *vae_type, const struct vaemark_option *option,
                                       struct error *error) {
    if (option->type != VAEMARK_BOOLEAN) {
        return wrong_type(option, "true or false", error);
    }
    if (option->value.boolean) {
        const enum vaemark_status status = capability_check(vae_type, option->key, error);
        if (status != VAEMARK_OK) {
            return status;
        }
    }
    *on = option->value.boolean != 0;
    return VAEMARK_OK;
}

static enum vaemark_status unknown_key(const char *key, struct error *error) {
    const char *nearest = text_nearest(key, option_keys);

    return error_set(error, VAEMARK_UNKNOWN_OPTION,
                     "backend reference has no option '%s'%s%s%s; it takes precision, threads, "
                     "fuse_qkv, quantize, tiling, slicing, tile and tile_stride",
                     key, nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "'?");
}

enum vaemark_status executor_options_take(struct executor_options *options, const char *vae_type,
                                          const struct vaemark_option *option, struct error *error) {
    const char *key = option->key;

    if (strcmp(key, "precision") == 0) {
        return take_precision(options, option, error);
    }
    if (strcmp(key, "threads") == 0) {
        return take_threads(options, option, error);
    }
    if (strcmp(key, "fuse_qkv") == 0) {
        return take_switch(&options->fuse_qkv, vae_type, option, error);
    }
    if (strcmp(key, "quantize") == 0) {
        return take_switch(&options->quantize, vae_type, option, error);
    }
    if (tiling_option_is(key)) {
        return tiling_option_take(&options->tiling, vae_type, option, error);
    }
    if (strcmp(key, "isa") == 0) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "option isa is not supported: the reference has one form of every op; leave isa out");
    }
    return unknown_key(key, error);
}

enum vaemark_status executor_options_get(const struct executor_options *options, const char *key,
                                         struct vaemark_option *value, struct error *error) {
    const struct vaemark_option values[] = {
        {.key = "precision", .type = VAEMARK_TEXT, .value.text = options->bits == 32 ? "fp32" : "fp64"},
        {.key = "threads", .type = VAEMARK_INTEGER, .value.integer = options->threads},
        {.key = "fuse_qkv", .type = VAEMARK_BOOLEAN, .value.boolean = options->fuse_qkv},
        {.key = "quantize", .type = VAEMARK_BOOLEAN, .value.boolean = options->quantize},
    };

    if (tiling_option_get(&options->tiling, key, value)) {
        return VAEMARK_OK;
    }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (strcmp(values[i].key, key) == 0) {
            *value = values[i];
            return VAEMARK_OK;
        }
    }
    return unknown_key(key, error);
}
