/* The builder's calls for ops that few VAE types have. */
#include "reference/builder_internal.h"
#include "reference/graph_edit.h"

static struct shape shape_1d(int64_t a) {
    return (struct shape){.rank = 1, .dims = {a}};
}

value builder_packed_attention(struct builder *b, value qkv, const char *module) {
    return builder_node(b, (struct graph_node){.op = OP_ATTENTION, .inputs = {qkv}, .input_count = 1}, module);
}

value builder_linear_attention(struct builder *b, value x, int32_t head_channels, double epsilon, const char *module) {
    struct graph_node node = {.op = OP_LINEAR_ATTENTION, .inputs = {x}, .input_count = 1};

    if (!builder_failed(b) && head_channels < 1) {
        error_set_at(&b->error, VAEMARK_BAD_INPUT, module, "has heads of %d channels", (int)head_channels);
    }
    node.attributes.linear_attention.head_channels = head_channels;
    node.attributes.linear_attention.epsilon = epsilon;
    return builder_node(b, node, module);
}

value builder_rms_norm(struct builder *b, value x, int64_t channels, double epsilon, double floor, bool biased,
                       const char *leaf, const char *module) {
    struct graph_node node = {.op = OP_RMS_NORM, .inputs = {x}, .input_count = 1, .parameter_count = 1};

    node.attributes.rms_norm.epsilon = epsilon;
    node.attributes.rms_norm.floor = floor;
    node.parameters[0] = builder_parameter(b, module, leaf, shape_1d(channels), PARAMETER_NORM_SCALE, 1.0);
    if (biased) {
        node.parameters[node.parameter_count++] =
            builder_parameter(b, module, "bias", shape_1d(channels), PARAMETER_BIAS, 1.0);
    }
    return builder_node(b, node, module);
}

value builder_batch_norm(struct builder *b, value x, int64_t channels, double epsilon, const char *module) {
    struct graph_node node = {.op = OP_BATCH_NORM, .inputs = {x}, .input_count = 1, .parameter_count = 4};
    static const struct {
        const char *leaf;
        enum parameter_role role;
    } parameters[4] = {{"running_mean", PARAMETER_BIAS},
                       {"running_var", PARAMETER_NORM_SCALE},
                       {"weight", PARAMETER_NORM_SCALE},
                       {"bias", PARAMETER_BIAS}};

    node.attributes.batch_norm.epsilon = epsilon;
    for (int i = 0; i < 4; i++) {
        node.parameters[i] =
            builder_parameter(b, module, parameters[i].leaf, shape_1d(channels), parameters[i].role, 1.0);
    }
    return builder_node(b, node, module);
}

value builder_multiply(struct builder *b, value x, value y) {
    return builder_node(b, (struct graph_node){.op = OP_MULTIPLY, .inputs = {x, y}, .input_count = 2}, "");
}

value builder_mix(struct builder *b, value x, value y, value m) {
    return builder_node(b, (struct graph_node){.op = OP_MIX, .inputs = {x, y, m}, .input_count = 3}, "");
}

value builder_clamp(struct builder *b, value x, double low, double high) {
    struct graph_node node = {.op = OP_CLAMP, .inputs = {x}, .input_count = 1};

    node.attributes.clamp.low = low;
    node.attributes.clamp.high = high;
    return builder_node(b, node, "");
}

value builder_subsample(struct builder *b, value x, int32_t factor) {
    struct graph_node node = {.op = OP_SUBSAMPLE, .inputs = {x}, .input_count = 1};

    if (!builder_failed(b) && factor < 1) {
        error_set(&b->error, VAEMARK_INTERNAL, "an image cannot be subsampled by %d", (int)factor);
    }
    node.attributes.subsample.factor = factor;
    return builder_node(b, node, "");
}

/* Indices of channels that a node computes must neither wrap nor be negative. */
static bool map_is_sound(const struct channels_to_space *map) {
    int64_t products[3], sum = map->offset;
    const int64_t steps[3][2] = {
        {map->by_channel, map->channels - 1}, {map->by_row, map->factor - 1}, {map->by_column, map->factor - 1}};

    if (map->factor < 1 || map->channels < 1 || map->divisor < 1 || map->offset < 0) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (steps[i][0] < 0 || __builtin_mul_overflow(steps[i][0], steps[i][1], &products[i]) ||
            __builtin_add_overflow(sum, products[i], &sum)) {
            return false;
        }
    }
    return true;
}

value builder_channels_to_space(struct builder *b, value x, struct channels_to_space map) {
    struct graph_node node = {.op = OP_CHANNELS_TO_SPACE, .inputs = {x}, .input_count = 1};

    if (map.divisor == 0) {
        map.divisor = 1;
    }
    if (!builder_failed(b) && !map_is_sound(&map)) {
        error_set(&b->error, VAEMARK_BAD_INPUT, "a map of channels to %lld channels of %d x %d pixels is impossible",
                  (long long)map.channels, (int)map.factor, (int)map.factor);
    }
    node.attributes.channels_to_space.factor = map.factor;
    node.attributes.channels_to_space.channels = map.channels;
    node.attributes.channels_to_space.by_channel = map.by_channel;
    node.attributes.channels_to_space.by_row = map.by_row;
    node.attributes.channels_to_space.by_column = map.by_column;
    node.attributes.channels_to_space.offset = map.offset;
    node.attributes.channels_to_space.divisor = map.divisor;
    return builder_node(b, node, "");
}

value builder_repeat_channels(struct builder *b, value x, int64_t channels, int64_t times) {
    struct channels_to_space map = {.factor = 1, .by_channel = 1, .divisor = times};

    if (!builder_failed(b) && (times < 1 || __builtin_mul_overflow(channels, times, &map.channels))) {
        error_set(&b->error, VAEMARK_BAD_INPUT, "%lld channels cannot be repeated %lld times", (long long)channels,
                  (long long)times);
    }
    return builder_channels_to_space(b, x, map);
}

value builder_lookup(struct builder *b, value codes, int64_t rows, int64_t dim, const char *module) {
    struct graph_node node = {.op = OP_LOOKUP, .inputs = {codes}, .input_count = 1, .parameter_count = 1};

    node.parameters[0] =
        builder_parameter(b, module, "weight", (struct shape){.rank = 2, .dims = {rows, dim}}, PARAMETER_TABLE, 1.0);
    return builder_node(b, node, module);
}

value builder_codes(struct builder *b, const char *name, int64_t count) {
    const value codes = builder_input(b, name, 3, 1, 1);

    if (!builder_failed(b)) {
        b->graph->inputs[b->graph->input_count - 1].code_count = count;
    }
    return codes;
}

value builder_optional_input(struct builder *b, const char *name, int64_t channels, int32_t scale) {
    const value input = builder_input(b, name, 4, channels, scale);

    if (!builder_failed(b)) {
        b->graph->inputs[b->graph->input_count - 1].optional = true;
    }
    return input;
}

int32_t builder_declare(struct builder *b, const char *module, const char *leaf, struct shape shape,
                        enum parameter_role role) {
    return builder_parameter(b, module, leaf, shape, role, 1.0);
}
