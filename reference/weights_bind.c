/* Binding the parameters of a graph to the tensors of a file, and reading them. */
#include <stdlib.h>
#include <string.h>

#include "reference/weights_internal.h"

/* A tensor of the file under the graph's way of naming. */
struct alias {
    char *name;
    const struct vaemark_tensor *tensor;
};

struct alias_list {
    struct alias *items;
    size_t count;
};

enum { MAX_NAME_BYTES = 512 };

static int compare_aliases(const void *left, const void *right) {
    return strcmp(((const struct alias *)left)->name, ((const struct alias *)right)->name);
}

static void alias_list_free(struct alias_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
    }
    free(list->items);
}

/* The tensors that `canonical_name` renames, sorted by new name. False when memory is short. */
static bool alias_list_make(struct alias_list *list, const struct weights *weights,
                            void (*canonical_name)(const char *, char *, size_t)) {
    *list = (struct alias_list){.items = calloc(weights->count + 1, sizeof *list->items)};
    if (list->items == NULL) {
        return false;
    }
    for (size_t i = 0; canonical_name != NULL && i < weights->count; i++) {
        char canonical[MAX_NAME_BYTES];
        canonical_name(weights->items[i].name, canonical, sizeof canonical);
        if (strcmp(canonical, weights->items[i].name) == 0) {
            continue;
        }
        struct alias alias = {.name = strdup(canonical), .tensor = &weights->items[i]};
        if (alias.name == NULL) {
            return false;
        }
        list->items[list->count++] = alias;
    }
    qsort(list->items, list->count, sizeof *list->items, compare_aliases);
    return true;
}

static const struct vaemark_tensor *alias_list_find(const struct alias_list *list, const char *name) {
    struct alias key = {.name = (char *)name};
    const struct alias *found = bsearch(&key, list->items, list->count, sizeof *list->items, compare_aliases);
    return found == NULL ? NULL : found->tensor;
}

/* A vector stored as (C), (C,1) or (C,1,1,1) is the same vector, and a 1x1 convolution the same matrix. */
static bool same_up_to_trailing_ones(struct shape a, struct shape b) {
    while (a.rank > 1 && a.dims[a.rank - 1] == 1) {
        a.rank--;
    }
    while (b.rank > 1 && b.dims[b.rank - 1] == 1) {
        b.rank--;
    }
    return shape_equal(&a, &b);
}

static enum vaemark_status report_missing(const struct graph_parameter *parameter, const struct weights *weights,
                                          void (*canonical_name)(const char *, char *, size_t), struct error *error) {
    char place[512], shape[256], canonical[MAX_NAME_BYTES];
    weights_place(place, weights->path, parameter->name);
    shape_format(&parameter->shape, shape, sizeof shape);
    for (size_t i = 0; i < weights->unreadable_count; i++) {
        const struct unreadable_tensor *other = &weights->unreadable[i];
        canonical[0] = '\0';
        if (canonical_name != NULL) {
            canonical_name(other->name, canonical, sizeof canonical);
        }
        if (strcmp(other->name, parameter->name) == 0 || strcmp(canonical, parameter->name) == 0) {
            return error_set_at(error, VAEMARK_BAD_INPUT, place,
                                "is stored as %s, which cannot be computed with; convert the checkpoint to F32, F16 or "
                                "BF16",
                                other->dtype);
        }
    }
    if (weights->count == 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "is missing (wanted: shape %s); the file holds no tensor",
                            shape);
    }
    char example[512];
    weights_place(example, "", weights->items[0].name);
    return error_set_at(error, VAEMARK_BAD_INPUT, place,
                        "is missing (wanted: shape %s); the file holds %zu tensors, the first by name is%.200s. Is it "
                        "a checkpoint of this model, in the naming of its config.json?",
                        shape, weights->count, strchr(example, '\''));
}

