#include "kernels/cpu/settings.h"

#include <omp.h>
#include <string.h>

#include "base/text.h"
#include "reference/model.h"

enum { MAX_THREADS = 1024 };

#define NO_PRECISION "the cpu backend computes in fp32, and stores in fp32 or bf16"

/* What must be refused is refused, not declared, and does not stand here. The instruction sets come last, in the order
 * of the kernel table: a processor that lacks one lacks those before it, so that what is declared is always the head of
 * this list. */
static const struct vaemark_unsupported unsupported[] = {
    {NULL, "precision=fp64", NO_PRECISION},
    {NULL, "precision=fp16", NO_PRECISION},
    {NULL, "isa=amx",
     "this processor lacks AVX-512 or the tiles of AMX for bfloat16, or its kernel does not lend them"},
    {NULL, "isa=avx512", "this processor lacks AVX-512"},
    {NULL, "isa=avx2", "this processor lacks AVX2 or FMA"},
};
enum { UNSUPPORTED_COUNT = sizeof unsupported / sizeof unsupported[0], UNSUPPORTED_ALWAYS = UNSUPPORTED_COUNT - 3 };

const struct vaemark_unsupported *settings_unsupported(size_t *count) {
    size_t set_count;
    const struct kernel_set *const *sets = kernel_sets(&set_count);
    *count = UNSUPPORTED_ALWAYS;
    for (size_t i = 0; i + 1 < set_count && !sets[i]->is_supported(); i++) {
        (*count)++;
    }
    return unsupported;
}

struct settings settings_default(void) {
    return (struct settings){.threads = omp_get_num_procs(), .kernels = kernel_set_choose("auto")};
}

enum storage settings_storage(const struct settings *settings) {
    return settings->precision == PRECISION_BF16 ? STORAGE_BF16 : STORAGE_F32;
}

