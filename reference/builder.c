#include "reference/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/builder_internal.h"
#include "reference/graph_edit.h"

/* Of synthetic weights: keeps the variance of activations through a ReLU or SiLU, and through a plain product. */
static const double CONV2D_GAIN = 1.4, LINEAR_GAIN = 1.0;

void builder_begin(struct builder *b) {
    *b = (struct builder){.graph = graph_create()};
    if (b->graph == NULL) {
        error_set(&b->error, VAEMARK_OUT_OF_MEMORY, "out of memory while building the graph");
    }
}

bool builder_failed(const struct builder *b) {
    return b->error.status != VAEMARK_OK;
}

value builder_out_of_memory(struct builder *b) {
    if (!builder_failed(b)) {
        error_set(&b->error, VAEMARK_OUT_OF_MEMORY, "out of memory while building the graph");
    }
    return -1;
}

enum vaemark_status builder_finish(struct builder *b, value output, struct vaemark_graph **graph, struct error *error) {
    *graph = NULL;
    if (!builder_failed(b) && (output < 0 || output >= b->graph->value_count)) {
        error_set(&b->error, VAEMARK_INTERNAL, "the graph's output is not one of its values");
    }
    if (builder_failed(b)) {
        graph_free(b->graph);
        b->graph = NULL;
        if (error != NULL) {
            *error = b->error;
        }
        return b->error.status;
    }
    b->graph->output = output;
    *graph = b->graph;
    b->graph = NULL;
    return VAEMARK_OK;
}

const char *builder_path(struct builder *b, const char *format, ...) {
    va_list arguments;
    char *text = NULL;
    const char *kept;

    if (builder_failed(b)) {
        return "";
    }
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    va_end(arguments);
    kept = text == NULL ? NULL : graph_keep_text(b->graph, text);
    free(text);
    if (kept == NULL) {
        builder_out_of_memory(b);
        return "";
    }
    return kept;
}

value builder_node(struct builder *b, struct graph_node node, const char *module) {
    value output;

    if (builder_failed(b)) {
        return -1;
    }
    for (int32_t i = 0; i < node.input_count; i++) {
        if (node.inputs[i] < 0 || node.inputs[i] >= b->graph->value_count) {
            error_set(&b->error, VAEMARK_INTERNAL, "%s %s reads value %d, which nobody made", op_name(node.op), module,
                      (int)node.inputs[i]);
            return -1;
        }
    }
    node.module = graph_keep_text(b->graph, module);
    output = node.module == NULL ? -1 : graph_add_node(b->graph, &node);
    return output >= 0 ? output : builder_out_of_memory(b);
}

int32_t builder_parameter(struct builder *b, const char *module, const char *leaf, struct shape shape,
                          enum parameter_role role, double gain) {
    struct graph_parameter parameter = {.shape = shape, .role = role, .synthetic_gain = gain};
    char found[96], wanted[96];
    int32_t index;

    parameter.name = builder_path(b, "%s.%s", module, leaf);
    if (builder_failed(b)) {
        return -1;
    }
    for (int32_t i = 0; i < shape.rank; i++) {
        if (shape.dims[i] < 1) {
            error_set_at(&b->error, VAEMARK_BAD_INPUT, parameter.name, "has the impossible shape %s",
                         shape_format(&shape, found, sizeof found));
            return -1;
        }
    }
    if (shape_element_count(&shape) < 0 || shape_element_count(&shape) > INT64_MAX / 64) {
        error_set_at(&b->error, VAEMARK_BAD_INPUT, parameter.name, "has the absurd shape %s",
                     shape_format(&shape, found, sizeof found));
        return -1;
    }
    index = graph_find_parameter(b->graph, parameter.name);
    if (index >= 0) {
        if (!shape_equal(&b->graph->parameters[index].shape, &shape)) {
            error_set_at(&b->error, VAEMARK_BAD_INPUT, parameter.name, "is used with two shapes, %s and %s",
                         shape_format(&b->graph->parameters[index].shape, found, sizeof found),
                         shape_format(&shape, wanted, sizeof wanted));
            return -1;
        }
        return index;
    }
    parameter.tensor = tensor_make(parameter.name, VAEMARK_F32, &shape, NULL);
    index = graph_add_parameter(b->graph, &parameter);
    return index >= 0 ? index : builder_out_of_memory(b);
}

static struct shape shape_1d(int64_t a) {
    return (struct shape){.rank = 1, .dims = {a}};
}

