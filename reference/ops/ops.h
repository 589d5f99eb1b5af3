/* The ops of the reference. Every op is one source, reference/ops/NOUN.c, compiled once with REFERENCE_BITS=32 and once
 * with 64: the same text in float and in double. All memory is the caller's; all tensors are contiguous (N,C,...).
 * Results do not depend on the number of threads: each output element is computed by one thread, in a fixed order. */
#ifndef REFERENCE_OPS_OPS_H
#define REFERENCE_OPS_OPS_H

#include "reference/graph.h"

/* One execution of a node, in the precision of the kernel: float or double behind every pointer. */
struct op_call {
    const union op_attributes *attributes;
    const void *in[GRAPH_MAX_NODE_INPUTS];
    struct shape in_shapes[GRAPH_MAX_NODE_INPUTS];
    int32_t in_count;
    const void *parameters[GRAPH_MAX_NODE_PARAMETERS]; /* NULL where absent; of an embedding, its one row */
    struct shape parameter_shapes[GRAPH_MAX_NODE_PARAMETERS];
    void *out;
    struct shape out_shape;
    void *scratch; /* scratch_size_bytes() of it */
    int threads;   /* at least 1 */
};

struct op_kernel {
    const char *name; /* "conv2d_fp32" */
    void (*run)(const struct op_call *call);
    size_t (*scratch_size_bytes)(const struct op_call *call); /* NULL: none; reads shapes and threads only */
};

extern const struct op_kernel op_kernels_fp32[OP_COUNT], op_kernels_fp64[OP_COUNT];

#endif
