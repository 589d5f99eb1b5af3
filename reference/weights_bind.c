/* Binding the parameters of a graph to the tensors of a file, and reading them. */
#include <stdio.h>
#include <string.h>

#include "reference/weights_internal.h"

/* A vector stored as (C), (C,1) or (C,1,1,1) is the same vector, and a 1x1 convolution the same matrix. */
static bool same_up_to_ones(struct shape wanted, struct shape found) {
    struct shape a = wanted, b = found;
    if (wanted.rank == 4 && found.rank == 5 && found.dims[2] == 1) { /* a convolution over one frame */
        b = (struct shape){.rank = 4, .dims = {found.dims[0], found.dims[1], found.dims[3], found.dims[4]}};
    }
    while (a.rank > 1 && a.dims[a.rank - 1] == 1) {
        a.rank--;
    }
    while (b.rank > 1 && b.dims[b.rank - 1] == 1) {
        b.rank--;
    }
    return shape_equal(&a, &b);
}

/* " (the configuration's "latent_channels" is 4)", or nothing where nobody knows. */
static const char *describe(char text[240], const struct naming *naming, const json_t *config, const char *name,
                            int32_t axis) {
    char key[200];
    text[0] = '\0';
    if (naming != NULL && config != NULL) {
        snprintf(text, 240, " (the configuration's %s)", weights_describe_key(key, naming, name, axis, config));
    }
    return text;
}

/* The same tensor under a prefix that was not chosen, or NULL. */
static const char *find_ignored(const struct weights *weights, const char *name) {
    for (size_t i = weights->count; i < weights_total_count(weights); i++) {
        const char *ending = weights->items[i].name;
        size_t length = strlen(ending), wanted = strlen(name);
        if (length >= wanted && strcmp(ending + length - wanted, name) == 0 &&
            (length == wanted || ending[length - wanted - 1] == '.')) {
            return ending;
        }
    }
    return NULL;
}

static enum vaemark_status report_missing(const struct graph_parameter *parameter, const struct weights *weights,
                                          const struct naming *naming, const json_t *config, struct error *error) {
    char place[512], shape[256], key[240], example[512];
    weights_place(place, weights->path, parameter->name);
    const struct shape stored = parameter_stored_shape(parameter);
    shape_format(&stored, shape, sizeof shape);
    const char *dtype = weights_unreadable_dtype(weights, parameter->name);
    if (dtype != NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "is stored as %s, which cannot be computed with; convert the checkpoint to F32, F16 or "
                            "BF16",
                            dtype);
    }
    if (weights_total_count(weights) == 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "is missing (wanted: shape %s); the file holds no tensor",
                            shape);
    }
    const char *elsewhere = find_ignored(weights, parameter->name);
    if (elsewhere != NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "is missing among the names that were recognised (%s), but there as '%.200s': two layouts "
                            "of names in one file; save the decoder under one of them",
                            weights->layout, elsewhere);
    }
    weights_place(example, "", weights_stored_name(weights, 0));
    return error_set_at(error, VAEMARK_BAD_INPUT, place,
                        "is missing (wanted: shape %s); the file holds %zu tensors, the first by name is %.200s. Is it "
                        "a checkpoint of this model? Use the config.json that these weights were published with%s",
                        shape, weights_total_count(weights), strchr(example, '\''),
                        describe(key, naming, config, parameter->name, -1));
}

static int32_t first_difference(struct shape a, struct shape b) {
    int32_t axis = 0;
    while (axis < a.rank && axis < b.rank && a.dims[axis] == b.dims[axis]) {
        axis++;
    }
    return axis;
}

static enum vaemark_status check_tensor(const struct graph_parameter *parameter, const struct vaemark_tensor *tensor,
                                        const char *path, const struct naming *naming, const json_t *config,
                                        struct error *error) {
    char place[512], wanted[256], found[256], key[240];
    struct shape shape = tensor_shape(tensor);
    weights_place(place, path, tensor->name);
    const struct shape stored = parameter_stored_shape(parameter);
    if (!same_up_to_ones(stored, shape)) {
        return error_set_at(
            error, VAEMARK_BAD_INPUT, place,
            "has shape %s, wanted %s: the configuration and the weights are of different models; use the config.json "
            "that these weights were published with%s",
            shape_format(&shape, found, sizeof found), shape_format(&stored, wanted, sizeof wanted),
            describe(key, naming, config, parameter->name, first_difference(shape, stored)));
    }
    if (tensor->dtype == VAEMARK_I32 || tensor->dtype == VAEMARK_I64) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "is stored as %s; a parameter is wanted in F64, F32, F16 or BF16",
                            dtype_name(tensor->dtype));
    }
    return VAEMARK_OK;
}

static enum vaemark_status bind_parameter(struct graph_parameter *parameter, const struct weights *weights,
                                          const struct naming *naming, const json_t *config, struct error *error) {
    const struct vaemark_tensor *tensor = weights_find(weights, parameter->name);
    if (tensor == NULL) {
        return report_missing(parameter, weights, naming, config, error);
    }
    enum vaemark_status status = check_tensor(parameter, tensor, weights->path, naming, config, error);
    if (status == VAEMARK_OK) {
        const struct shape stored = parameter_stored_shape(parameter);
        parameter->tensor = tensor_make(parameter->name, tensor->dtype, &stored, tensor->data);
    }
    return status;
}

enum vaemark_status graph_bind_weights(struct vaemark_graph *graph, const struct weights *weights,
                                       const struct naming *naming, const json_t *config, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < graph->parameter_count; i++) {
        if (graph->parameters[i].origin == PARAMETER_STORED) {
            status = bind_parameter(&graph->parameters[i], weights, naming, config, error);
        }
    }
    return status;
}

/* One loop for both precisions: `read` stores elements at `out`, `element_size_bytes` apart. */
static void read_parameter(char *out, size_t element_size_bytes, const struct vaemark_graph *graph, int32_t parameter,
                           void (*read)(char *out, const struct graph_parameter *parameter, int64_t count)) {
    const struct graph_parameter *wanted = &graph->parameters[parameter];
    if (wanted->origin == PARAMETER_STORED) {
        read(out, wanted, shape_element_count(&wanted->shape));
        return;
    }
    /* Row-major: rows one below the other are the sources one behind the other. */
    for (size_t i = 0; i < sizeof wanted->sources / sizeof wanted->sources[0]; i++) {
        const struct graph_parameter *source = &graph->parameters[wanted->sources[i]];
        int64_t count = shape_element_count(&source->shape);
        read(out, source, count);
        out += (size_t)count * element_size_bytes;
    }
}

static void read_f32(char *out, const struct graph_parameter *parameter, int64_t count) {
    parameter_read_f32((float *)(void *)out, parameter, 0, count);
}

static void read_f64(char *out, const struct graph_parameter *parameter, int64_t count) {
    parameter_read_f64((double *)(void *)out, parameter, 0, count);
}

void graph_read_parameter_f32(float *out, const struct vaemark_graph *graph, int32_t parameter) {
    read_parameter((char *)out, sizeof *out, graph, parameter, read_f32);
}

void graph_read_parameter_f64(double *out, const struct vaemark_graph *graph, int32_t parameter) {
    read_parameter((char *)out, sizeof *out, graph, parameter, read_f64);
}
