#include "reference/fuse_qkv.h"

#include <stdlib.h>
#include <string.h>

#include "reference/graph_edit.h"

/* Everything the rewriting needs at hand. Values of the new graph are numbered afresh: those of dropped projections are
 * gone from it. */
struct fusion {
    const struct vaemark_graph *graph;
    struct vaemark_graph *fused;
    int32_t *producer; /* node that makes a value of `graph`, -1 for inputs */
    int32_t *readers;  /* how many times it is read */
    int32_t *renamed;  /* its number in `fused`, -1 before it is made */
    bool *dropped;     /* nodes of `graph` that a joined one replaces */
};

/* The projection whose output the attention reads as its input `index`, or NULL. */
static const struct graph_node *fusion_projection(const struct fusion *fusion, const struct graph_node *attention,
                                                  int index) {
    const int32_t value = attention->inputs[index], node = fusion->producer[value];

    if (node < 0 || fusion->graph->nodes[node].op != OP_LINEAR || fusion->readers[value] != 1) {
        return NULL;
    }
    return &fusion->graph->nodes[node];
}

/* True when q, k and v are linears of one input, of one shape, with or without bias alike, and read by nobody else. */
static bool fusion_finds(const struct fusion *fusion, const struct graph_node *attention,
                         const struct graph_node *projections[3]) {
    if (attention->op != OP_ATTENTION || attention->input_count != 3) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        const struct graph_node *first = projections[0];
        projections[i] = fusion_projection(fusion, attention, i);
        if (projections[i] == NULL) {
            return false;
        }
        if (i == 0) {
            continue;
        }
        if (projections[i]->inputs[0] != first->inputs[0] ||
            projections[i]->parameter_count != first->parameter_count ||
            !shape_equal(&fusion->graph->parameters[projections[i]->parameters[0]].shape,
                         &fusion->graph->parameters[first->parameters[0]].shape)) {
            return false;
        }
    }
    return true;
}

static bool fusion_prepare(struct fusion *fusion) {
    const size_t values = (size_t)fusion->graph->value_count;
    const struct graph_node *projections[3] = {NULL, NULL, NULL};

    fusion->producer = malloc((values + 1) * sizeof *fusion->producer);
    fusion->readers = calloc(values + 1, sizeof *fusion->readers);
    fusion->renamed = malloc((values + 1) * sizeof *fusion->renamed);
    fusion->dropped = calloc(fusion->graph->node_count + 1, sizeof *fusion->dropped);
    if (fusion->producer == NULL || fusion->readers == NULL || fusion->renamed == NULL || fusion->dropped == NULL) {
        return false;
    }
    for (size_t i = 0; i < values; i++) {
        fusion->producer[i] = fusion->renamed[i] = -1;
    }
    for (size_t i = 0; i < fusion->graph->node_count; i++) {
        const struct graph_node *node = &fusion->graph->nodes[i];
        fusion->producer[node->output] = (int32_t)i;
        for (int32_t j = 0; j < node->input_count; j++) {
            fusion->readers[node->inputs[j]]++;
        }
    }
    if (fusion->graph->output >= 0) {
        fusion->readers[fusion->graph->output]++;
    }
    for (size_t i = 0; i < fusion->graph->node_count; i++) {
        if (fusion_finds(fusion, &fusion->graph->nodes[i], projections)) {
            for (int j = 0; j < 3; j++) {
                fusion->dropped[projections[j] - fusion->graph->nodes] = true;
            }
        }
    }
    return true;
}

/* "MODULE.LEAF", the rows of three parameters of one shape one below the other. -1 when memory is short. */
static int32_t fusion_join(struct vaemark_graph *fused, const char *module, const char *leaf,
                           const struct graph_node *const projections[3], int index) {
    struct graph_parameter joined = fused->parameters[projections[0]->parameters[index]];
    char *name = malloc(strlen(module) + strlen(leaf) + 2);

    if (name == NULL) {
        return -1;
    }
    strcpy(name, module);
    strcat(name, ".");
    strcat(name, leaf);
    joined.name = graph_keep_text(fused, name);
    free(name);
    if (joined.name == NULL) {
        return -1;
    }
    joined.origin = PARAMETER_JOINED;
    joined.shape.dims[0] = 0;
    for (int i = 0; i < 3; i++) {
        joined.sources[i] = projections[i]->parameters[index];
        joined.shape.dims[0] += fused->parameters[joined.sources[i]].shape.dims[0];
    }
    joined.tensor = tensor_make(joined.name, VAEMARK_F32, &joined.shape, NULL);
    return graph_add_parameter(fused, &joined);
}