static struct shape shape_2d(int64_t a, int64_t b) {
    return (struct shape){.rank = 2, .dims = {a, b}};
}

value builder_input(struct builder *b, const char *name, int32_t rank, int64_t channels, int32_t scale) {
    struct graph_input *input;
    const size_t capacity = b->graph == NULL ? 0 : sizeof b->graph->inputs / sizeof b->graph->inputs[0];

    if (builder_failed(b)) {
        return -1;
    }
    if (b->graph->input_count >= capacity) {
        error_set(&b->error, VAEMARK_INTERNAL, "a graph has at most %zu inputs", capacity);
        return -1;
    }
    if (channels < 1) {
        error_set(&b->error, VAEMARK_BAD_INPUT, "input %s has %lld channels", name, (long long)channels);
        return -1;
    }
    input = &b->graph->inputs[b->graph->input_count];
    *input = (struct graph_input){
        .name = graph_keep_text(b->graph, name), .value = -1, .rank = rank, .channels = channels, .scale = scale};
    if (input->name == NULL) {
        return builder_out_of_memory(b);
    }
    input->value = b->graph->value_count++;
    b->graph->input_count++;
    return input->value;
}

value builder_conv2d(struct builder *b, value x, struct conv2d_options options, const char *module) {
    const int32_t kernel = options.kernel == 0 ? 3 : options.kernel, groups = options.groups == 0 ? 1 : options.groups;
    struct graph_node node = {.op = OP_CONV2D, .inputs = {x}, .input_count = 1};

    if (builder_failed(b)) {
        return -1;
    }
    if (kernel < 1 || groups < 1 || options.in < 1 || options.out < 1 || options.in % groups != 0 ||
        options.out % groups != 0) {
        error_set_at(&b->error, VAEMARK_BAD_INPUT, module,
                     "a convolution of %lld to %lld channels, kernel %d, in %d groups is impossible",
                     (long long)options.in, (long long)options.out, (int)kernel, (int)groups);
        return -1;
    }
    node.attributes.conv2d.stride = options.stride == 0 ? 1 : options.stride;
    node.attributes.conv2d.padding = options.padding == 0 ? kernel / 2 : options.padding;
    node.attributes.conv2d.groups = groups;
    node.parameters[node.parameter_count++] = builder_parameter(
        b, module, "weight", (struct shape){.rank = 4, .dims = {options.out, options.in / groups, kernel, kernel}},
        PARAMETER_WEIGHT, options.gain == 0.0 ? CONV2D_GAIN : options.gain);
    if (options.frames > 0 && !builder_failed(b)) {
        struct graph_parameter *weight = &b->graph->parameters[node.parameters[0]];
        weight->frames = options.frames;
        weight->frame = options.frames - 1;
    }
    if (!options.no_bias) {
        node.parameters[node.parameter_count++] =
            builder_parameter(b, module, "bias", shape_1d(options.out), PARAMETER_BIAS, 1.0);
    }
    return builder_node(b, node, module);
}

static value builder_linear_any(struct builder *b, value x, int64_t in, int64_t out, bool bias, const char *module) {
    struct graph_node node = {.op = OP_LINEAR, .inputs = {x}, .input_count = 1};

    node.parameters[node.parameter_count++] =
        builder_parameter(b, module, "weight", shape_2d(out, in), PARAMETER_WEIGHT, LINEAR_GAIN);
    if (bias) {
        node.parameters[node.parameter_count++] =
            builder_parameter(b, module, "bias", shape_1d(out), PARAMETER_BIAS, 1.0);
    }
    return builder_node(b, node, module);
}

value builder_linear(struct builder *b, value x, int64_t in, int64_t out, const char *module) {
    return builder_linear_any(b, x, in, out, true, module);
}

value builder_linear_no_bias(struct builder *b, value x, int64_t in, int64_t out, const char *module) {
    return builder_linear_any(b, x, in, out, false, module);
}

value builder_group_norm(struct builder *b, value x, int64_t channels, int32_t groups, double epsilon,
                         const char *module) {
    struct graph_node node = {.op = OP_GROUP_NORM, .inputs = {x}, .input_count = 1, .parameter_count = 2};

    if (builder_failed(b)) {
        return -1;
    }
    if (groups < 1 || channels < 1 || channels % groups != 0) {
        error_set_at(&b->error, VAEMARK_BAD_INPUT, module,
                     "group norm cannot divide %lld channels into %d equal groups", (long long)channels, (int)groups);
        return -1;
    }
    node.attributes.group_norm.groups = groups;
    node.attributes.group_norm.epsilon = epsilon;
    node.parameters[0] = builder_parameter(b, module, "weight", shape_1d(channels), PARAMETER_NORM_SCALE, 1.0);
    node.parameters[1] = builder_parameter(b, module, "bias", shape_1d(channels), PARAMETER_BIAS, 1.0);
    return builder_node(b, node, module);
}

