/* Parameters in the form that kernels read: floats, or bfloat16 where panels are wanted so, in one block of host
 * memory. Graphs share what they both use: the fused graph packs its joined projections alone and takes the rest from
 * the unfused one. */
#ifndef KERNELS_CPU_PACKED_H
#define KERNELS_CPU_PACKED_H

#include "kernels/cpu/kernels.h"
#include "reference/graph.h"

enum packing {
    PACKING_PANELS, /* weights (O,C,taps) as (O/16, C/16, taps, 16 of C, 16 of O), zeros in the padding; in bfloat16
                     * as (O/16, C/32, taps, 16 pairs of C, 16 of O, 2) */
    PACKING_LANES,  /* depthwise weights (C,1,taps) as (C/16, taps, 16), zeros in the padding */
    PACKING_NARROW, /* weights (O,C,taps) of at most NARROW_OUTPUTS outputs as (C/16, taps, O, 16 of C) */
    PACKING_ROWS,   /* as stored: weights of convolutions whose groups cut panels, tables */
    PACKING_VECTOR  /* biases and norms, padded to 16 with zeros */
};

struct packed;

/* How a node reads its parameter number `index`. */
enum packing packing_of(const struct vaemark_graph *graph, const struct graph_node *node, int32_t index);

struct packed_settings {
    enum storage panels; /* how PACKING_PANELS is stored, which is all but a few of the weights; the rest are floats */
    int threads;
};

/* Packs what `graph` needs and `shared` (may be NULL; must outlive the result, and be stored alike) does not have. One
 * allocation of class WEIGHTS, none where there is nothing to pack. */
enum vaemark_status packed_create(const struct vaemark_host *host, const struct vaemark_graph *graph,
                                  const struct packed *shared, const struct packed_settings *settings,
                                  struct packed **result, struct error *error);
void packed_free(struct packed *packed);

/* The packed form of a parameter, 64-byte aligned, or NULL. */
const void *packed_find(const struct packed *packed, const char *name, enum packing packing);
/* How a parameter packed so is stored. */
enum storage packed_storage(const struct packed *packed, enum packing packing);
/* Bytes asked of the host. */
size_t packed_size_bytes(const struct packed *packed);

#endif
