/* The table of conventions (spec 1.2), and what a configuration and a checkpoint say for them. */
#include "reference/latent_plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VIDEO_CHANNELS = 16, MAX_LATENT_CHANNELS = 65536 };

/* Defaults of AutoencoderKLQwenImage and AutoencoderKLWan, measured on Wan 2.1's latents. */
static const double VIDEO_MEAN[VIDEO_CHANNELS] = {-0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,
                                                  -0.1517, 1.5508,  0.4134,  -0.0715, 0.5517,  -0.3632,
                                                  -0.1922, -0.9497, 0.2503,  -0.2921};
static const double VIDEO_STD[VIDEO_CHANNELS] = {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                                                 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160};

static const struct latent_convention CONVENTIONS[] = {
    {.vae_type = "AutoencoderKL",
     .arithmetic = LATENT_SCALED,
     .channels_key = "latent_channels",
     .channels = 4,
     .scaling_factor = 0.18215,
     .rank = 4,
     .shifts = true,
     .shifts_tokens = true,
     .token_channels = 16},
    {.vae_type = "AsymmetricAutoencoderKL",
     .arithmetic = LATENT_SCALED,
     .channels_key = "latent_channels",
     .channels = 4,
     .scaling_factor = 0.18215,
     .rank = 4},
    {.vae_type = "AutoencoderTiny",
     .arithmetic = LATENT_SCALED,
     .channels_key = "latent_channels",
     .channels = 4,
     .scaling_factor = 1.0,
     .rank = 4,
     .shifts = true,
     .token_channels = 16},
    {.vae_type = "ConsistencyDecoderVAE",
     .arithmetic = LATENT_SCALED,
     .channels_key = "latent_channels",
     .channels = 4,
     .scaling_factor = 0.18215,
     .rank = 4},
    {.vae_type = "VQModel", .arithmetic = LATENT_AS_IS},
    {.vae_type = "AutoencoderDC",
     .arithmetic = LATENT_SCALED,
     .channels_key = "latent_channels",
     .channels = 32,
     .scaling_factor = 1.0,
     .rank = 4},
    {.vae_type = "AutoencoderKLFlux2",
     .arithmetic = LATENT_BATCH_NORM,
     .channels_key = "latent_channels",
     .channels = 32,
     .rank = 4,
     .patched = true,
     .token_channels = LATENT_TOKENS_ALWAYS},
    {.vae_type = "AutoencoderKLHunyuanImage",
     .arithmetic = LATENT_SCALED,
     .channels_key = "latent_channels",
     .channels = 64,
     .rank = 4},
    {.vae_type = "AutoencoderKLQwenImage",
     .arithmetic = LATENT_STATISTIC,
     .channels_key = "z_dim",
     .channels = VIDEO_CHANNELS,
     .mean = VIDEO_MEAN,
     .std = VIDEO_STD,
     .rank = 5,
     .token_channels = LATENT_TOKENS_ALWAYS},
    {.vae_type = "AutoencoderKLWan",
     .arithmetic = LATENT_STATISTIC,
     .channels_key = "z_dim",
     .channels = VIDEO_CHANNELS,
     .mean = VIDEO_MEAN,
     .std = VIDEO_STD,
     .rank = 5},
};

const struct latent_convention *latent_convention_find(const char *vae_type) {
    for (size_t i = 0; i < sizeof CONVENTIONS / sizeof CONVENTIONS[0]; i++) {
        if (strcmp(CONVENTIONS[i].vae_type, vae_type) == 0) {
            return &CONVENTIONS[i];
        }
    }
    return NULL;
}

/* ---- The configuration ---- */

static enum vaemark_status fail_key(const struct model *model, const char *key, const json_t *found, const char *wanted,
                                    struct error *error) {
    char *shown = found == NULL ? NULL : json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    error_set_at(error, VAEMARK_BAD_INPUT, model->config_path, "\"%s\" is %.80s; %s", key,
                 found == NULL ? "absent" : (shown == NULL ? "?" : shown), wanted);
    free(shown);
    return VAEMARK_BAD_INPUT;
}

static bool is_finite_number(const json_t *value) {
    return json_is_number(value) && isfinite(json_number_value(value));
}

/* The key's number; the fallback where it is absent. A fallback of 0 is none. */
static enum vaemark_status read_divisor(const struct model *model, const char *key, double fallback, double *number,
                                        struct error *error) {
    const json_t *value = json_object_get(model->config, key);
    if (value == NULL && fallback != 0) {
        *number = fallback;
        return VAEMARK_OK;
    }
    if (value == NULL || json_is_null(value)) {
        return fail_key(model, key, value,
                        "without it nobody knows how diffusion-space latents are scaled (the framework's pipeline "
                        "stops here with a TypeError): write the published number into the file, or convert the "
                        "latents yourself and decode them from VAE space",
                        error);
    }
    *number = json_number_value(value);
    if (!is_finite_number(value) || !(fabs(*number) > 0)) {
        return fail_key(model, key, value, "a finite number other than 0 is wanted: latents are divided by it", error);
    }
    return VAEMARK_OK;
}

