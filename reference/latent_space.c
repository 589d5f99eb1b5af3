/* From the latents of a diffusion model to those that decode() takes. */
#include "reference/latent_space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/latent_plan.h"

bool latent_space_is_known(const char *vae_type) {
    return latent_convention_find(vae_type) != NULL;
}

bool latent_space_converts(const char *vae_type) {
    const struct latent_convention *convention = latent_convention_find(vae_type);
    return convention == NULL || convention->arithmetic != LATENT_AS_IS;
}

/* ---- What is told of it ---- */

static void describe_scale(const struct latent_plan *plan, char *text, size_t size_bytes) {
    char divided[40] = "";
    if (plan->divisor != 1.0) {
        snprintf(divided, sizeof divided, " / %.12g", plan->divisor);
    }
    if (plan->scaled_by_statistics) {
        snprintf(text, size_bytes, "x * latents_std%s + latents_mean", divided);
    } else if (plan->shift_factor != 0) {
        snprintf(text, size_bytes, "x%s %c %.12g", divided, plan->shift_factor < 0 ? '-' : '+',
                 fabs(plan->shift_factor));
    } else {
        snprintf(text, size_bytes, "x%s", divided);
    }
}

const char *latent_space_describe(const struct model *model, char text[LATENT_SPACE_TEXT_BYTES]) {
    struct latent_plan plan;
    struct error error = {.status = VAEMARK_OK};
    char formula[LATENT_SPACE_TEXT_BYTES / 2] = "x";
    if (latent_plan_make(model, &plan, &error) != VAEMARK_OK) {
        snprintf(text, LATENT_SPACE_TEXT_BYTES, "not known: %.150s", error.message);
        text[strcspn(text, ";")] = '\0'; /* the remedy is for who asks for a decode */
        return text;
    }
    switch (plan.convention->arithmetic) {
    case LATENT_AS_IS:
        break;
    case LATENT_SCALED:
        describe_scale(&plan, formula, sizeof formula);
        break;
    case LATENT_STATISTIC:
        snprintf(formula, sizeof formula, "x * latents_std + latents_mean");
        break;
    case LATENT_BATCH_NORM:
        snprintf(formula, sizeof formula, "x * sqrt(bn.running_var + %.12g) + bn.running_mean", plan.epsilon);
        break;
    }
    bool packed = plan.takes_tokens || plan.takes_patched;
    snprintf(text, LATENT_SPACE_TEXT_BYTES, "%s%s%s%s%s", formula, packed ? ", " : "",
             plan.takes_tokens ? "tokens" : "", plan.takes_tokens && plan.takes_patched ? " and patches" : "",
             packed ? " unpacked" : "");
    latent_plan_free(&plan);
    return text;
}

/* ---- Which form the latents have ---- */

enum latent_form {
    LATENT_PLAIN,  /* (N,C,H,W), or (N,C,1,H,W) */
    LATENT_TOKENS, /* (N,T,4C): token y * W/2 + x */
    LATENT_PATCHED /* (N,4C,H/2,W/2) */
};

/* Latents of a file, on the way to (N,C,H,W). Packed channel 4c + 2a + b of patch (y, x) is channel c of pixel
 * (2y + a, 2x + b). */
struct layout {
    enum latent_form form;
    int64_t batch, channels, frames, height, width;
};

static void describe_wanted(const struct latent_plan *plan, char *text, size_t size_bytes) {
    char plain[64] = "", patched[64] = "", tokens[64] = "";
    long long channels = (long long)plan->channels;
    if (plan->takes_plain) {
        snprintf(plain, sizeof plain, "(N,%lld,%sH,W)", channels, plan->convention->rank == 5 ? "1," : "");
    }
    if (plan->takes_patched) {
        snprintf(patched, sizeof patched, "%s(N,%lld,H/2,W/2)", plain[0] ? " or " : "", 4 * channels);
    }
    if (plan->takes_tokens) {
        snprintf(tokens, sizeof tokens, " or tokens (N,tokens,%lld)", 4 * channels);
    }
    snprintf(text, size_bytes, "%s%s%s", plain, patched, tokens);
}

/* A square unless the size says how tokens lie. */
static enum vaemark_status place_tokens(const struct vaemark_tensor *x, int64_t count, const struct latent_size *size,
                                        struct layout *layout, struct error *error) {
    if (size->height == 0) {
        int64_t side = (int64_t)sqrt((double)count);
        side -= side * side > count;
        layout->height = layout->width = 2 * side;
        if (side * side == count) {
            return VAEMARK_OK;
        }
        return error_set(error, VAEMARK_BAD_INPUT,
                         "tensor '%s' has %lld tokens, which make no square: say how high and wide the latents are "
                         "(H x W with H/2 * W/2 = %lld)",
                         x->name, (long long)count, (long long)count);
    }
    layout->height = size->height;
    layout->width = size->width;
    int64_t wanted = 0;
    bool even = size->height % 2 == 0 && size->width % 2 == 0;
    if (!even || __builtin_mul_overflow(size->height / 2, size->width / 2, &wanted) || wanted != count) {
        return error_set(error, VAEMARK_BAD_INPUT,
                         "tensor '%s' has %lld tokens, each of 2x2 latents, which do not make latents of %lldx%lld%s",
                         x->name, (long long)count, (long long)size->height, (long long)size->width,
                         even ? "" : " (both must be even)");
    }
    return VAEMARK_OK;
}

