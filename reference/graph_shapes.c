/* Shapes of a graph's values for given inputs. */
#include <stdio.h>
#include <string.h>

#include "reference/graph_inputs.h"

enum { SHAPE_TEXT_CAPACITY = 8 * 21 };

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

/* The framework takes the divisor for one more row of v, which needs q, k and v of D channels each. */
static enum vaemark_status infer_linear_attention(const struct inference *at, struct shape *out) {
    const int64_t head = 3 * (int64_t)at->node->attributes.linear_attention.head_channels;
    enum vaemark_status status = expect_image(at);

    if (status != VAEMARK_OK) {
        return status;
    }
    *out = *at->in[0];
    out->dims[1] /= 3;
    return at->in[0]->dims[1] % head == 0 ? VAEMARK_OK : inference_fail(at, "q, k and v of every head", at->in[0]);
}

static enum vaemark_status infer_norm(const struct inference *at, struct shape *out) {
    *out = *at->in[0];
    return expect_channels(at, 4, parameter_shape(at, 0)->dims[0]);
}

/* An image of the same size with as many channels, or one that serves all of them. */
static enum vaemark_status expect_mask(const struct inference *at, const struct shape *mask, bool or_whole) {
    struct shape wanted = *at->in[0];

    if (or_whole && shape_equal(&wanted, mask)) {
        return VAEMARK_OK;
    }
    wanted.dims[1] = 1;
    return expect_same(at, &wanted, mask);
}

static enum vaemark_status infer_multiply(const struct inference *at, struct shape *out) {
    enum vaemark_status status = expect_image(at);

    *out = *at->in[0];
    return status == VAEMARK_OK ? expect_mask(at, at->in[1], true) : status;
}

static enum vaemark_status infer_mix(const struct inference *at, struct shape *out) {
    enum vaemark_status status = expect_image(at);

    *out = *at->in[0];
    status = status == VAEMARK_OK ? expect_same(at, at->in[0], at->in[1]) : status;
    return status == VAEMARK_OK ? expect_mask(at, at->in[2], false) : status;
}

static enum vaemark_status infer_subsample(const struct inference *at, struct shape *out) {
    const int64_t factor = at->node->attributes.subsample.factor;
    enum vaemark_status status = expect_image(at);

    if (status != VAEMARK_OK) {
        return status;
    }
    *out = *at->in[0];
    if (out->dims[2] % factor != 0 || out->dims[3] % factor != 0) {
        return inference_fail(at, "sizes that the factor divides", at->in[0]);
    }
    out->dims[2] /= factor;
    out->dims[3] /= factor;
    return VAEMARK_OK;
}

/* The builder has checked that no index wraps; the last one must be a channel. */
static enum vaemark_status infer_channels_to_space(const struct inference *at, struct shape *out) {
    const union op_attributes *a = &at->node->attributes;
    const int64_t factor = a->channels_to_space.factor;
    enum vaemark_status status = expect_image(at);

    if (status != VAEMARK_OK) {
        return status;
    }
    *out = *at->in[0];
    const int64_t last =
        (a->channels_to_space.by_channel * (a->channels_to_space.channels - 1) +
         (a->channels_to_space.by_row + a->channels_to_space.by_column) * (factor - 1) + a->channels_to_space.offset) /
        a->channels_to_space.divisor;
    if (last + 1 != out->dims[1]) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%lld channels", (long long)last + 1);
        return inference_fail(at, wanted, at->in[0]);
    }
    out->dims[1] = a->channels_to_space.channels;
    if (__builtin_mul_overflow(out->dims[2], factor, &out->dims[2]) ||
        __builtin_mul_overflow(out->dims[3], factor, &out->dims[3])) {
        return inference_fail(at, "a smaller image", at->in[0]);
    }
    return VAEMARK_OK;
}

static enum vaemark_status infer_lookup(const struct inference *at, struct shape *out) {
    const struct shape *codes = at->in[0];

    if (codes->rank != 3) {
        return inference_fail(at, "codes (N,H,W)", codes);
    }
    *out = (struct shape){.rank = 4,
                          .dims = {codes->dims[0], parameter_shape(at, 0)->dims[1], codes->dims[1], codes->dims[2]}};
    return VAEMARK_OK;
}

static enum vaemark_status infer_quantize(const struct inference *at, struct shape *out) {
    *out = *at->in[0];
    return expect_channels(at, 4, parameter_shape(at, 0)->dims[1]);
}

static enum vaemark_status (*const infer[OP_COUNT])(const struct inference *, struct shape *) = {
    [OP_CONV2D] = infer_conv2d,
    [OP_LINEAR] = infer_linear,
    [OP_GROUP_NORM] = infer_norm,
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
    [OP_LINEAR_ATTENTION] = infer_linear_attention,
    [OP_RMS_NORM] = infer_norm,
    [OP_BATCH_NORM] = infer_norm,
    [OP_MULTIPLY] = infer_multiply,
    [OP_MIX] = infer_mix,
    [OP_CLAMP] = infer_same,
    [OP_SUBSAMPLE] = infer_subsample,
    [OP_CHANNELS_TO_SPACE] = infer_channels_to_space,
    [OP_LOOKUP] = infer_lookup,
    [OP_QUANTIZE] = infer_quantize,
};

/* What is computed from an absent value is absent, too; a mix without its second half is its first. */
static bool infer_absent(const struct inference *at, struct shape *out) {
    for (int32_t j = 0; j < at->node->input_count; j++) {
        if (at->in[j]->rank == 0) {
            *out = at->node->op == OP_MIX ? *at->in[0] : (struct shape){0};
            return true;
        }
    }
    return false;
}

enum vaemark_status graph_infer_shapes(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                       struct shape *shapes, struct error *error) {
    enum vaemark_status status;

    for (int32_t i = 0; i < graph->value_count; i++) {
        shapes[i] = (struct shape){0};
    }
    status = graph_infer_inputs(graph, inputs, shapes, error);
    for (size_t i = 0; status == VAEMARK_OK && i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];
        struct inference at = {.graph = graph, .node = node, .error = error};
        struct shape *out = &shapes[node->output];
        for (int32_t j = 0; j < node->input_count; j++) {
            at.in[j] = &shapes[node->inputs[j]];
        }
        if (infer_absent(&at, out)) {
            continue;
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

struct shape graph_image_shape(const struct vaemark_graph *graph, const struct shape *shapes) {
    struct shape image = shapes[graph->output];

    if (graph->has_frames && image.rank == 4) {
        image = (struct shape){.rank = 5, .dims = {image.dims[0], image.dims[1], 1, image.dims[2], image.dims[3]}};
    }
    return image;
}
