#include "harness/inputs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void inputs_free(struct input_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        free(set->tensors[i].data);
    }
    set->count = 0;
}

struct vaemark_tensors inputs_list(struct input_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        set->tensors[i].name = set->names[i]; /* the set may have been moved since */
    }
    return (struct vaemark_tensors){.items = set->tensors, .count = set->count};
}

static enum vaemark_status set_no_memory(const char *name, struct error *error) {
    return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for input '%s'", name);
}

/* Appends a tensor over `data`, which the set owns from now on. */
static void append(struct input_set *set, const char *name, enum vaemark_dtype dtype, const struct shape *shape,
                   void *data) {
    char *own_name = set->names[set->count];
    snprintf(own_name, sizeof set->names[0], "%s", name);
    set->tensors[set->count++] = tensor_make(own_name, dtype, shape, data);
}

/* Appends an F32 tensor with fresh memory; NULL when there is none. */
static float *append_f32(struct input_set *set, const char *name, const struct shape *shape) {
    int64_t count = shape_element_count(shape);
    float *data = count > 0 ? malloc((size_t)count * sizeof *data) : NULL;
    if (data) {
        append(set, name, VAEMARK_F32, shape, data);
    }
    return data;
}

/* Fills in seeded numbers close to normal, or codes that are close to uniform. False when memory is short. */
static bool append_seeded(struct input_set *set, const struct graph_input *input, const struct shape *shape,
                          uint64_t seed, const char *stream) {
    const int64_t count = shape_element_count(shape);
    if (input->rank != 3) {
        float *data = append_f32(set, input->name, shape);
        for (int64_t k = 0; data && k < count; k++) {
            data[k] = synthetic_normal(seed, stream, (uint64_t)k);
        }
        return data;
    }
    int32_t *codes = malloc((size_t)count * sizeof *codes);
    for (int64_t k = 0; codes && k < count; k++) {
        const double fine =
            (double)synthetic_normal(seed, stream, (uint64_t)k) * 1048576; /* exact: a sum of integers */
        codes[k] = (int32_t)((int64_t)(fine < 0 ? -fine : fine) % input->code_count);
    }
    if (codes) {
        append(set, input->name, VAEMARK_I32, shape, codes);
    }
    return codes;
}

enum vaemark_status inputs_make(const struct vaemark_graph *graph, uint64_t seed, int64_t batch, int64_t height,
                                int64_t width, int64_t ring, struct input_set *set, struct error *error) {
    *set = (struct input_set){0};
    for (size_t i = 0; i < graph->input_count && i < INPUTS_MAX; i++) {
        const struct graph_input *input = &graph->inputs[i];
        struct shape shape;
        char stream[96];
        if (input->optional) {
            continue;
        }
        if (!graph_input_shape(input, batch, height, width, &shape)) {
            inputs_free(set);
            return error_set(error, VAEMARK_BAD_INPUT, "no input '%s' of batch %lld, latents %lldx%lld can be made",
                             input->name, (long long)batch, (long long)height, (long long)width);
        }
        snprintf(stream, sizeof stream, "%s/%lld", input->name, (long long)ring);
        if (!append_seeded(set, input, &shape, seed, stream)) {
            inputs_free(set);
            return set_no_memory(input->name, error);
        }
    }
    return VAEMARK_OK;
}

/* Copies a tensor of the file as F32, or as the integers it holds. */
static enum vaemark_status append_copy(struct input_set *set, const char *name, const struct vaemark_tensor *found,
                                       struct error *error) {
    struct shape shape = tensor_shape(found);
    size_t size_bytes = tensor_size_bytes(found);
    bool integers = found->dtype == VAEMARK_I32 || found->dtype == VAEMARK_I64;
    if (integers) {
        void *data = malloc(size_bytes);
        if (!data) {
            return set_no_memory(name, error);
        }
        memcpy(data, found->data, size_bytes);
        append(set, name, found->dtype, &shape, data);
        return VAEMARK_OK;
    }
    float *data = append_f32(set, name, &shape);
    if (!data) {
        return set_no_memory(name, error);
    }
    tensor_read_f32(data, found, 0, shape_element_count(&shape));
    return VAEMARK_OK;
}