static enum vaemark_status find_layout(const struct latent_plan *plan, const struct vaemark_tensor *x,
                                       const struct latent_size *size, struct layout *layout, struct error *error) {
    struct shape shape = tensor_shape(x);
    const int64_t *dims = shape.dims;
    int64_t packed = 4 * plan->channels;
    char wanted[256], found[128];
    *layout = (struct layout){.batch = dims[0], .channels = plan->channels, .frames = 1};
    if (plan->takes_tokens && shape.rank == 3 && dims[2] == packed) {
        layout->form = LATENT_TOKENS;
        return place_tokens(x, dims[1], size, layout, error);
    }
    if (plan->takes_patched && shape.rank == 4 && dims[1] == packed) {
        layout->form = LATENT_PATCHED;
        layout->height = 2 * dims[2];
        layout->width = 2 * dims[3];
        return VAEMARK_OK;
    }
    if (plan->takes_plain && shape.rank == plan->convention->rank && dims[1] == plan->channels) {
        layout->form = LATENT_PLAIN;
        layout->frames = shape.rank == 5 ? dims[2] : 1;
        layout->height = dims[shape.rank - 2];
        layout->width = dims[shape.rank - 1];
        return VAEMARK_OK;
    }
    describe_wanted(plan, wanted, sizeof wanted);
    return error_set(error, VAEMARK_BAD_INPUT, "tensor '%s': diffusion-space latents of %s are %s, found %s%s", x->name,
                     plan->convention->vae_type, wanted, shape_format(&shape, found, sizeof found),
                     !plan->takes_plain && shape.rank == 4 && dims[1] == plan->channels
                         ? ", the shape of latents that are in VAE space already"
                         : "");
}

/* ---- The conversion ---- */

static void convert(const struct latent_plan *plan, const struct layout *layout, const double *x, float *z) {
    int64_t height = layout->height, width = layout->width, channels = layout->channels;
    int64_t patches = height / 2 * (width / 2), rows = layout->frames * height;
    bool plain = layout->form == LATENT_PLAIN;
    for (int64_t i = 0; i < layout->batch * channels * rows * width; i++) {
        int64_t column = i % width, row = i / width % rows, c = i / width / rows % channels;
        int64_t n = i / width / rows / channels;
        int64_t packed = 4 * c + 2 * (row % 2) + column % 2, patch = row / 2 * (width / 2) + column / 2;
        int64_t from = i;
        if (layout->form == LATENT_TOKENS) {
            from = (n * patches + patch) * 4 * channels + packed;
        } else if (!plain) {
            from = (n * 4 * channels + packed) * patches + patch;
        }
        int64_t constant = plan->by_packed_channel ? packed : c;
        z[i] = (float)(x[from] * plan->multiplier[constant] / plan->divisor + plan->shift[constant]);
    }
}

static enum vaemark_status convert_tensor(const struct latent_plan *plan, const struct vaemark_tensor *x,
                                          const struct layout *layout, struct vaemark_tensor *z, struct error *error) {
    struct shape found = tensor_shape(x);
    struct shape shape = {.rank = 4, .dims = {layout->batch, layout->channels, layout->height, layout->width}};
    if (plan->convention->rank == 5) {
        shape = (struct shape){
            .rank = 5, .dims = {layout->batch, layout->channels, layout->frames, layout->height, layout->width}};
    }
    int64_t count = shape_element_count(&found);
    double *values = count > 0 ? malloc((size_t)count * sizeof *values) : NULL;
    float *data = count > 0 ? malloc((size_t)count * sizeof *data) : NULL;
    if (values == NULL || data == NULL || shape_element_count(&shape) != count) {
        free(values);
        free(data);
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory to convert tensor '%s'", x->name);
    }
    tensor_read_f64(values, x, 0, count);
    convert(plan, layout, values, data);
    free(values);
    *z = tensor_make(x->name, VAEMARK_F32, &shape, data);
    return VAEMARK_OK;
}

enum vaemark_status latent_space_convert(const struct model *model, const struct vaemark_tensor *x,
                                         const struct latent_size *size, struct vaemark_tensor *z,
                                         struct error *error) {
    struct latent_plan plan;
    struct layout layout;
    struct shape shape = tensor_shape(x);
    enum vaemark_status status = latent_plan_make(model, &plan, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    if (shape_element_count(&shape) < 1 || x->dtype == VAEMARK_I32 || x->dtype == VAEMARK_I64) {
        char found[128];
        status = error_set(error, VAEMARK_BAD_INPUT,
                           "tensor '%s' is %s of shape %s; diffusion-space latents are floating point (F32, F64, F16 "
                           "or BF16)",
                           x->name, dtype_name(x->dtype), shape_format(&shape, found, sizeof found));
    }
    if (status == VAEMARK_OK) {
        status = find_layout(&plan, x, size, &layout, error);
    }
    if (status == VAEMARK_OK && plan.convention->shifts_tokens && !plan.has_shift_factor &&
        layout.form == LATENT_TOKENS) {
        status =
            error_set_at(error, VAEMARK_BAD_INPUT, model->config_path,
                         "\"shift_factor\" is absent or null, but latents that come as tokens are shifted (FLUX.1: "
                         "0.1159): write the published number into the file");
    }
    if (status == VAEMARK_OK && plan.convention->arithmetic == LATENT_BATCH_NORM) {
        status = latent_plan_read_batch_norm(model, &plan, error);
    }
    if (status == VAEMARK_OK) {
        status = convert_tensor(&plan, x, &layout, z, error);
    }
    latent_plan_free(&plan);
    return status;
}