static enum vaemark_status refuse_unknown_value(const char *key, const char *value, const char *const *allowed,
                                                struct error *error) {
    const char *near = text_nearest(value, allowed);
    return error_set(error, VAEMARK_UNKNOWN_OPTION, "option %s of backend cpu has no value '%s'%s%s%s", key, value,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static const char *const precisions[] = {
    [PRECISION_FP32] = "fp32", [PRECISION_FP32_STRICT] = "fp32-strict", [PRECISION_BF16] = "bf16"};
enum { PRECISION_COUNT = sizeof precisions / sizeof precisions[0] };

static enum vaemark_status apply_precision(struct settings *settings, const struct vaemark_option *option,
                                           struct error *error) {
    static const char *const known[] = {"fp32", "fp32-strict", "bf16", "fp64", "fp16", NULL};
    const char *value = option->value.text;
    for (size_t i = 0; i < PRECISION_COUNT; i++) {
        if (strcmp(value, precisions[i]) == 0) {
            settings->precision = (enum precision)i;
            return VAEMARK_OK;
        }
    }
    for (size_t i = PRECISION_COUNT; known[i] != NULL; i++) {
        if (strcmp(value, known[i]) == 0) {
            return error_set(error, VAEMARK_UNSUPPORTED_OPTION, "precision %s is not supported: %s", value,
                             NO_PRECISION);
        }
    }
    return refuse_unknown_value("precision", value, known, error);
}

static enum vaemark_status apply_threads(struct settings *settings, const struct vaemark_option *option,
                                         struct error *error) {
    const int64_t threads = option->value.integer;
    if (threads < 0 || threads > MAX_THREADS) {
        return error_set(error, VAEMARK_UNKNOWN_OPTION, "option threads takes 0 (all) to %d, not %lld", MAX_THREADS,
                         (long long)threads);
    }
    settings->threads = threads == 0 ? omp_get_num_procs() : (int)threads;
    return VAEMARK_OK;
}

static enum vaemark_status apply_isa(struct settings *settings, const struct vaemark_option *option,
                                     struct error *error) {
    const char *value = option->value.text;
    const struct kernel_set *kernels = kernel_set_choose(value);
    const char *known[8] = {"auto"};
    size_t count;
    const struct kernel_set *const *sets = kernel_sets(&count);
    if (kernels != NULL) {
        settings->kernels = kernels;
        return VAEMARK_OK;
    }
    for (size_t i = 0; i < count; i++) {
        known[i + 1] = sets[i]->name;
        if (strcmp(sets[i]->name, value) == 0) {
            return error_set(error, VAEMARK_UNSUPPORTED_OPTION, "this processor cannot run isa=%s (%s)", value,
                             sets[i]->description);
        }
    }
    return refuse_unknown_value("isa", value, known, error);
}

static enum vaemark_status apply_fuse_qkv(struct settings *settings, const struct vaemark_option *option,
                                          struct error *error) {
    (void)error;
    settings->fuse_qkv = option->value.boolean != 0;
    return VAEMARK_OK;
}

static enum vaemark_status apply_quantize(struct settings *settings, const struct vaemark_option *option,
                                          struct error *error) {
    (void)error;
    settings->quantize = option->value.boolean != 0;
    return VAEMARK_OK;
}

struct setting {
    const char *key;
    enum vaemark_option_type type;
    bool gated; /* by the capability table, where it is on */
    enum vaemark_status (*apply)(struct settings *settings, const struct vaemark_option *option, struct error *error);
};

static const struct setting table[] = {
    {"precision", VAEMARK_TEXT, false, apply_precision},
    {"threads", VAEMARK_INTEGER, false, apply_threads},
    {"isa", VAEMARK_TEXT, false, apply_isa},
    {"fuse_qkv", VAEMARK_BOOLEAN, true, apply_fuse_qkv},
    {"quantize", VAEMARK_BOOLEAN, true, apply_quantize},
    {"tiling", VAEMARK_BOOLEAN, true, NULL}, /* reference/tiling.h knows these */
    {"slicing", VAEMARK_BOOLEAN, true, NULL},
    {"tile", VAEMARK_INTEGER, true, NULL},
    {"tile_stride", VAEMARK_INTEGER, true, NULL},
};
enum { SETTING_COUNT = sizeof table / sizeof table[0] };

static const struct setting *find_setting(const char *key) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(table[i].key, key) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static enum vaemark_status refuse_unknown_key(const char *key, struct error *error) {
    const char *keys[SETTING_COUNT + 1] = {NULL};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        keys[i] = table[i].key;
    }
    const char *near = text_nearest(key, keys);
    return error_set(error, VAEMARK_UNKNOWN_OPTION, "backend cpu has no option '%s'%s%s%s", key,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

enum vaemark_status settings_apply(struct settings *settings, const char *vae_type, const struct vaemark_option *option,
                                   struct error *error) {
    static const char *const types[] = {"a boolean", "an integer", "a real number", "a text"};
    const struct setting *setting = find_setting(option->key);
    if (setting == NULL) {
        return refuse_unknown_key(option->key, error);
    }
    if (setting->apply == NULL) {
        return tiling_option_take(&settings->tiling, vae_type, option, error);
    }
    if (setting->type != option->type || (option->type == VAEMARK_TEXT && option->value.text == NULL)) {
        return error_set(error, VAEMARK_UNKNOWN_OPTION, "option %s takes %s", setting->key, types[setting->type]);
    }
    if (setting->gated && option->value.boolean != 0) {
        enum vaemark_status status = capability_check(vae_type, setting->key, error);
        if (status != VAEMARK_OK) {
            return status;
        }
    }
    return setting->apply(settings, option, error);
}

enum vaemark_status settings_read(const struct settings *settings, const char *key, struct vaemark_option *value,
                                  struct error *error) {
    const struct setting *setting = find_setting(key);
    if (setting == NULL) {
        return refuse_unknown_key(key, error);
    }
    if (tiling_option_get(&settings->tiling, key, value)) {
        return VAEMARK_OK;
    }
    *value = (struct vaemark_option){.key = setting->key, .type = setting->type};
    if (setting->apply == apply_precision) {
        value->value.text = precisions[settings->precision];
    } else if (setting->apply == apply_threads) {
        value->value.integer = settings->threads;
    } else if (setting->apply == apply_isa) {
        value->value.text = settings->kernels->name;
    } else if (setting->apply == apply_fuse_qkv) {
        value->value.boolean = settings->fuse_qkv;
    } else if (setting->apply == apply_quantize) {
        value->value.boolean = settings->quantize;
    }
    return VAEMARK_OK;
}