/* Adds "<attention>.to_qkv" and lets the attention read that. */
static bool fusion_replace(struct fusion *fusion, const struct graph_node *const projections[3],
                           struct graph_node *attention) {
    struct graph_node linear = {.op = OP_LINEAR, .input_count = 1, .parameter_count = projections[0]->parameter_count};
    char *module = malloc(strlen(attention->module) + sizeof ".to_qkv");
    static const char *const leaves[GRAPH_MAX_NODE_PARAMETERS] = {"weight", "bias"};
    bool made = module != NULL;

    if (made) {
        strcpy(module, attention->module);
        strcat(module, module[0] == '\0' ? "to_qkv" : ".to_qkv");
        linear.module = graph_keep_text(fusion->fused, module);
        made = linear.module != NULL;
    }
    linear.inputs[0] = fusion->renamed[projections[0]->inputs[0]];
    for (int i = 0; made && i < linear.parameter_count && i < GRAPH_MAX_NODE_PARAMETERS; i++) {
        linear.parameters[i] = fusion_join(fusion->fused, module, leaves[i], projections, i);
        made = linear.parameters[i] >= 0;
    }
    free(module);
    attention->inputs[0] = made ? graph_add_node(fusion->fused, &linear) : -1;
    attention->input_count = 1;
    return attention->inputs[0] >= 0;
}

/* Appends a node of the old list with its inputs under their new numbers, its joined projection before it. */
static bool fusion_append(struct fusion *fusion, size_t index, const struct graph_node *old, int64_t *modules) {
    const struct graph_node *projections[3] = {NULL, NULL, NULL};
    struct graph_node node = *old;
    int32_t output;

    if (fusion_finds(fusion, &fusion->graph->nodes[index], projections)) {
        if (!fusion_replace(fusion, projections, &node)) {
            return false;
        }
        (*modules)++;
    } else {
        for (int32_t i = 0; i < node.input_count; i++) {
            node.inputs[i] = fusion->renamed[node.inputs[i]];
        }
    }
    output = graph_add_node(fusion->fused, &node);
    fusion->renamed[old->output] = output;
    return output >= 0;
}

/* Writes the node list of the clone anew; the old one's strings and constants are in its arena already. */
static bool fusion_rewrite(struct fusion *fusion, int64_t *modules) {
    struct vaemark_graph *fused = fusion->fused;
    struct graph_node *old = fused->nodes;
    bool whole = true;

    fused->nodes = NULL;
    fused->node_count = fused->node_capacity = 0;
    fused->value_count = 0;
    for (size_t i = 0; i < fused->input_count; i++) {
        fusion->renamed[fused->inputs[i].value] = fused->value_count;
        fused->inputs[i].value = fused->value_count++;
    }
    for (size_t i = 0; whole && i < fusion->graph->node_count; i++) {
        whole = fusion->dropped[i] || fusion_append(fusion, i, &old[i], modules);
    }
    fused->output = fused->output < 0 ? -1 : fusion->renamed[fused->output];
    free(old);
    return whole;
}

enum vaemark_status fuse_qkv(const struct vaemark_graph *graph, struct vaemark_graph **fused, int64_t *modules,
                             struct error *error) {
    struct fusion fusion = {.graph = graph, .fused = graph_clone(graph)};
    enum vaemark_status status = VAEMARK_OK;

    *fused = NULL;
    *modules = 0;
    if (fusion.fused == NULL || !fusion_prepare(&fusion) || !fusion_rewrite(&fusion, modules)) {
        graph_free(fusion.fused);
        *modules = 0;
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory while fusing the projections of attentions");
    } else {
        *fused = fusion.fused;
    }
    free(fusion.producer);
    free(fusion.readers);
    free(fusion.renamed);
    free(fusion.dropped);
    return status;
}
