/* What a backend behind the ABI reads a graph through. The attribute names are listed in docs/graph.md. */
#include <stdlib.h>
#include <string.h>

#include "reference/graph.h"

static size_t api_node_count(const struct vaemark_graph *graph) {
    return graph->node_count;
}

static const char *api_node_op(const struct vaemark_graph *graph, size_t node) {
    return op_name(graph->nodes[node].op);
}

static const char *api_node_module(const struct vaemark_graph *graph, size_t node) {
    return graph->nodes[node].module;
}

static size_t api_node_input_count(const struct vaemark_graph *graph, size_t node) {
    return (size_t)graph->nodes[node].input_count;
}

static size_t api_node_input(const struct vaemark_graph *graph, size_t node, size_t index) {
    return (size_t)graph->nodes[node].inputs[index];
}

static size_t api_node_output(const struct vaemark_graph *graph, size_t node) {
    return (size_t)graph->nodes[node].output;
}

static size_t api_node_parameter_count(const struct vaemark_graph *graph, size_t node) {
    return (size_t)graph->nodes[node].parameter_count;
}

static size_t api_node_parameter(const struct vaemark_graph *graph, size_t node, size_t index) {
    return (size_t)graph->nodes[node].parameters[index];
}

/* "scale.3": the constant of channel 3. One constant serves every channel. */
static double affine_constant(const double *constants, int32_t count, const char *index_text, double fallback) {
    char *end;
    const long index = strtol(index_text, &end, 10);

    if (end == index_text || *end != '\0' || index < 0 || (count > 1 && index >= count)) {
        return fallback;
    }
    return constants[count > 1 ? index : 0];
}

static double affine_attribute(const union op_attributes *attributes, const char *name, double fallback) {
    if (strcmp(name, "count") == 0) {
        return attributes->affine.count;
    }
    if (strncmp(name, "scale.", 6) == 0) {
        return affine_constant(attributes->affine.scale, attributes->affine.count, name + 6, fallback);
    }
    if (strncmp(name, "shift.", 6) == 0) {
        return affine_constant(attributes->affine.shift, attributes->affine.count, name + 6, fallback);
    }
    return fallback;
}

static double channels_to_space_attribute(const union op_attributes *attributes, const char *name, double fallback) {
    const struct {
        const char *name;
        int64_t number;
    } table[] = {
        {"factor", attributes->channels_to_space.factor},      {"channels", attributes->channels_to_space.channels},
        {"channel", attributes->channels_to_space.by_channel}, {"row", attributes->channels_to_space.by_row},
        {"column", attributes->channels_to_space.by_column},   {"offset", attributes->channels_to_space.offset},
        {"divisor", attributes->channels_to_space.divisor},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return (double)table[i].number;
        }
    }
    return fallback;
}

/* A convolution whose weights are stored with frames: the tap that a single picture sees. */
static double frame_attribute(const struct vaemark_graph *graph, const struct graph_node *node, double fallback) {
    const struct graph_parameter *weight = &graph->parameters[node->parameters[0]];

    return weight->frames > 0 ? weight->frame : fallback;
}

