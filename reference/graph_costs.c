/* What a node costs: operations and least traffic. Sums that no machine could reach saturate instead of wrapping. */
#include "reference/graph.h"

static uint64_t multiply(uint64_t a, uint64_t b) {
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t sum(uint64_t a, uint64_t b) {
    uint64_t total;

    return __builtin_add_overflow(a, b, &total) ? UINT64_MAX : total;
}

static uint64_t elements(const struct shape *shape) {
    const int64_t count = shape_element_count(shape);

    return count < 0 ? UINT64_MAX : (uint64_t)count;
}

/* Sums over pixels of v k^T and of k, then their products with q; or, of few pixels, all pairs of them. The divisor is
 * counted as one more row of v. */
static uint64_t linear_attention_flops(const struct shape *out, int32_t head_channels) {
    const uint64_t pixels = multiply((uint64_t)out->dims[2], (uint64_t)out->dims[3]), d = (uint64_t)head_channels;

    if (pixels > d) {
        return multiply(4, multiply(elements(out), d + 1));
    }
    return multiply(2, multiply(elements(out) / d, multiply(pixels, 2 * d + 1)));
}

uint64_t graph_node_flops(const struct vaemark_graph *graph, const struct graph_node *node,
                          const struct shape *shapes) {
    const struct shape *out = &shapes[node->output];
    const struct shape *weight = node->parameter_count > 0 ? &graph->parameters[node->parameters[0]].shape : NULL;

    if (out->rank == 0) {
        return 0; /* absent */
    }
    switch (node->op) {
    case OP_CONV2D: /* (O,C/groups,kh,kw): products an output element */
        return multiply(2, multiply(elements(out), (uint64_t)(weight->dims[1] * weight->dims[2] * weight->dims[3])));
    case OP_LINEAR:
        return multiply(2, multiply(elements(out), (uint64_t)weight->dims[1]));
    case OP_ATTENTION: /* q k^T and P v: 2 T^2 C each */
        return multiply(4, multiply(elements(out), multiply((uint64_t)out->dims[2], (uint64_t)out->dims[3])));
    case OP_LINEAR_ATTENTION:
        return linear_attention_flops(out, node->attributes.linear_attention.head_channels);
    default:
        return 0;
    }
}

uint64_t graph_node_bytes(const struct vaemark_graph *graph, const struct graph_node *node, const struct shape *shapes,
                          size_t element_size_bytes) {
    uint64_t count = elements(&shapes[node->output]);

    if (shapes[node->output].rank == 0) {
        return 0; /* absent */
    }
    for (int32_t i = 0; i < node->input_count; i++) {
        bool seen = false; /* x + x reads x once */
        for (int32_t j = 0; j < i; j++) {
            seen |= node->inputs[j] == node->inputs[i];
        }
        count = sum(count, seen ? 0 : elements(&shapes[node->inputs[i]]));
    }
    for (int32_t i = 0; i < node->parameter_count; i++) {
        const struct shape *shape = &graph->parameters[node->parameters[i]].shape;
        /* an embedding reads one row of its table */
        count = sum(count, node->op == OP_EMBEDDING ? (uint64_t)shape->dims[1] : elements(shape));
    }
    return multiply(count, element_size_bytes);
}

uint64_t graph_flops(const struct vaemark_graph *graph, const struct shape *shapes) {
    uint64_t flops = 0;

    for (size_t i = 0; i < graph->node_count; i++) {
        flops = sum(flops, graph_node_flops(graph, &graph->nodes[i], shapes));
    }
    return flops;
}
