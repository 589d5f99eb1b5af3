#include "reference/graph_inputs.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { SHAPE_TEXT_CAPACITY = 8 * 21 };

/* "(N,4,H,W)", for messages. */
static void input_describe(const struct graph_input *input, char *text, size_t size_bytes) {
    if (input->rank == 3) {
        snprintf(text, size_bytes, "integer codes (N,H,W)");
    } else if (input->rank == 5) {
        snprintf(text, size_bytes, "(N,%lld,1,H,W)", (long long)input->channels);
    } else if (input->rank == 4) {
        snprintf(text, size_bytes, "(N,%lld,H,W)", (long long)input->channels);
    } else {
        snprintf(text, size_bytes, "rank %d with %lld channels", (int)input->rank, (long long)input->channels);
    }
}

static bool is_integer(enum vaemark_dtype dtype) {
    return dtype == VAEMARK_I32 || dtype == VAEMARK_I64;
}

static enum vaemark_status input_check_dtype(const struct graph_input *input, const struct vaemark_tensor *tensor,
                                             struct error *error) {
    if (is_integer(tensor->dtype) == (input->rank == 3)) {
        return VAEMARK_OK;
    }
    return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted %s, found %s", input->name,
                     input->rank == 3 ? "integer codes (I32 or I64), which are looked up in the codebook"
                                      : "floating point (F32, F64, F16 or BF16)",
                     dtype_name(tensor->dtype));
}

/* Sizes of at least 1, contiguous, addressable. */
static enum vaemark_status input_check_layout(const struct graph_input *input, const struct vaemark_tensor *tensor,
                                              const struct shape *shape, const char *found, struct error *error) {
    int64_t stride = 1;

    for (int32_t axis = shape->rank - 1; axis >= 0; axis--) {
        if (shape->dims[axis] < 1) {
            return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted every size at least 1, found %s", input->name,
                             found);
        }
        if (shape->dims[axis] > 1 && tensor->strides[axis] != stride) {
            return error_set(error, VAEMARK_BAD_INPUT,
                             "input %s: wanted a contiguous tensor, found stride %lld at axis %d of %s", input->name,
                             (long long)tensor->strides[axis], (int)axis, found);
        }
        if (__builtin_mul_overflow(stride, shape->dims[axis], &stride) || stride > MAX_VALUE_ELEMENTS) {
            return error_set(error, VAEMARK_BAD_INPUT, "input %s: %s is too large to address", input->name, found);
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status input_check(const struct graph_input *input, const struct vaemark_tensor *tensor,
                                       struct error *error) {
    char wanted[64], found[SHAPE_TEXT_CAPACITY];
    struct shape shape;

    input_describe(input, wanted, sizeof wanted);
    if (tensor->rank < 0 || tensor->rank > VAEMARK_MAX_RANK) {
        return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted %s, found rank %d", input->name, wanted,
                         (int)tensor->rank);
    }
    shape = tensor_shape(tensor);
    shape_format(&shape, found, sizeof found);
    if (shape.rank != input->rank || (shape.rank >= 2 && shape.rank != 3 && shape.dims[1] != input->channels)) {
        /* Codes for vectors, or the reverse: the shape follows from that. */
        const bool other_kind = is_integer(tensor->dtype) != (input->rank == 3);
        return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted %s, found %s%s%s", input->name, wanted, found,
                         other_kind ? " of " : "", other_kind ? dtype_name(tensor->dtype) : "");
    }
    if (shape.rank == 5 && shape.dims[2] != 1) {
        return error_set(error, VAEMARK_BAD_INPUT,
                         "input %s: wanted one frame, %s, found %s: pictures are decoded here, not films", input->name,
                         wanted, found);
    }
    const enum vaemark_status status = input_check_layout(input, tensor, &shape, found, error);
    return status == VAEMARK_OK ? input_check_dtype(input, tensor, error) : status;
}

/* Against the latents: the same batch, and their size times `scale`. */
static enum vaemark_status input_check_size(const struct graph_input *input, const struct shape *shape,
                                            const struct graph_input *latents, const struct shape *latents_shape,
                                            struct error *error) {
    struct shape wanted = *shape;
    char wanted_text[SHAPE_TEXT_CAPACITY], found[SHAPE_TEXT_CAPACITY], base[SHAPE_TEXT_CAPACITY];

    wanted.dims[0] = latents_shape->dims[0];
    if (wanted.rank == 4 && latents_shape->rank == 4) {
        for (int axis = 2; axis < 4; axis++) {
            if (__builtin_mul_overflow(latents_shape->dims[axis], input->scale, &wanted.dims[axis])) {
                wanted.dims[axis] = INT64_MAX;
            }
        }
    }
    if (shape_equal(&wanted, shape)) {
        return VAEMARK_OK;
    }
    return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted %s to go with %s of %s, found %s", input->name,
                     shape_format(&wanted, wanted_text, sizeof wanted_text), latents->name,
                     shape_format(latents_shape, base, sizeof base), shape_format(shape, found, sizeof found));
}