value builder_silu(struct builder *b, value x) {
    return builder_node(b, (struct graph_node){.op = OP_SILU, .inputs = {x}, .input_count = 1}, "");
}

value builder_relu(struct builder *b, value x) {
    return builder_node(b, (struct graph_node){.op = OP_RELU, .inputs = {x}, .input_count = 1}, "");
}

value builder_tanh_clamp(struct builder *b, value x, double limit) {
    struct graph_node node = {.op = OP_TANH_CLAMP, .inputs = {x}, .input_count = 1};

    node.attributes.tanh_clamp.limit = limit;
    return builder_node(b, node, "");
}

value builder_add(struct builder *b, value x, value y) {
    return builder_weighted_add(b, 1.0, x, 1.0, y);
}

value builder_weighted_add(struct builder *b, double alpha, value x, double beta, value y) {
    struct graph_node node = {.op = OP_ADD, .inputs = {x, y}, .input_count = 2};

    node.attributes.add.alpha = alpha;
    node.attributes.add.beta = beta;
    return builder_node(b, node, "");
}

value builder_affine(struct builder *b, value x, const double *scale, const double *shift, int32_t count) {
    struct graph_node node = {.op = OP_AFFINE, .inputs = {x}, .input_count = 1};

    if (builder_failed(b)) {
        return -1;
    }
    if (count < 1) {
        error_set(&b->error, VAEMARK_INTERNAL, "an affine needs at least one constant");
        return -1;
    }
    node.attributes.affine.count = count;
    node.attributes.affine.scale = graph_keep(b->graph, scale, (size_t)count * sizeof *scale);
    node.attributes.affine.shift = graph_keep(b->graph, shift, (size_t)count * sizeof *shift);
    if (node.attributes.affine.scale == NULL || node.attributes.affine.shift == NULL) {
        return builder_out_of_memory(b);
    }
    return builder_node(b, node, "");
}

value builder_scale_shift(struct builder *b, value x, value e) {
    return builder_node(b, (struct graph_node){.op = OP_SCALE_SHIFT, .inputs = {x, e}, .input_count = 2}, "");
}

value builder_upsample_nearest(struct builder *b, value x, int32_t factor) {
    struct graph_node node = {.op = OP_UPSAMPLE_NEAREST, .inputs = {x}, .input_count = 1};

    node.attributes.upsample_nearest.factor = factor;
    return builder_node(b, node, "");
}

value builder_avg_pool(struct builder *b, value x) {
    return builder_node(b, (struct graph_node){.op = OP_AVG_POOL, .inputs = {x}, .input_count = 1}, "");
}

value builder_concat(struct builder *b, value x, value y) {
    return builder_node(b, (struct graph_node){.op = OP_CONCAT, .inputs = {x, y}, .input_count = 2}, "");
}

value builder_slice(struct builder *b, value x, int64_t first, int64_t count) {
    struct graph_node node = {.op = OP_SLICE, .inputs = {x}, .input_count = 1};

    node.attributes.slice.first = first;
    node.attributes.slice.count = count;
    return builder_node(b, node, "");
}

value builder_embedding(struct builder *b, int64_t rows, int64_t dim, int64_t row, const char *module) {
    struct graph_node node = {.op = OP_EMBEDDING, .parameter_count = 1};

    if (!builder_failed(b) && (row < 0 || row >= rows)) {
        error_set_at(&b->error, VAEMARK_BAD_INPUT, module, "has %lld rows; row %lld is wanted", (long long)rows,
                     (long long)row);
    }
    node.attributes.embedding.row = row;
    node.parameters[0] = builder_parameter(b, module, "weight", shape_2d(rows, dim), PARAMETER_TABLE, 1.0);
    return builder_node(b, node, module);
}

value builder_attention(struct builder *b, value q, value k, value v, const char *module) {
    return builder_node(b, (struct graph_node){.op = OP_ATTENTION, .inputs = {q, k, v}, .input_count = 3}, module);
}
