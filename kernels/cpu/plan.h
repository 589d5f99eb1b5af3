/* Plans: a graph compiled for input shapes. Everything that a decode needs is decided and sized here: steps, places in
 * the arena, scratch, costs. */
#ifndef KERNELS_CPU_PLAN_H
#define KERNELS_CPU_PLAN_H

#include "kernels/cpu/packed.h"
#include "kernels/cpu/step.h"

/* Steps that run depth first, band by band (bands.h). */
struct band_group {
    size_t first, count;
    size_t band_rows; /* of the last step, a round */
};

struct plan {
    struct step *steps;
    size_t step_count;
    struct arena_block *buffers; /* offsets are those of the arena */
    size_t buffer_count;
    size_t arena_bytes; /* values and the scratch of steps */
    struct band_group *groups;
    size_t group_count;
    size_t *band_progress;             /* of the group that runs: rows made, and to be made, by each step */
    struct vaemark_trace_entry *trace; /* one a step; times are those of the last run */
};

struct plan_settings {
    const struct kernel_set *kernels;
    int threads;
    bool direct;          /* convolutions in their direct form only */
    enum storage storage; /* of the activations, where storage.h does not know better */
};

/* Compiles. VAEMARK_BAD_INPUT where the inputs do not fit the graph (graph_infer_shapes() is the judge). The plan keeps
 * pointers into graph, packed and kernels, all of which must outlive it; inputs are only looked at. */
enum vaemark_status plan_create(const struct vaemark_graph *graph, const struct packed *packed,
                                const struct vaemark_tensors *inputs, const struct plan_settings *settings,
                                struct plan **result, struct error *error);
void plan_free(struct plan *plan);

/* Runs all steps. Fails nowhere, allocates nothing. `run` has everything but the buffers. */
void plan_run(struct plan *plan, const struct run *run);

/* `run` with the scratch of a step. */
struct run plan_place(const struct plan *plan, const struct run *run, const struct step *step);

/* VAEMARK_UNSUPPORTED_MODEL names an op that no step here computes. */
enum vaemark_status plan_check_ops(const struct vaemark_graph *graph, struct error *error);

/* The graph as steps over buffers that have no place yet: the first half of plan_create() (lower.c). */
enum vaemark_status plan_lower(struct plan *plan, const struct vaemark_graph *graph, const struct packed *packed,
                               const struct shape *shapes, struct error *error);

#endif