static enum vaemark_status check_finite(const struct vaemark_tensor *tensor, struct error *error) {
    enum { CHUNK = 1024 };
    double values[CHUNK];
    struct shape shape = tensor_shape(tensor);
    int64_t count = shape_element_count(&shape), bad = 0, first = 0;
    bool integers = tensor->dtype == VAEMARK_I32 || tensor->dtype == VAEMARK_I64;
    for (int64_t i = 0; !integers && i < count; i++) {
        if (i % CHUNK == 0) {
            tensor_read_f64(values, tensor, i, count - i < CHUNK ? count - i : CHUNK);
        }
        if (!isfinite(values[i % CHUNK])) {
            first = bad++ ? first : i;
        }
    }
    if (bad) {
        return error_set(
            error, VAEMARK_BAD_INPUT,
            "tensor '%s' holds %lld values that are NaN or infinite, the first at element %lld; such a picture "
            "is worthless (--allow-nonfinite decodes all the same)",
            tensor->name, (long long)bad, (long long)first);
    }
    return VAEMARK_OK;
}

/* x[..., w] = x[..., (w + ring) mod W] * (1 - ring / 64): exact factors, so the same on every machine. */
static void vary(struct vaemark_tensor *tensor, int64_t ring) {
    struct shape shape = tensor_shape(tensor);
    int64_t width = shape.dims[shape.rank - 1];
    int64_t rows = shape_element_count(&shape) / width;
    float factor = 1.0f - (float)ring / 64.0f;
    float *row = malloc((size_t)width * sizeof *row);
    if (!row) {
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        float *data = (float *)tensor->data + r * width;
        for (int64_t w = 0; w < width; w++) {
            row[w] = data[(w + ring) % width] * factor;
        }
        memcpy(data, row, (size_t)width * sizeof *row);
    }
    free(row);
}

/* Dimensions of zero have no data to read, and the graph's own check names them better. */
static bool has_elements(const struct vaemark_tensor *tensor) {
    struct shape shape = tensor_shape(tensor);
    return shape_element_count(&shape) > 0;
}

/* How a file is read. */
struct reading {
    const struct vaemark_graph *graph;
    const char *path;
    int64_t ring;
    bool allow_nonfinite;
    const struct model *from_diffusion_space; /* NULL: latents are as decode() takes them */
    const struct latent_size *size;           /* with it: of the latents; 0x0: not said */
};

static enum vaemark_status append_converted(const struct reading *reading, struct input_set *set,
                                            const struct vaemark_tensor *found, struct error *error) {
    struct vaemark_tensor z = {0};
    enum vaemark_status status = reading->allow_nonfinite ? VAEMARK_OK : check_finite(found, error);
    if (status == VAEMARK_OK) {
        status = latent_space_convert(reading->from_diffusion_space, found, reading->size, &z, error);
    }
    if (status == VAEMARK_OK) {
        struct shape shape = tensor_shape(&z);
        append(set, found->name, VAEMARK_F32, &shape, z.data);
    }
    return status;
}

static enum vaemark_status check_size(const struct latent_size *size, const struct vaemark_tensor *latents,
                                      struct error *error) {
    struct shape shape = tensor_shape(latents);
    int64_t height = shape.rank < 2 ? 0 : shape.dims[shape.rank - 2], width = shape.dims[shape.rank - 1];
    if (size && size->height && (height != size->height || width != size->width)) {
        return error_set(error, VAEMARK_BAD_INPUT, "tensor '%s' holds latents of %lldx%lld, not of %lldx%lld as asked",
                         latents->name, (long long)height, (long long)width, (long long)size->height,
                         (long long)size->width);
    }
    return VAEMARK_OK;
}

static enum vaemark_status read_one(const struct reading *reading, const struct weights *file,
                                    const struct graph_input *input, struct input_set *set, struct error *error) {
    const struct vaemark_tensor *found = weights_find(file, input->name);
    const char *unreadable = found ? NULL : weights_unreadable_dtype(file, input->name);
    if (unreadable) { /* a mask of BOOL, say */
        return error_set(error, VAEMARK_BAD_INPUT, "tensor '%s' is %s, which inputs cannot be; convert it to F32",
                         input->name, unreadable);
    }
    if (!found && input->optional) {
        return VAEMARK_OK; /* that all or none are there is the graph's to judge */
    }
    if (!found) {
        return error_set(error, VAEMARK_BAD_INPUT, "has no tensor '%s', which this decoder wants as an input",
                         input->name);
    }
    if (!has_elements(found)) {
        char text[160];
        struct shape shape = tensor_shape(found);
        return error_set(error, VAEMARK_BAD_INPUT, "tensor '%s' of shape %s has no elements", input->name,
                         shape_format(&shape, text, sizeof text));
    }
    return reading->from_diffusion_space && input == &reading->graph->inputs[0]
               ? append_converted(reading, set, found, error)
               : append_copy(set, input->name, found, error);
}

