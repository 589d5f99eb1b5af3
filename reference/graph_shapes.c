/* Shapes of a graph's values for given inputs. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "reference/graph.h"

enum { SHAPE_TEXT_CAPACITY = 8 * 21 };

/* A value of more elements than that could not be addressed in double precision. */
static const int64_t MAX_VALUE_ELEMENTS = INT64_MAX / 16;

/* The node whose output is being found. */
struct inference {
    const struct vaemark_graph *graph;
    const struct graph_node *node;
    const struct shape *in[GRAPH_MAX_NODE_INPUTS];
    struct error *error;
};

static enum vaemark_status inference_fail(const struct inference *at, const char *wanted, const struct shape *found) {
    char text[SHAPE_TEXT_CAPACITY];
    const struct graph_node *node = at->node;

    return error_set(at->error, VAEMARK_BAD_INPUT,
                     "these inputs do not fit the model: %s%s%s (node %zu) wanted %s, found %s", op_name(node->op),
                     node->module[0] == '\0' ? "" : " ", node->module, (size_t)(node - at->graph->nodes), wanted,
                     shape_format(found, text, sizeof text));
}

static const struct shape *parameter_shape(const struct inference *at, int32_t index) {
    return &at->graph->parameters[at->node->parameters[index]].shape;
}

/* The input must have that rank and that many channels. */
static enum vaemark_status expect_channels(const struct inference *at, int32_t rank, int64_t channels) {
    char wanted[64];

    if (at->in[0]->rank == rank && at->in[0]->dims[1] == channels) {
        return VAEMARK_OK;
    }
    snprintf(wanted, sizeof wanted, "rank %d with %lld channels", (int)rank, (long long)channels);
    return inference_fail(at, wanted, at->in[0]);
}

static enum vaemark_status expect_image(const struct inference *at) {
    return at->in[0]->rank == 4 ? VAEMARK_OK : inference_fail(at, "(N,C,H,W)", at->in[0]);
}

static enum vaemark_status expect_same(const struct inference *at, const struct shape *a, const struct shape *b) {
    char wanted[SHAPE_TEXT_CAPACITY];

    return shape_equal(a, b) ? VAEMARK_OK : inference_fail(at, shape_format(a, wanted, sizeof wanted), b);
}

static enum vaemark_status infer_conv2d(const struct inference *at, struct shape *out) {
    const struct shape *weight = parameter_shape(at, 0);
    const int64_t stride = at->node->attributes.conv2d.stride, padding = at->node->attributes.conv2d.padding;
    enum vaemark_status status = expect_channels(at, 4, weight->dims[1] * at->node->attributes.conv2d.groups);

    if (status != VAEMARK_OK) {
        return status;
    }
    *out = *at->in[0];
    out->dims[1] = weight->dims[0];
    for (int axis = 2; axis < 4; axis++) {
        int64_t room;
        if (__builtin_add_overflow(at->in[0]->dims[axis], 2 * padding - weight->dims[axis], &room) || room < 0) {
            return inference_fail(at, "an image no smaller than the kernel", at->in[0]);
        }
        out->dims[axis] = room / stride + 1;
    }
    return VAEMARK_OK;
}

static enum vaemark_status infer_linear(const struct inference *at, struct shape *out) {
    const struct shape *weight = parameter_shape(at, 0);
    enum vaemark_status status = expect_channels(at, at->in[0]->rank == 2 ? 2 : 4, weight->dims[1]);

    if (status == VAEMARK_OK) {
        *out = *at->in[0];
        out->dims[1] = weight->dims[0];
    }
    return status;
}

static enum vaemark_status infer_group_norm(const struct inference *at, struct shape *out) {
    *out = *at->in[0];
    return expect_channels(at, 4, parameter_shape(at, 0)->dims[0]);
}

static enum vaemark_status infer_same(const struct inference *at, struct shape *out) {
    *out = *at->in[0];
    return VAEMARK_OK;
}

static enum vaemark_status infer_add(const struct inference *at, struct shape *out) {
    *out = *at->in[0];
    return expect_same(at, at->in[0], at->in[1]);
}

static enum vaemark_status infer_affine(const struct inference *at, struct shape *out) {
    const int32_t count = at->node->attributes.affine.count;

    *out = *at->in[0];
    return count == 1 || (out->rank >= 2 && out->dims[1] == count) ? VAEMARK_OK : expect_channels(at, out->rank, count);
}

static enum vaemark_status infer_scale_shift(const struct inference *at, struct shape *out) {
    const struct shape *x = at->in[0], *e = at->in[1];
    enum vaemark_status status = expect_image(at);

