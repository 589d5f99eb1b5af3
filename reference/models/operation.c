/* One operation of the decoders as a model of its own: no VAE type, but what suite `kernels` is made of, so that a
 * kernel is judged by the same checks and timed by the same rules as a decoder.
 *
 *   latents -> norm -> activation -> nearest upsampling -> operation -> + latents -> image
 *
 * Everything but the operation itself is optional. */
#include <stdio.h>

#include "reference/builder.h"
#include "reference/models/config.h"
#include "reference/models/models.h"

enum operation_kind { OPERATION_CONV2D, OPERATION_ATTENTION, OPERATION_LINEAR_ATTENTION };
enum operation_norm { OPERATION_NO_NORM, OPERATION_GROUP_NORM, OPERATION_RMS_NORM };
enum operation_activation { OPERATION_LINEAR, OPERATION_SILU, OPERATION_RELU };

enum { LARGEST_KERNEL = 16, LARGEST_FACTOR = 4 };
#define NORM_EPSILON      1e-6
#define ATTENTION_EPSILON 1e-15

struct operation {
    enum operation_kind kind;
    enum operation_norm norm;
    enum operation_activation activation;
    int64_t in_channels, out_channels;
    int32_t kernel_size, stride, groups, norm_groups, upsample, head_channels;
    bool residual;
};

static int32_t read_choice(struct config *c, const char *key, const char *const *choices) {
    return (int32_t)config_choices(c, key, choices, 1).items[0];
}

static void check(struct config *c, bool holds, const char *what) {
    if (c->error.status == VAEMARK_OK && !holds) {
        error_set(&c->error, VAEMARK_BAD_INPUT, "%s", what);
    }
}

static struct operation read_config(struct config *c) {
    static const char *const KINDS[] = {"conv2d", "attention", "linear_attention", NULL};
    static const char *const NORMS[] = {"none", "group", "rms", NULL};
    static const char *const ACTIVATIONS[] = {"none", "silu", "relu", NULL};
    struct operation o = {
        .kind = (enum operation_kind)read_choice(c, "operation", KINDS),
        .norm = (enum operation_norm)read_choice(c, "norm", NORMS),
        .activation = (enum operation_activation)read_choice(c, "activation", ACTIVATIONS),
        .in_channels = config_channels(c, "in_channels", 64),
        .out_channels = config_channels(c, "out_channels", 64),
        .kernel_size = (int32_t)config_integer(c, "kernel_size", 3, 1, LARGEST_KERNEL),
        .stride = (int32_t)config_integer(c, "stride", 1, 1, LARGEST_FACTOR),
        .groups = (int32_t)config_integer(c, "groups", 1, 1, CONFIG_MAX_CHANNELS),
        .norm_groups = (int32_t)config_integer(c, "norm_groups", 32, 1, CONFIG_MAX_CHANNELS),
        .upsample = (int32_t)config_integer(c, "upsample", 1, 1, LARGEST_FACTOR),
        .head_channels = (int32_t)config_integer(c, "head_channels", 32, 1, CONFIG_MAX_CHANNELS),
        .residual = config_boolean(c, "residual", false),
    };
    check(c, o.in_channels % o.groups == 0 && o.out_channels % o.groups == 0,
          "\"groups\" must divide \"in_channels\" and \"out_channels\"");
    check(c, o.norm != OPERATION_GROUP_NORM || o.in_channels % o.norm_groups == 0,
          "\"norm_groups\" must divide \"in_channels\"");
    check(c, o.kind != OPERATION_LINEAR_ATTENTION || o.out_channels % o.head_channels == 0,
          "\"head_channels\" must divide \"out_channels\"");
    check(c, !o.residual || (o.in_channels == o.out_channels && o.stride == 1 && o.upsample == 1),
          "a \"residual\" needs as many channels and pixels behind the operation as before it");
    return o;
}

static value prepare(struct builder *b, value x, const struct operation *o) {
    if (o->norm == OPERATION_GROUP_NORM) {
        x = builder_group_norm(b, x, o->in_channels, o->norm_groups, NORM_EPSILON, "operation.norm");
    } else if (o->norm == OPERATION_RMS_NORM) {
        x = builder_rms_norm(b, x, o->in_channels, NORM_EPSILON, 0.0, true, "weight", "operation.norm");
    }
    if (o->activation == OPERATION_SILU) {
        x = builder_silu(b, x);
    } else if (o->activation == OPERATION_RELU) {
        x = builder_relu(b, x);
    }
    return o->upsample > 1 ? builder_upsample_nearest(b, x, o->upsample) : x;
}

static value operate(struct builder *b, value x, const struct operation *o) {
    if (o->kind == OPERATION_CONV2D) {
        return builder_conv2d(b, x,
                              (struct conv2d_options){.in = o->in_channels,
                                                      .out = o->out_channels,
                                                      .kernel = o->kernel_size,
                                                      .stride = o->stride,
                                                      .groups = o->groups,
                                                      .gain = 1.0},
                              "operation");
    }
    x = builder_linear(b, x, o->in_channels, 3 * o->out_channels, "operation");
    return o->kind == OPERATION_ATTENTION
               ? builder_packed_attention(b, x, "operation")
               : builder_linear_attention(b, x, o->head_channels, ATTENTION_EPSILON, "operation");
}

enum vaemark_status operation_build(const json_t *json, const struct weights *weights, struct vaemark_graph **graph,
                                    struct error *error) {
    struct config config;
    (void)weights;
    config_begin(&config, json);
    const struct operation o = read_config(&config);
    enum vaemark_status status = config_finish(&config, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct builder b;
    builder_begin(&b);
    value latents = builder_input(&b, "latents", 4, o.in_channels, 1);
    value x = operate(&b, prepare(&b, latents, &o), &o);
    return builder_finish(&b, o.residual ? builder_add(&b, latents, x) : x, graph, error);
}

/* ---- names: the builder's own alone ---- */

static const char *canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    (void)levels;
    snprintf(canonical, size_bytes, "%s", name);
    return NULL;
}

static const char *config_key(const char *name, int32_t axis, const json_t *config) {
    (void)name, (void)config;
    return axis == 0 ? "out_channels" : "in_channels";
}

static const char *const PREFIXES[] = {"operation.", NULL};

const struct naming operation_naming = {
    .canonical_name = canonical_name,
    .decoder_prefixes = PREFIXES,
    .landmark = "operation.weight",
    .config_key = config_key,
};
