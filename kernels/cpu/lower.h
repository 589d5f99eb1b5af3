/* What the parts of lowering share: lower.c goes through the nodes, lower_*.c know the ops, lowering.c is what they are
 * made with. */
#ifndef KERNELS_CPU_LOWER_H
#define KERNELS_CPU_LOWER_H

#include "kernels/cpu/plan.h"

struct lowering {
    struct plan *plan;
    const struct vaemark_graph *graph;
    const struct packed *packed;
    const struct shape *shapes;
    const struct graph_node *node; /* being lowered */
    struct operand *values;        /* how each value is read */
    int32_t *writers;              /* the step whose epilogue ends in this value and is still open, or -1 */
    int32_t *uses;                 /* by nodes that the image needs; 0: the value is not made */
};

/* The node's input as it is read. */
struct operand *lowering_input(struct lowering *l, int32_t index);
/* ... as a plain buffer, also for those who read it later. */
const struct operand *lowering_plain_input(struct lowering *l, int32_t index);
/* ... with nothing to apply while it is read; it may still be a view or a join. */
const struct operand *lowering_stored_input(struct lowering *l, int32_t index);
/* The node's parameter, packed in floats; NULL where it has no such. */
const float *lowering_parameter(struct lowering *l, int32_t index);
/* ... as it is stored (packed_storage()). */
const void *lowering_stored_parameter(const struct lowering *l, int32_t index);
const struct shape *lowering_output_shape(const struct lowering *l);
/* Whether an input that may be left out was. */
bool lowering_is_absent(const struct lowering *l, int32_t value);

/* Bytes of `lines` lines for every panel of every image; SIZE_MAX if that is absurd (the arena then refuses). */
size_t lowering_panels_bytes(const struct operand *operand, size_t lines);
int32_t lowering_add_buffer(struct lowering *l, size_t size_bytes);
/* The channel axis is axis 1; pixels are what comes behind, rows of the last axis. Codes (N,H,W) have one channel. */
struct operand lowering_operand(const struct shape *shape);
struct operand lowering_whole_buffer(struct operand operand, int32_t buffer);
struct operand lowering_new_value(struct lowering *l, const struct shape *shape);
struct step *lowering_add_step(struct lowering *l, const struct step_type *type, struct operand output);
/* A step that writes the node's output and reads its inputs as they are. */
struct step *lowering_add_plain_step(struct lowering *l, const struct step_type *type);
void step_add_input(struct step *step, const struct operand *operand);
/* Output of the node, written by `step`; -1 where its epilogue takes nothing. */
void lowering_set_value(struct lowering *l, struct operand operand, int32_t writer);

/* lower_epilogues.c */
void lower_conv2d(struct lowering *l);
void lower_linear(struct lowering *l);
void lower_silu(struct lowering *l);
void lower_relu(struct lowering *l);
void lower_add(struct lowering *l);
void lower_multiply(struct lowering *l);
void lower_mix(struct lowering *l);

/* lower_norms.c */
void lower_group_norm(struct lowering *l);
void lower_affine(struct lowering *l);
void lower_scale_shift(struct lowering *l);
void lower_batch_norm(struct lowering *l);
void lower_rms_norm(struct lowering *l);

/* lower_pixels.c */
void lower_upsample_nearest(struct lowering *l);
void lower_avg_pool(struct lowering *l);
void lower_subsample(struct lowering *l);
void lower_channels_to_space(struct lowering *l);
void lower_concat(struct lowering *l);
void lower_slice(struct lowering *l);
void lower_embedding(struct lowering *l);
void lower_lookup(struct lowering *l);
void lower_quantize(struct lowering *l);

#endif