static double api_node_attribute(const struct vaemark_graph *graph, size_t node_index, const char *name,
                                 double fallback) {
    const struct graph_node *node = &graph->nodes[node_index];
    const union op_attributes *attributes = &node->attributes;
    const struct {
        enum op op;
        const char *name;
        double number;
    } table[] = {
        {OP_CONV2D, "stride", node->op == OP_CONV2D ? attributes->conv2d.stride : 0},
        {OP_CONV2D, "padding", node->op == OP_CONV2D ? attributes->conv2d.padding : 0},
        {OP_CONV2D, "groups", node->op == OP_CONV2D ? attributes->conv2d.groups : 0},
        {OP_GROUP_NORM, "groups", node->op == OP_GROUP_NORM ? attributes->group_norm.groups : 0},
        {OP_GROUP_NORM, "epsilon", node->op == OP_GROUP_NORM ? attributes->group_norm.epsilon : 0},
        {OP_TANH_CLAMP, "limit", node->op == OP_TANH_CLAMP ? attributes->tanh_clamp.limit : 0},
        {OP_ADD, "alpha", node->op == OP_ADD ? attributes->add.alpha : 0},
        {OP_ADD, "beta", node->op == OP_ADD ? attributes->add.beta : 0},
        {OP_UPSAMPLE_NEAREST, "factor", node->op == OP_UPSAMPLE_NEAREST ? attributes->upsample_nearest.factor : 0},
        {OP_SLICE, "first", node->op == OP_SLICE ? (double)attributes->slice.first : 0},
        {OP_SLICE, "count", node->op == OP_SLICE ? (double)attributes->slice.count : 0},
        {OP_EMBEDDING, "row", node->op == OP_EMBEDDING ? (double)attributes->embedding.row : 0},
        {OP_LINEAR_ATTENTION, "channels",
         node->op == OP_LINEAR_ATTENTION ? attributes->linear_attention.head_channels : 0},
        {OP_LINEAR_ATTENTION, "epsilon", node->op == OP_LINEAR_ATTENTION ? attributes->linear_attention.epsilon : 0},
        {OP_RMS_NORM, "epsilon", node->op == OP_RMS_NORM ? attributes->rms_norm.epsilon : 0},
        {OP_RMS_NORM, "floor", node->op == OP_RMS_NORM ? attributes->rms_norm.floor : 0},
        {OP_BATCH_NORM, "epsilon", node->op == OP_BATCH_NORM ? attributes->batch_norm.epsilon : 0},
        {OP_CLAMP, "low", node->op == OP_CLAMP ? attributes->clamp.low : 0},
        {OP_CLAMP, "high", node->op == OP_CLAMP ? attributes->clamp.high : 0},
        {OP_SUBSAMPLE, "factor", node->op == OP_SUBSAMPLE ? attributes->subsample.factor : 0},
    };

    if (node->op == OP_AFFINE) {
        return affine_attribute(attributes, name, fallback);
    }
    if (node->op == OP_CHANNELS_TO_SPACE) {
        return channels_to_space_attribute(attributes, name, fallback);
    }
    if (node->op == OP_CONV2D && strcmp(name, "frame") == 0) {
        return frame_attribute(graph, node, fallback);
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].op == node->op && strcmp(table[i].name, name) == 0) {
            return table[i].number;
        }
    }
    return fallback;
}

static size_t api_input_count(const struct vaemark_graph *graph) {
    return graph->input_count;
}

static const char *api_input_name(const struct vaemark_graph *graph, size_t input) {
    return graph->inputs[input].name;
}

static size_t api_input_value(const struct vaemark_graph *graph, size_t input) {
    return (size_t)graph->inputs[input].value;
}

static size_t api_output_value(const struct vaemark_graph *graph) {
    return (size_t)graph->output;
}

static size_t api_value_count(const struct vaemark_graph *graph) {
    return (size_t)graph->value_count;
}

static size_t api_parameter_count(const struct vaemark_graph *graph) {
    return graph->parameter_count;
}

static const struct vaemark_tensor *api_parameter_tensor(const struct vaemark_graph *graph, size_t parameter) {
    return &graph->parameters[parameter].tensor;
}

const struct vaemark_graph_api graph_api = {
    .struct_size = sizeof graph_api,
    .node_count = api_node_count,
    .node_op = api_node_op,
    .node_module = api_node_module,
    .node_input_count = api_node_input_count,
    .node_input = api_node_input,
    .node_output = api_node_output,
    .node_parameter_count = api_node_parameter_count,
    .node_parameter = api_node_parameter,
    .node_attribute = api_node_attribute,
    .input_count = api_input_count,
    .input_name = api_input_name,
    .input_value = api_input_value,
    .output_value = api_output_value,
    .value_count = api_value_count,
    .parameter_count = api_parameter_count,
    .parameter_tensor = api_parameter_tensor,
};
