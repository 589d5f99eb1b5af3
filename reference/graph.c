#include "reference/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/graph_edit.h"

static const char *const op_names[OP_COUNT] = {
    [OP_CONV2D] = "conv2d",
    [OP_LINEAR] = "linear",
    [OP_GROUP_NORM] = "group_norm",
    [OP_SILU] = "silu",
    [OP_RELU] = "relu",
    [OP_TANH_CLAMP] = "tanh_clamp",
    [OP_ADD] = "add",
    [OP_AFFINE] = "affine",
    [OP_SCALE_SHIFT] = "scale_shift",
    [OP_UPSAMPLE_NEAREST] = "upsample_nearest",
    [OP_AVG_POOL] = "avg_pool",
    [OP_CONCAT] = "concat",
    [OP_SLICE] = "slice",
    [OP_EMBEDDING] = "embedding",
    [OP_ATTENTION] = "attention",
    [OP_LINEAR_ATTENTION] = "linear_attention",
    [OP_RMS_NORM] = "rms_norm",
    [OP_BATCH_NORM] = "batch_norm",
    [OP_MULTIPLY] = "multiply",
    [OP_MIX] = "mix",
    [OP_CLAMP] = "clamp",
    [OP_SUBSAMPLE] = "subsample",
    [OP_CHANNELS_TO_SPACE] = "channels_to_space",
    [OP_LOOKUP] = "lookup",
    [OP_QUANTIZE] = "quantize",
};

const char *op_name(enum op op) {
    return (unsigned)op < OP_COUNT ? op_names[op] : "?";
}

/* The arena: a list of pieces that are freed together. */
struct graph_arena {
    struct graph_arena *next;
    max_align_t bytes[];
};

void *graph_keep(struct vaemark_graph *graph, const void *bytes, size_t size_bytes) {
    struct graph_arena *piece = malloc(sizeof *piece + size_bytes);

    if (piece == NULL) {
        return NULL;
    }
    memcpy(piece->bytes, bytes, size_bytes);
    piece->next = graph->arena;
    graph->arena = piece;
    return piece->bytes;
}

const char *graph_keep_text(struct vaemark_graph *graph, const char *text) {
    return graph_keep(graph, text, strlen(text) + 1);
}

/* Makes room for one more item of `size_bytes` in an array. */
static bool array_reserve(void **items, size_t count, size_t *capacity, size_t size_bytes) {
    const size_t larger = *capacity == 0 ? 64 : *capacity * 2;
    void *moved;

    if (count < *capacity) {
        return true;
    }
    moved = reallocarray(*items, larger, size_bytes);
    if (moved == NULL) {
        return false;
    }
    *items = moved;
    *capacity = larger;
    return true;
}

int32_t graph_add_parameter(struct vaemark_graph *graph, const struct graph_parameter *parameter) {
    void *items = graph->parameters;

    if (!array_reserve(&items, graph->parameter_count, &graph->parameter_capacity, sizeof *parameter)) {
        return -1;
    }
    graph->parameters = items;
    graph->parameters[graph->parameter_count] = *parameter;
    return (int32_t)graph->parameter_count++;
}

int32_t graph_add_node(struct vaemark_graph *graph, const struct graph_node *node) {
    void *items = graph->nodes;

    if (!array_reserve(&items, graph->node_count, &graph->node_capacity, sizeof *node)) {
        return -1;
    }
    graph->nodes = items;
    graph->nodes[graph->node_count] = *node;
    graph->nodes[graph->node_count].output = graph->value_count;
    graph->node_count++;
    return graph->value_count++;
}

int32_t graph_find_parameter(const struct vaemark_graph *graph, const char *name) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        if (strcmp(graph->parameters[i].name, name) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

struct vaemark_graph *graph_create(void) {
    struct vaemark_graph *graph = calloc(1, sizeof *graph);

    if (graph != NULL) {
        graph->output = -1;
    }
    return graph;
}

void graph_free(struct vaemark_graph *graph) {
    if (graph == NULL) {
        return;
    }
    while (graph->arena != NULL) {
        struct graph_arena *next = graph->arena->next;
        free(graph->arena);
        graph->arena = next;
    }
    free(graph->nodes);
    free(graph->parameters);
    free(graph);
}

/* Gives a copied node its own module path and constants. */
static bool node_own(struct vaemark_graph *graph, struct graph_node *node) {
    node->module = graph_keep_text(graph, node->module);
    if (node->op == OP_AFFINE) {
        const size_t size_bytes = (size_t)node->attributes.affine.count * sizeof(double);
        node->attributes.affine.scale = graph_keep(graph, node->attributes.affine.scale, size_bytes);
        node->attributes.affine.shift = graph_keep(graph, node->attributes.affine.shift, size_bytes);
        return node->module != NULL && node->attributes.affine.scale != NULL && node->attributes.affine.shift != NULL;
    }
    return node->module != NULL;
}

struct vaemark_graph *graph_clone(const struct vaemark_graph *graph) {
    struct vaemark_graph *copy = graph_create();
    bool whole = copy != NULL;

    for (size_t i = 0; whole && i < graph->parameter_count; i++) {
        struct graph_parameter parameter = graph->parameters[i];
        parameter.name = graph_keep_text(copy, parameter.name);
        if (parameter.tensor.name == graph->parameters[i].name) {
            parameter.tensor.name = parameter.name; /* not bound yet: the name was the graph's own */
        }
        whole = parameter.name != NULL && graph_add_parameter(copy, &parameter) >= 0;
    }
    for (size_t i = 0; whole && i < graph->node_count; i++) {
        struct graph_node node = graph->nodes[i];
        whole = node_own(copy, &node) && graph_add_node(copy, &node) >= 0;
        if (whole) {
            copy->nodes[i].output = graph->nodes[i].output;
        }
    }
    for (size_t i = 0; whole && i < graph->input_count; i++) {
        copy->inputs[i] = graph->inputs[i];
        copy->inputs[i].name = graph_keep_text(copy, graph->inputs[i].name);
        whole = copy->inputs[i].name != NULL;
    }
    if (!whole) {
        graph_free(copy);
        return NULL;
    }
    copy->input_count = graph->input_count;
    copy->value_count = graph->value_count;
    copy->output = graph->output;
    copy->has_frames = graph->has_frames;
    copy->tiling = graph->tiling;
    return copy;
}

struct vaemark_graph graph_of_tile(const struct vaemark_graph *graph) {
    struct vaemark_graph tile = *graph;

    if (graph->tiling.ends_in_clamp && graph->node_count > 0) {
        tile.node_count--;
        tile.output = graph->nodes[tile.node_count].inputs[0];
    }
    return tile;
}

uint64_t graph_parameter_elements(const struct vaemark_graph *graph) {
    uint64_t sum = 0;

    for (size_t i = 0; i < graph->parameter_count; i++) {
        if (graph->parameters[i].origin == PARAMETER_STORED) {
            const struct shape stored = parameter_stored_shape(&graph->parameters[i]);
            sum += (uint64_t)shape_element_count(&stored);
        }
    }
    return sum;
}

void graph_last_uses(const struct vaemark_graph *graph, int32_t *last_use) {
    for (int32_t value = 0; value < graph->value_count; value++) {
        last_use[value] = -1;
    }
    for (size_t i = 0; i < graph->node_count; i++) {
        for (int32_t j = 0; j < graph->nodes[i].input_count; j++) {
            last_use[graph->nodes[i].inputs[j]] = (int32_t)i;
        }
    }
    if (graph->output >= 0) {
        last_use[graph->output] = (int32_t)graph->node_count;
    }
}