/* Absent or null: there is none. */
static enum vaemark_status read_shift(const struct model *model, struct latent_plan *plan, struct error *error) {
    const json_t *value = json_object_get(model->config, "shift_factor");
    if (!plan->convention->shifts || value == NULL || json_is_null(value)) {
        return VAEMARK_OK;
    }
    if (!is_finite_number(value)) {
        return fail_key(model, "shift_factor", value, "a finite number or null is wanted", error);
    }
    plan->shift_factor = json_number_value(value);
    plan->has_shift_factor = true;
    return VAEMARK_OK;
}

/* A number a channel; the class's defaults where the key is absent. */
static enum vaemark_status read_channels(const struct model *model, const struct latent_plan *plan, const char *key,
                                         const double *fallback, double *numbers, struct error *error) {
    char wanted[160];
    const json_t *list = json_object_get(model->config, key);
    snprintf(wanted, sizeof wanted, "%lld finite numbers are wanted, one a channel of the latents (\"%s\")",
             (long long)plan->channels, plan->convention->channels_key);
    if (list == NULL && fallback != NULL && plan->channels == plan->convention->channels) {
        memcpy(numbers, fallback, (size_t)plan->channels * sizeof *numbers);
        return VAEMARK_OK;
    }
    if (!json_is_array(list)) {
        return fail_key(model, key, list, wanted, error);
    }
    if (json_array_size(list) != (size_t)plan->channels) {
        return error_set_at(error, VAEMARK_BAD_INPUT, model->config_path, "\"%s\" has %zu entries; %s", key,
                            json_array_size(list), wanted);
    }
    for (int64_t c = 0; c < plan->channels; c++) {
        const json_t *item = json_array_get(list, (size_t)c);
        if (!is_finite_number(item)) {
            char place[64];
            snprintf(place, sizeof place, "%s[%lld]", key, (long long)c);
            return fail_key(model, place, item, wanted, error);
        }
        numbers[c] = json_number_value(item);
    }
    return VAEMARK_OK;
}

static bool has_value(const struct model *model, const char *key) {
    const json_t *value = json_object_get(model->config, key);
    return value != NULL && !json_is_null(value);
}

static enum vaemark_status read_scale(const struct model *model, struct latent_plan *plan, struct error *error) {
    enum vaemark_status status =
        read_divisor(model, "scaling_factor", plan->convention->scaling_factor, &plan->divisor, error);
    if (status == VAEMARK_OK) {
        status = read_shift(model, plan, error);
    }
    /* As SDXL's pipeline does it: both or none. */
    plan->scaled_by_statistics =
        plan->convention->shifts && has_value(model, "latents_mean") && has_value(model, "latents_std");
    if (status == VAEMARK_OK && plan->scaled_by_statistics && plan->shift_factor != 0) {
        return fail_key(model, "shift_factor", json_object_get(model->config, "shift_factor"),
                        "no pipeline uses it together with \"latents_mean\" and \"latents_std\": set one or the other "
                        "to null",
                        error);
    }
    for (int64_t c = 0; status == VAEMARK_OK && c < plan->channels; c++) {
        plan->multiplier[c] = 1.0;
        plan->shift[c] = plan->shift_factor;
    }
    return status;
}

static enum vaemark_status read_statistics(const struct model *model, struct latent_plan *plan, struct error *error) {
    enum vaemark_status status = read_channels(model, plan, "latents_mean", plan->convention->mean, plan->shift, error);
    return status == VAEMARK_OK
               ? read_channels(model, plan, "latents_std", plan->convention->std, plan->multiplier, error)
               : status;
}

/* Blocks that pool are taef2's, which takes FLUX.2's latents; the builder tells them the same way. */
static bool is_pooled(const struct model *model) {
    return json_is_true(json_object_get(model->config, "_vaemark_pool")) ||
           (model->weights != NULL && weights_find(model->weights, "decoder.layers.2.pool.0.weight") != NULL);
}

static enum vaemark_status read_forms(const struct model *model, struct latent_plan *plan, struct error *error) {
    const struct latent_convention *convention = plan->convention;
    const json_t *patch = json_object_get(model->config, "patch_size");
    bool pooled = strcmp(convention->vae_type, "AutoencoderTiny") == 0 && is_pooled(model);
    plan->takes_plain = !convention->patched;
    plan->takes_patched = convention->patched || pooled;
    plan->takes_tokens =
        convention->token_channels == LATENT_TOKENS_ALWAYS || convention->token_channels == plan->channels || pooled;
    bool two_by_two = json_array_size(patch) == 2 && json_integer_value(json_array_get(patch, 0)) == 2 &&
                      json_integer_value(json_array_get(patch, 1)) == 2;
    if (convention->patched && patch != NULL && !two_by_two) {
        return fail_key(model, "patch_size", patch, "only [2, 2] is known", error);
    }
    return VAEMARK_OK;
}