    *out = *x;
    if (status == VAEMARK_OK && !(e->rank == 2 && e->dims[1] % 2 == 0 && e->dims[1] / 2 == x->dims[1] &&
                                  (e->dims[0] == 1 || e->dims[0] == x->dims[0]))) {
        return inference_fail(at, "a scale and a shift for every channel, (1 or N, 2C)", e);
    }
    return status;
}

static enum vaemark_status infer_upsample_nearest(const struct inference *at, struct shape *out) {
    const int64_t factor = at->node->attributes.upsample_nearest.factor;
    enum vaemark_status status = expect_image(at);

    if (status != VAEMARK_OK) {
        return status;
    }
    *out = *at->in[0];
    if (__builtin_mul_overflow(out->dims[2], factor, &out->dims[2]) ||
        __builtin_mul_overflow(out->dims[3], factor, &out->dims[3])) {
        return inference_fail(at, "a smaller image", at->in[0]);
    }
    return VAEMARK_OK;
}

static enum vaemark_status infer_avg_pool(const struct inference *at, struct shape *out) {
    enum vaemark_status status = expect_image(at);

    if (status != VAEMARK_OK) {
        return status;
    }
    *out = *at->in[0];
    out->dims[2] /= 2;
    out->dims[3] /= 2;
    if (out->dims[2] < 1 || out->dims[3] < 1) {
        return inference_fail(at, "at least 2x2 pixels", at->in[0]);
    }
    return VAEMARK_OK;
}

static enum vaemark_status infer_concat(const struct inference *at, struct shape *out) {
    struct shape other = *at->in[1];

    *out = *at->in[0];
    if (out->rank >= 2 && other.rank == out->rank) {
        other.dims[1] = out->dims[1]; /* only the channels may differ */
    }
    if (out->rank < 2 || !shape_equal(out, &other)) {
        char first[SHAPE_TEXT_CAPACITY], wanted[SHAPE_TEXT_CAPACITY + 64];
        snprintf(wanted, sizeof wanted, "the same batch and size as %s", shape_format(out, first, sizeof first));
        return inference_fail(at, wanted, at->in[1]);
    }
    if (__builtin_add_overflow(out->dims[1], at->in[1]->dims[1], &out->dims[1])) {
        return inference_fail(at, "fewer channels", at->in[1]);
    }
    return VAEMARK_OK;
}

static enum vaemark_status infer_slice(const struct inference *at, struct shape *out) {
    const int64_t first = at->node->attributes.slice.first, count = at->node->attributes.slice.count;

    *out = *at->in[0];
    if (out->rank < 2 || first < 0 || count < 1 || first > out->dims[1] || count > out->dims[1] - first) {
        char wanted[96];
        snprintf(wanted, sizeof wanted, "channels %lld to %lld", (long long)first, (long long)(first + count));
        return inference_fail(at, wanted, at->in[0]);
    }
    out->dims[1] = count;
    return VAEMARK_OK;
}

static enum vaemark_status infer_embedding(const struct inference *at, struct shape *out) {
    *out = (struct shape){.rank = 2, .dims = {1, parameter_shape(at, 0)->dims[1]}};
    return VAEMARK_OK;
}

static enum vaemark_status infer_attention(const struct inference *at, struct shape *out) {
    enum vaemark_status status = expect_image(at);

    if (status != VAEMARK_OK) {
        return status;
    }
    *out = *at->in[0];
    if (at->node->input_count == 1) {
        out->dims[1] /= 3;
        return at->in[0]->dims[1] % 3 == 0 ? VAEMARK_OK : inference_fail(at, "q, k and v in 3C channels", at->in[0]);
    }
    status = expect_same(at, at->in[0], at->in[1]);
    return status != VAEMARK_OK ? status : expect_same(at, at->in[0], at->in[2]);
}

static enum vaemark_status (*const infer[OP_COUNT])(const struct inference *, struct shape *) = {
    [OP_CONV2D] = infer_conv2d,
    [OP_LINEAR] = infer_linear,
    [OP_GROUP_NORM] = infer_group_norm,
    [OP_SILU] = infer_same,
    [OP_RELU] = infer_same,
    [OP_TANH_CLAMP] = infer_same,
    [OP_ADD] = infer_add,
    [OP_AFFINE] = infer_affine,
    [OP_SCALE_SHIFT] = infer_scale_shift,
    [OP_UPSAMPLE_NEAREST] = infer_upsample_nearest,
    [OP_AVG_POOL] = infer_avg_pool,
    [OP_CONCAT] = infer_concat,
    [OP_SLICE] = infer_slice,
    [OP_EMBEDDING] = infer_embedding,
    [OP_ATTENTION] = infer_attention,
};