/* What else a file holds is nobody's business, but a condition left out in silence would be a wrong picture. */
static enum vaemark_status check_conditions(const struct vaemark_graph *graph, const struct weights *file,
                                            struct error *error) {
    const char *names[INPUTS_MAX + 1] = {NULL};
    for (size_t i = 0; i < graph->input_count && i < INPUTS_MAX; i++) {
        names[i] = graph->inputs[i].name;
    }
    for (size_t i = 0; i < weights_count(file); i++) {
        const char *name = weights_at(file, i)->name;
        const char *nearest = text_nearest(name, names);
        if (strncmp(name, "condition.", 10) == 0 && (!nearest || strcmp(nearest, name) != 0)) {
            return error_set(error, VAEMARK_BAD_INPUT,
                             "tensor '%.80s' is a condition that this model does not take%s%s%s", name,
                             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
        }
    }
    return VAEMARK_OK;
}

/* Latents that only a pipeline can have made are told as such. */
static void hint_at_packing(const struct reading *reading, const struct input_set *set, struct error *error) {
    const struct graph_input *input = &reading->graph->inputs[0];
    const struct shape shape = set->count ? tensor_shape(&set->tensors[0]) : (struct shape){0};
    bool tokens = shape.rank == 3 && input->rank > 3 && shape.dims[2] == 4 * input->channels;
    bool patches = shape.rank == 4 && input->rank == 4 && shape.dims[1] == 4 * input->channels;
    if (error && !reading->from_diffusion_space && (tokens || patches)) {
        size_t length = strlen(error->message);
        snprintf(error->message + length, sizeof error->message - length,
                 ", which looks like the %s of a diffusion pipeline: 'decode --from diffusion-space' unpacks them",
                 tokens ? "tokens" : "patches");
    }
}

static enum vaemark_status read_inputs(const struct reading *reading, struct input_set *set, struct error *error) {
    const struct vaemark_graph *graph = reading->graph;
    *set = (struct input_set){0};
    struct weights *file = NULL;
    enum vaemark_status status = weights_open(reading->path, &file, error);
    status = status == VAEMARK_OK ? check_conditions(graph, file, error) : status;
    for (size_t i = 0; status == VAEMARK_OK && i < graph->input_count && i < INPUTS_MAX; i++) {
        status = read_one(reading, file, &graph->inputs[i], set, error);
        if (status == VAEMARK_OK && !reading->allow_nonfinite && set->count > 0) {
            status = check_finite(&set->tensors[set->count - 1], error);
        }
    }
    struct shape *shapes = calloc((size_t)graph->value_count + 1, sizeof *shapes);
    if (status == VAEMARK_OK && !shapes) {
        status = set_no_memory("latents", error);
    }
    if (status == VAEMARK_OK) {
        struct vaemark_tensors list = inputs_list(set);
        status = graph_infer_shapes(graph, &list, shapes, error);
        if (status != VAEMARK_OK) {
            hint_at_packing(reading, set, error);
        }
        status = status == VAEMARK_OK ? graph_check_codes(graph, &list, error) : status;
    }
    if (status == VAEMARK_OK) {
        status = check_size(reading->size, &set->tensors[0], error);
    }
    if (status == VAEMARK_OK && reading->ring > 0 && set->tensors[0].dtype == VAEMARK_F32) {
        vary(&set->tensors[0], reading->ring);
    }
    if (status != VAEMARK_OK) {
        if (error && !error->where[0]) {
            snprintf(error->where, sizeof error->where, "%s", reading->path);
        }
        inputs_free(set);
    }
    free(shapes);
    weights_free(file);
    return status;
}

enum vaemark_status inputs_read(const struct vaemark_graph *graph, const char *path, int64_t ring, bool allow_nonfinite,
                                struct input_set *set, struct error *error) {
    struct reading reading = {.graph = graph, .path = path, .ring = ring, .allow_nonfinite = allow_nonfinite};
    return read_inputs(&reading, set, error);
}

enum vaemark_status inputs_read_diffusion_space(const struct model *model, const char *path,
                                                const struct latent_size *size, bool allow_nonfinite,
                                                struct input_set *set, struct error *error) {
    struct reading reading = {.graph = model->graph, .path = path, .allow_nonfinite = allow_nonfinite, .size = size};
    reading.from_diffusion_space = latent_space_converts(model->type->name) ? model : NULL;
    return read_inputs(&reading, set, error);
}
