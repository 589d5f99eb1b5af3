/* A decode as passes (reference/tiling.h): one plan for each different shape of a pass, in one arena of the largest,
 * with the packed weights that they share. Without tiles and slices that is one pass and one plan. */
#ifndef KERNELS_CPU_PASSES_H
#define KERNELS_CPU_PASSES_H

#include "kernels/cpu/plan.h"
#include "reference/tiling.h"

struct passes {
    struct tiling tiling;
    struct plan *plans[TILING_MAX_SHAPES];
    /* Of all plans; behind the largest arena lies the scratch that tiles are cut and blended in. */
    size_t arena_bytes, scratch_offset_bytes;
    struct vaemark_trace_entry *trace; /* of every pass, one after the other; times are those of the last run */
    size_t trace_count;
};

struct passes_settings {
    struct plan_settings plan;
    struct tiling_request tiling;
};

/* Compiles. Keeps pointers as plan_create() does. */
enum vaemark_status passes_create(const struct vaemark_graph *graph, const struct packed *packed,
                                  const struct vaemark_tensors *inputs, const struct passes_settings *settings,
                                  struct passes **result, struct error *error);
void passes_free(struct passes *passes);

/* Runs all of them. Allocates nothing. `run` has everything but the buffers. */
void passes_run(struct passes *passes, const struct run *run);

#endif
