#include "reference/quantize.h"

#include <string.h>

#include "reference/graph_edit.h"

static const char CODEBOOK[] = "quantize.embedding.weight";

enum vaemark_status quantize_check(const struct vaemark_graph *graph, struct error *error) {
    if (graph->input_count > 0 && graph->inputs[0].rank == 3) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "this VQModel does not support the option quantize: its latents are codes "
                         "(\"lookup_from_codebook\" is true), so they are rows of the codebook already");
    }
    if (graph_find_parameter(graph, CODEBOOK) < 0) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "this graph does not support the option quantize: it has no "
                         "codebook");
    }
    return VAEMARK_OK;
}

/* Everybody who reads `from` reads `to`, but for the node that makes one of the other. */
static void rename_value(struct vaemark_graph *graph, int32_t from, int32_t to) {
    for (size_t i = 0; i < graph->node_count; i++) {
        struct graph_node *node = &graph->nodes[i];
        for (int32_t k = 0; k < node->input_count && node->output != to; k++) {
            node->inputs[k] = node->inputs[k] == from ? to : node->inputs[k];
        }
    }
    graph->output = graph->output == from ? to : graph->output;
}

/* The last node becomes the first; values keep their numbers. */
static void move_to_front(struct vaemark_graph *graph) {
    const struct graph_node last = graph->nodes[graph->node_count - 1];
    memmove(graph->nodes + 1, graph->nodes, (graph->node_count - 1) * sizeof *graph->nodes);
    graph->nodes[0] = last;
}

enum vaemark_status quantize_latents(const struct vaemark_graph *graph, struct vaemark_graph **quantized,
                                     struct error *error) {
    struct vaemark_graph *copy = NULL;
    enum vaemark_status status = quantize_check(graph, error);

    *quantized = NULL;
    if (status != VAEMARK_OK) {
        return status;
    }
    copy = graph_clone(graph);
    if (copy != NULL) {
        const struct graph_node node = {.op = OP_QUANTIZE,
                                        .module = graph_keep_text(copy, "quantize"),
                                        .inputs = {copy->inputs[0].value},
                                        .input_count = 1,
                                        .parameters = {graph_find_parameter(copy, CODEBOOK)},
                                        .parameter_count = 1};
        const int32_t rows = node.module == NULL ? -1 : graph_add_node(copy, &node);
        if (rows >= 0) {
            rename_value(copy, copy->inputs[0].value, rows);
            move_to_front(copy);
            *quantized = copy;
            return VAEMARK_OK;
        }
    }
    graph_free(copy);
    return error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory while adding the codebook's node");
}