static enum vaemark_status check_tensor(const struct graph_parameter *parameter, const struct vaemark_tensor *tensor,
                                        const char *path, struct error *error) {
    char place[512], wanted[256], found[256];
    struct shape shape = tensor_shape(tensor);
    weights_place(place, path, tensor->name);
    if (!same_up_to_trailing_ones(parameter->shape, shape)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "has shape %s, wanted %s: the configuration and the weights are of different models",
                            shape_format(&shape, found, sizeof found),
                            shape_format(&parameter->shape, wanted, sizeof wanted));
    }
    if (tensor->dtype == VAEMARK_I32 || tensor->dtype == VAEMARK_I64) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "is stored as %s; a parameter is wanted in F64, F32, F16 or BF16",
                            dtype_name(tensor->dtype));
    }
    return VAEMARK_OK;
}

static enum vaemark_status bind_parameter(struct graph_parameter *parameter, const struct weights *weights,
                                          const struct alias_list *aliases,
                                          void (*canonical_name)(const char *, char *, size_t), struct error *error) {
    char place[512];
    const struct vaemark_tensor *tensor = weights_find(weights, parameter->name);
    const struct vaemark_tensor *renamed = alias_list_find(aliases, parameter->name);
    if (tensor != NULL && renamed != NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights_place(place, weights->path, parameter->name),
                            "is there twice, also as '%.200s': two layouts of names in one file", renamed->name);
    }
    tensor = tensor != NULL ? tensor : renamed;
    if (tensor == NULL) {
        return report_missing(parameter, weights, canonical_name, error);
    }
    enum vaemark_status status = check_tensor(parameter, tensor, weights->path, error);
    if (status == VAEMARK_OK) {
        parameter->tensor = tensor_make(parameter->name, tensor->dtype, &parameter->shape, tensor->data);
    }
    return status;
}

enum vaemark_status graph_bind_weights(struct vaemark_graph *graph, const struct weights *weights,
                                       void (*canonical_name)(const char *, char *, size_t), struct error *error) {
    struct alias_list aliases;
    enum vaemark_status status = VAEMARK_OK;
    if (!alias_list_make(&aliases, weights, canonical_name)) {
        status = error_set_at(error, VAEMARK_OUT_OF_MEMORY, weights->path, "no memory for its names");
    }
    for (size_t i = 0; status == VAEMARK_OK && i < graph->parameter_count; i++) {
        if (graph->parameters[i].origin == PARAMETER_STORED) {
            status = bind_parameter(&graph->parameters[i], weights, &aliases, canonical_name, error);
        }
    }
    alias_list_free(&aliases);
    return status;
}

/* One loop for both precisions: `read` stores elements at `out`, `element_size_bytes` apart. */
static void read_parameter(char *out, size_t element_size_bytes, const struct vaemark_graph *graph, int32_t parameter,
                           void (*read)(char *out, const struct vaemark_tensor *tensor, int64_t count)) {
    const struct graph_parameter *wanted = &graph->parameters[parameter];
    if (wanted->origin == PARAMETER_STORED) {
        read(out, &wanted->tensor, shape_element_count(&wanted->shape));
        return;
    }
    /* Row-major: rows one below the other are the sources one behind the other. */
    for (size_t i = 0; i < sizeof wanted->sources / sizeof wanted->sources[0]; i++) {
        const struct graph_parameter *source = &graph->parameters[wanted->sources[i]];
        int64_t count = shape_element_count(&source->shape);
        read(out, &source->tensor, count);
        out += (size_t)count * element_size_bytes;
    }
}

static void read_f32(char *out, const struct vaemark_tensor *tensor, int64_t count) {
    tensor_read_f32((float *)(void *)out, tensor, 0, count);
}

static void read_f64(char *out, const struct vaemark_tensor *tensor, int64_t count) {
    tensor_read_f64((double *)(void *)out, tensor, 0, count);
}

void graph_read_parameter_f32(float *out, const struct vaemark_graph *graph, int32_t parameter) {
    read_parameter((char *)out, sizeof *out, graph, parameter, read_f32);
}

void graph_read_parameter_f64(double *out, const struct vaemark_graph *graph, int32_t parameter) {
    read_parameter((char *)out, sizeof *out, graph, parameter, read_f64);
}
