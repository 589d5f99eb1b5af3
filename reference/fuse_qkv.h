/* Fuse-QKV: the three projections of an attention as one (spec 3). Not a feature of a backend but a transformation of
 * the graph behind a gate (capability_check), the same for every backend. */
#ifndef REFERENCE_FUSE_QKV_H
#define REFERENCE_FUSE_QKV_H

#include "reference/graph.h"

/* Makes a copy of `graph` in which each attention's linears q, k, v (same input) are one linear with the joined
 * parameter "<attention>.to_qkv.weight" (3C,C), ".bias" (3C), rows in the order q, k, v, feeding the attention as one
 * packed input. *modules is how many attentions were fused: 0 where there are none, which is no error. The caller owns
 * *fused. */
enum vaemark_status fuse_qkv(const struct vaemark_graph *graph, struct vaemark_graph **fused, int64_t *modules,
                             struct error *error);

#endif