/* "latents (N,4,H,W)", for messages. */
static void input_describe(const struct graph_input *input, char *text, size_t size_bytes) {
    if (input->rank == 4) {
        snprintf(text, size_bytes, "(N,%lld,H,W)", (long long)input->channels);
    } else {
        snprintf(text, size_bytes, "rank %d with %lld channels", (int)input->rank, (long long)input->channels);
    }
}

/* The tensor by itself: rank, channels, dtype, sizes, strides. */
static enum vaemark_status input_check(const struct graph_input *input, const struct vaemark_tensor *tensor,
                                       struct error *error) {
    char wanted[64], found[SHAPE_TEXT_CAPACITY];
    struct shape shape;
    int64_t stride = 1;

    input_describe(input, wanted, sizeof wanted);
    if (tensor->rank < 0 || tensor->rank > VAEMARK_MAX_RANK) {
        return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted %s, found rank %d", input->name, wanted,
                         (int)tensor->rank);
    }
    shape = tensor_shape(tensor);
    shape_format(&shape, found, sizeof found);
    if (shape.rank != input->rank || (shape.rank >= 2 && shape.dims[1] != input->channels)) {
        return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted %s, found %s", input->name, wanted, found);
    }
    for (int32_t axis = shape.rank - 1; axis >= 0; axis--) {
        if (shape.dims[axis] < 1) {
            return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted every size at least 1, found %s", input->name,
                             found);
        }
        if (shape.dims[axis] > 1 && tensor->strides[axis] != stride) {
            return error_set(error, VAEMARK_BAD_INPUT,
                             "input %s: wanted a contiguous tensor, found stride %lld at axis %d of %s", input->name,
                             (long long)tensor->strides[axis], (int)axis, found);
        }
        if (__builtin_mul_overflow(stride, shape.dims[axis], &stride) || stride > MAX_VALUE_ELEMENTS) {
            return error_set(error, VAEMARK_BAD_INPUT, "input %s: %s is too large to address", input->name, found);
        }
    }
    if (tensor->dtype != VAEMARK_F32 && tensor->dtype != VAEMARK_F64 && tensor->dtype != VAEMARK_F16 &&
        tensor->dtype != VAEMARK_BF16) {
        return error_set(error, VAEMARK_BAD_INPUT, "input %s: wanted floating point (F32, F64, F16 or BF16), found %s",
                         input->name, dtype_name(tensor->dtype));
    }
    return VAEMARK_OK;
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

static enum vaemark_status inputs_infer(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                        struct shape *shapes, struct error *error) {
    enum vaemark_status status = inputs_check_names(graph, inputs, error);

    for (size_t i = 0; status == VAEMARK_OK && i < graph->input_count; i++) {
        const struct graph_input *input = &graph->inputs[i];
        const struct vaemark_tensor *tensor = tensors_find(inputs, input->name);
        if (tensor == NULL) {
            char wanted[64];
            input_describe(input, wanted, sizeof wanted);
            return error_set(error, VAEMARK_BAD_INPUT, "input %s is missing: this model wants it as %s", input->name,
                             wanted);
        }
        status = input_check(input, tensor, error);
        if (status != VAEMARK_OK) {
            return status;
        }
        shapes[input->value] = tensor_shape(tensor);
        status =
            input_check_size(input, &shapes[input->value], &graph->inputs[0], &shapes[graph->inputs[0].value], error);
    }
    return status;
}

enum vaemark_status graph_infer_shapes(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                       struct shape *shapes, struct error *error) {
    enum vaemark_status status;

    for (int32_t i = 0; i < graph->value_count; i++) {
        shapes[i] = (struct shape){0};
    }
    status = inputs_infer(graph, inputs, shapes, error);
    for (size_t i = 0; status == VAEMARK_OK && i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];
        struct inference at = {.graph = graph, .node = node, .error = error};
        struct shape *out = &shapes[node->output];
        for (int32_t j = 0; j < node->input_count; j++) {
            at.in[j] = &shapes[node->inputs[j]];
        }
        status = infer[node->op](&at, out);
        if (status == VAEMARK_OK) {
            const int64_t elements = shape_element_count(out);
            if (elements < 0 || elements > MAX_VALUE_ELEMENTS) {
                status = inference_fail(&at, "a size that can be addressed", at.in[0]);
            }
        }
    }
    return status;
}