static enum vaemark_status read_channel_count(const struct model *model, struct latent_plan *plan,
                                              struct error *error) {
    const json_t *value = json_object_get(model->config, plan->convention->channels_key);
    plan->channels = value == NULL ? plan->convention->channels : json_integer_value(value);
    if (value != NULL && !(json_is_integer(value) && plan->channels >= 1 && plan->channels <= MAX_LATENT_CHANNELS)) {
        return fail_key(model, plan->convention->channels_key, value, "a whole number from 1 to 65536 is wanted",
                        error);
    }
    return VAEMARK_OK;
}

static enum vaemark_status read_arithmetic(const struct model *model, struct latent_plan *plan, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    plan->divisor = 1.0;
    switch (plan->convention->arithmetic) {
    case LATENT_AS_IS:
        break;
    case LATENT_SCALED:
        status = read_scale(model, plan, error);
        return status == VAEMARK_OK && plan->scaled_by_statistics ? read_statistics(model, plan, error) : status;
    case LATENT_STATISTIC:
        return read_statistics(model, plan, error);
    case LATENT_BATCH_NORM:
        plan->by_packed_channel = true;
        return read_divisor(model, "batch_norm_eps", 1e-4, &plan->epsilon, error);
    }
    return status;
}

enum vaemark_status latent_plan_make(const struct model *model, struct latent_plan *plan, struct error *error) {
    *plan = (struct latent_plan){.convention = latent_convention_find(model->type->name)};
    if (plan->convention == NULL) {
        return error_set(error, VAEMARK_UNSUPPORTED_MODEL, "%s has no convention for diffusion-space latents",
                         model->type->name);
    }
    if (plan->convention->arithmetic == LATENT_AS_IS) {
        plan->takes_plain = true;
        return VAEMARK_OK;
    }
    enum vaemark_status status = read_channel_count(model, plan, error);
    if (status == VAEMARK_OK) {
        /* Room for channels as packed. */
        plan->multiplier = calloc(4 * (size_t)plan->channels, sizeof *plan->multiplier);
        plan->shift = calloc(4 * (size_t)plan->channels, sizeof *plan->shift);
        if (plan->multiplier == NULL || plan->shift == NULL) {
            status = error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the statistics of latents");
        }
    }
    if (status == VAEMARK_OK) {
        status = read_forms(model, plan, error);
    }
    if (status == VAEMARK_OK) {
        status = read_arithmetic(model, plan, error);
    }
    if (status != VAEMARK_OK) {
        latent_plan_free(plan);
    }
    return status;
}

void latent_plan_free(struct latent_plan *plan) {
    free(plan->multiplier);
    free(plan->shift);
    plan->multiplier = plan->shift = NULL;
}

/* ---- The checkpoint ---- */

static enum vaemark_status read_statistic(const struct weights *weights, const char *name, int64_t count,
                                          double *numbers, struct error *error) {
    char found[128];
    const struct vaemark_tensor *tensor = weights_find(weights, name);
    if (tensor == NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights_path(weights),
                            "has no tensor '%s' that can be read; FLUX.2's latents are normalised by it: take the "
                            "checkpoint as it was published, or convert the latents yourself and decode them from VAE "
                            "space",
                            name);
    }
    struct shape shape = tensor_shape(tensor);
    if (shape.rank != 1 || shape.dims[0] != count || tensor->dtype == VAEMARK_I32 || tensor->dtype == VAEMARK_I64) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights_path(weights),
                            "tensor '%s': %lld floating-point numbers are wanted, four for each of the "
                            "\"latent_channels\"; found %s of shape %s",
                            name, (long long)count, dtype_name(tensor->dtype),
                            shape_format(&shape, found, sizeof found));
    }
    tensor_read_f64(numbers, tensor, 0, count);
    return VAEMARK_OK;
}

enum vaemark_status latent_plan_read_batch_norm(const struct model *model, struct latent_plan *plan,
                                                struct error *error) {
    int64_t count = 4 * plan->channels;
    if (model->weights == NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, model->config_path,
                            "FLUX.2's latents are normalised by the checkpoint's 'bn.running_mean' and "
                            "'bn.running_var', but the model is opened without weights");
    }
    enum vaemark_status status = read_statistic(model->weights, "bn.running_mean", count, plan->shift, error);
    if (status == VAEMARK_OK) {
        status = read_statistic(model->weights, "bn.running_var", count, plan->multiplier, error);
    }
    for (int64_t k = 0; status == VAEMARK_OK && k < count; k++) {
        double variance = plan->multiplier[k] + plan->epsilon;
        if (!(variance >= 0) || !isfinite(variance) || !isfinite(plan->shift[k])) {
            return error_set_at(error, VAEMARK_BAD_INPUT, weights_path(model->weights),
                                "'bn.running_mean' and 'bn.running_var' at %lld are %g and %g; finite numbers are "
                                "wanted, the second at least 0",
                                (long long)k, plan->shift[k], plan->multiplier[k]);
        }
        plan->multiplier[k] = sqrt(variance);
    }
    return status;
}