/* Every tensor given must be one that the graph reads, and be there once. */
static enum vaemark_status inputs_check_names(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                              struct error *error) {
    const char *names[sizeof graph->inputs / sizeof graph->inputs[0] + 1] = {NULL};

    for (size_t i = 0; i < graph->input_count; i++) {
        names[i] = graph->inputs[i].name;
    }
    for (size_t i = 0; i < inputs->count; i++) {
        const char *name = inputs->items[i].name == NULL ? "" : inputs->items[i].name;
        size_t known = 0;
        while (known < graph->input_count && strcmp(names[known], name) != 0) {
            known++;
        }
        if (known == graph->input_count) {
            const char *nearest = text_nearest(name, names);
            return error_set(error, VAEMARK_BAD_INPUT, "input '%s' is not one of this model's%s%s%s", name,
                             nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                             nearest == NULL ? "" : "'?");
        }
        if (tensors_find(inputs, name) != &inputs->items[i]) {
            return error_set(error, VAEMARK_BAD_INPUT, "input '%s' is given twice", name);
        }
    }
    return VAEMARK_OK;
}

/* One half of a condition would be ignored in silence. Names an optional input that is given, NULL where none is. */
static const char *find_given_optional(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs) {
    for (size_t i = 0; i < graph->input_count; i++) {
        if (graph->inputs[i].optional && tensors_find(inputs, graph->inputs[i].name) != NULL) {
            return graph->inputs[i].name;
        }
    }
    return NULL;
}

static enum vaemark_status report_missing(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                          const struct graph_input *input, struct error *error) {
    char wanted[64];

    input_describe(input, wanted, sizeof wanted);
    return error_set(error, VAEMARK_BAD_INPUT, "input %s is missing: this model wants it as %s%s%s", input->name,
                     wanted, input->optional ? ", beside " : "",
                     input->optional ? find_given_optional(graph, inputs) : "");
}

enum vaemark_status graph_infer_inputs(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                       struct shape *shapes, struct error *error) {
    enum vaemark_status status = inputs_check_names(graph, inputs, error);
    const bool with_optional = find_given_optional(graph, inputs) != NULL;

    for (size_t i = 0; status == VAEMARK_OK && i < graph->input_count; i++) {
        const struct graph_input *input = &graph->inputs[i];
        const struct vaemark_tensor *tensor = tensors_find(inputs, input->name);
        struct shape *shape = &shapes[input->value];
        if (tensor == NULL && input->optional && !with_optional) {
            continue;
        }
        status = tensor == NULL ? report_missing(graph, inputs, input, error) : input_check(input, tensor, error);
        if (status != VAEMARK_OK) {
            return status;
        }
        *shape = tensor_shape(tensor);
        if (shape->rank == 5) {
            *shape =
                (struct shape){.rank = 4, .dims = {shape->dims[0], shape->dims[1], shape->dims[3], shape->dims[4]}};
        }
        status = input_check_size(input, shape, &graph->inputs[0], &shapes[graph->inputs[0].value], error);
    }
    return status;
}

enum vaemark_status graph_check_codes(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                      struct error *error) {
    for (size_t i = 0; i < graph->input_count; i++) {
        const struct graph_input *input = &graph->inputs[i];
        const struct vaemark_tensor *tensor = tensors_find(inputs, input->name);
        if (input->rank != 3 || tensor == NULL || tensor->data == NULL || !is_integer(tensor->dtype)) {
            continue;
        }
        const struct shape shape = tensor_shape(tensor);
        const int64_t count = shape_element_count(&shape);
        for (int64_t k = 0; k < count; k++) {
            const int64_t code =
                tensor->dtype == VAEMARK_I32 ? ((const int32_t *)tensor->data)[k] : ((const int64_t *)tensor->data)[k];
            if (code < 0 || code >= input->code_count) {
                return error_set(error, VAEMARK_BAD_INPUT,
                                 "input %s: the code at element %lld is %lld, but the codebook has rows 0 to %lld",
                                 input->name, (long long)k, (long long)code, (long long)input->code_count - 1);
            }
        }
    }
    return VAEMARK_OK;
}

bool graph_input_shape(const struct graph_input *input, int64_t batch, int64_t height, int64_t width,
                       struct shape *shape) {
    int64_t scaled_height, scaled_width;

    if (__builtin_mul_overflow(height, (int64_t)input->scale, &scaled_height) ||
        __builtin_mul_overflow(width, (int64_t)input->scale, &scaled_width)) {
        return false;
    }
    *shape = (struct shape){.rank = 4, .dims = {batch, input->channels, scaled_height, scaled_width}};
    if (input->rank == 5) {
        *shape = (struct shape){.rank = 5, .dims = {batch, input->channels, 1, scaled_height, scaled_width}};
    } else if (input->rank == 3) {
        *shape = (struct shape){.rank = 3, .dims = {batch, scaled_height, scaled_width}};
    }
    return input->rank >= 3 && input->rank <= 5 && shape_element_count(shape) > 0;
}
