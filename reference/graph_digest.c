/* A graph as a digest: equal digests, equal programs. Key of what was computed with it. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "reference/graph.h"

static void put_text(struct hash *hash, const char *text) {
    hash_update(hash, text, strlen(text) + 1);
}

static void put_integer(struct hash *hash, int64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)value >> (8 * i));
    }
    hash_update(hash, bytes, sizeof bytes);
}

static void put_real(struct hash *hash, double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_integer(hash, bits);
}

static void put_shape(struct hash *hash, const struct shape *shape) {
    put_integer(hash, shape->rank);
    for (int32_t i = 0; i < shape->rank; i++) {
        put_integer(hash, shape->dims[i]);
    }
}

static void put_affine(struct hash *hash, const union op_attributes *attributes) {
    put_integer(hash, attributes->affine.count);
    for (int32_t i = 0; i < attributes->affine.count; i++) {
        put_real(hash, attributes->affine.scale[i]);
        put_real(hash, attributes->affine.shift[i]);
    }
}

static void put_channels_to_space(struct hash *hash, const union op_attributes *attributes) {
    put_integer(hash, attributes->channels_to_space.factor);
    put_integer(hash, attributes->channels_to_space.channels);
    put_integer(hash, attributes->channels_to_space.by_channel);
    put_integer(hash, attributes->channels_to_space.by_row);
    put_integer(hash, attributes->channels_to_space.by_column);
    put_integer(hash, attributes->channels_to_space.offset);
    put_integer(hash, attributes->channels_to_space.divisor);
}

/* No default: the compiler names the op that was forgotten. */
static void put_attributes(struct hash *hash, enum op op, const union op_attributes *attributes) {
    switch (op) {
    case OP_CONV2D:
        put_integer(hash, attributes->conv2d.stride);
        put_integer(hash, attributes->conv2d.padding);
        put_integer(hash, attributes->conv2d.groups);
        break;
    case OP_GROUP_NORM:
        put_integer(hash, attributes->group_norm.groups);
        put_real(hash, attributes->group_norm.epsilon);
        break;
    case OP_TANH_CLAMP:
        put_real(hash, attributes->tanh_clamp.limit);
        break;
    case OP_ADD:
        put_real(hash, attributes->add.alpha);
        put_real(hash, attributes->add.beta);
        break;
    case OP_AFFINE:
        put_affine(hash, attributes);
        break;
    case OP_UPSAMPLE_NEAREST:
        put_integer(hash, attributes->upsample_nearest.factor);
        break;
    case OP_SLICE:
        put_integer(hash, attributes->slice.first);
        put_integer(hash, attributes->slice.count);
        break;
    case OP_EMBEDDING:
        put_integer(hash, attributes->embedding.row);
        break;
    case OP_LINEAR_ATTENTION:
        put_integer(hash, attributes->linear_attention.head_channels);
        put_real(hash, attributes->linear_attention.epsilon);
        break;
    case OP_RMS_NORM:
        put_real(hash, attributes->rms_norm.epsilon);
        put_real(hash, attributes->rms_norm.floor);
        break;
    case OP_BATCH_NORM:
        put_real(hash, attributes->batch_norm.epsilon);
        break;
    case OP_CLAMP:
        put_real(hash, attributes->clamp.low);
        put_real(hash, attributes->clamp.high);
        break;
    case OP_SUBSAMPLE:
        put_integer(hash, attributes->subsample.factor);
        break;
    case OP_CHANNELS_TO_SPACE:
        put_channels_to_space(hash, attributes);
        break;
    case OP_MULTIPLY:
    case OP_MIX:
    case OP_LOOKUP:
    case OP_QUANTIZE:
    case OP_LINEAR:
    case OP_SILU:
    case OP_RELU:
    case OP_SCALE_SHIFT:
    case OP_AVG_POOL:
    case OP_CONCAT:
    case OP_ATTENTION:
    case OP_COUNT:
        break;
    }
}

/* Ops by name: their numbers change when one is added. */
static void put_node(struct hash *hash, const struct graph_node *node) {
    put_text(hash, op_name(node->op));
    put_integer(hash, node->input_count);
    for (int32_t i = 0; i < node->input_count; i++) {
        put_integer(hash, node->inputs[i]);
    }
    put_integer(hash, node->output);
    put_integer(hash, node->parameter_count);
    for (int32_t i = 0; i < node->parameter_count; i++) {
        put_integer(hash, node->parameters[i]);
    }
    put_attributes(hash, node->op, &node->attributes);
}

static void put_parameter(struct hash *hash, const struct graph_parameter *parameter) {
    put_text(hash, parameter->name);
    put_shape(hash, &parameter->shape);
    put_integer(hash, parameter->origin);
    put_integer(hash, parameter->frames);
    put_integer(hash, parameter->frame);
    for (size_t i = 0; parameter->origin == PARAMETER_JOINED && i < 3; i++) {
        put_integer(hash, parameter->sources[i]);
    }
}

enum vaemark_status graph_digest(const struct vaemark_graph *graph, char hex[65], struct error *error) {
    struct hash *hash = hash_begin();
    if (hash == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory for a digest");
    }
    put_integer(hash, (int64_t)graph->input_count);
    for (size_t i = 0; i < graph->input_count; i++) {
        const struct graph_input *input = &graph->inputs[i];
        put_text(hash, input->name);
        put_integer(hash, input->value);
        put_integer(hash, input->rank);
        put_integer(hash, input->channels);
        put_integer(hash, input->scale);
        put_integer(hash, input->code_count);
        put_integer(hash, input->optional);
    }
    put_integer(hash, (int64_t)graph->parameter_count);
    for (size_t i = 0; i < graph->parameter_count; i++) {
        put_parameter(hash, &graph->parameters[i]);
    }
    put_integer(hash, (int64_t)graph->node_count);
    for (size_t i = 0; i < graph->node_count; i++) {
        put_node(hash, &graph->nodes[i]);
    }
    put_integer(hash, graph->output);
    put_integer(hash, graph->has_frames);
    hash_finish(hash, hex);
    return VAEMARK_OK;
}
