/* Small graphs made by hand, with weights in memory, and a host that counts, checks and fails. */
#ifndef TESTS_REFERENCE_SUPPORT_GRAPHS_H
#define TESTS_REFERENCE_SUPPORT_GRAPHS_H

#include "reference/graph.h"

/* latents (N,4,H,W) -> conv 4->8 -> norm, q k v, attention, to_out, residual -> silu -> conv 8->3. 4 linears. Module
 * "mid.attentions.0". */
struct vaemark_graph *graphs_attention(void);
/* Binds fresh pseudo-random F32 memory (in [-0.5, 0.5)) to every parameter; graphs_free() frees it with the graph. */
void graphs_bind(struct vaemark_graph *graph);
void graphs_free(struct vaemark_graph *graph);

/* A host that counts bytes by class and refuses request number `fail_at` (from 0; -1: none). */
struct graphs_host {
    struct vaemark_host host;
    uint64_t current[VAEMARK_MEMORY_CLASS_COUNT], peak[VAEMARK_MEMORY_CLASS_COUNT];
    int64_t requests, fail_at;
};
void graphs_host_make(struct graphs_host *host);
/* Peaks and requests from here on. */
void graphs_host_reset(struct graphs_host *host, int64_t fail_at);
uint64_t graphs_host_balance(const struct graphs_host *host);

#endif
