/* From graph to steps. Nodes are taken in order; each value becomes an operand. Norms, activations, upsampling and
 * joins mostly leave no step behind: they change the operand through which the value is read. Sums and activations
 * behind a convolution go into its epilogue. What an operand cannot carry is materialised by a step. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/lower.h"

static void lower_tanh_clamp(struct lowering *l) {
    lowering_add_plain_step(l, &step_tanh_clamp)->limit = l->node->attributes.tanh_clamp.limit;
}

static void lower_clamp(struct lowering *l) {
    struct step *step = lowering_add_plain_step(l, &step_clamp);
    step->clamp.low = (float)l->node->attributes.clamp.low;
    step->clamp.high = (float)l->node->attributes.clamp.high;
}

static void lower_attention(struct lowering *l) {
    struct operand inputs[3];
    for (int32_t i = 0; i < l->node->input_count; i++) {
        inputs[i] = *lowering_plain_input(l, i);
    }
    struct step *step = lowering_add_step(l, &step_attention, lowering_new_value(l, lowering_output_shape(l)));
    for (int32_t i = 0; i < l->node->input_count; i++) {
        step_add_input(step, &inputs[i]);
    }
    lowering_set_value(l, step->output, -1);
}

static void lower_linear_attention(struct lowering *l) {
    const struct operand x = *lowering_stored_input(l, 0);
    struct step *step = lowering_add_step(l, &step_linear_attention, lowering_new_value(l, lowering_output_shape(l)));
    step_add_input(step, &x);
    step->linear_attention.head_channels = (size_t)l->node->attributes.linear_attention.head_channels;
    step->linear_attention.epsilon = l->node->attributes.linear_attention.epsilon;
    lowering_set_value(l, step->output, -1);
}

static void (*const lower[OP_COUNT])(struct lowering *l) = {
    [OP_CONV2D] = lower_conv2d,
    [OP_LINEAR] = lower_linear,
    [OP_GROUP_NORM] = lower_group_norm,
    [OP_SILU] = lower_silu,
    [OP_RELU] = lower_relu,
    [OP_TANH_CLAMP] = lower_tanh_clamp,
    [OP_ADD] = lower_add,
    [OP_AFFINE] = lower_affine,
    [OP_SCALE_SHIFT] = lower_scale_shift,
    [OP_UPSAMPLE_NEAREST] = lower_upsample_nearest,
    [OP_AVG_POOL] = lower_avg_pool,
    [OP_CONCAT] = lower_concat,
    [OP_SLICE] = lower_slice,
    [OP_EMBEDDING] = lower_embedding,
    [OP_ATTENTION] = lower_attention,
    [OP_LINEAR_ATTENTION] = lower_linear_attention,
    [OP_RMS_NORM] = lower_rms_norm,
    [OP_BATCH_NORM] = lower_batch_norm,
    [OP_MULTIPLY] = lower_multiply,
    [OP_MIX] = lower_mix,
    [OP_CLAMP] = lower_clamp,
    [OP_SUBSAMPLE] = lower_subsample,
    [OP_CHANNELS_TO_SPACE] = lower_channels_to_space,
    [OP_LOOKUP] = lower_lookup,
    [OP_QUANTIZE] = lower_quantize,
};

enum vaemark_status plan_check_ops(const struct vaemark_graph *graph, struct error *error) {
    for (size_t n = 0; n < graph->node_count; n++) {
        const struct graph_node *node = &graph->nodes[n];
        if (!((unsigned)node->op < OP_COUNT && lower[node->op] != NULL)) {
            return error_set_at(error, VAEMARK_UNSUPPORTED_MODEL, node->module,
                                "cpu has no kernel for the op '%s' (number %d); use backend reference",
                                (unsigned)node->op < OP_COUNT ? op_name(node->op) : "?", (int)node->op);
        }
    }
    return VAEMARK_OK;
}

static void lower_inputs(struct lowering *l) {
    for (size_t i = 0; i < l->graph->input_count; i++) {
        const struct graph_input *graph_input = &l->graph->inputs[i];
        if (l->uses[graph_input->value] == 0 || lowering_is_absent(l, graph_input->value)) {
            continue;
        }
        struct step *step = lowering_add_step(l, &step_pack, lowering_new_value(l, &l->shapes[graph_input->value]));
        step->op = "pack";
        step->module = graph_input->name;
        step->name = graph_input->name;
        l->values[graph_input->value] = step->output;
    }
}

static void lower_output(struct lowering *l) {
    const int32_t value = l->graph->output;
    l->node = NULL;
    struct step *step = lowering_add_step(l, &step_unpack, lowering_operand(&l->shapes[value]));
    step->op = "unpack";
    step_add_input(step, &l->values[value]);
}

/* Bytes of the node's parameters, without their padding; an embedding reads one row. */
static uint64_t parameter_bytes(const struct lowering *l) {
    uint64_t bytes = 0;
    for (int32_t i = 0; i < l->node->parameter_count; i++) {
        const struct shape *shape = &l->graph->parameters[l->node->parameters[i]].shape;
        const uint64_t elements = (uint64_t)(l->node->op == OP_EMBEDDING ? shape->dims[1] : shape_element_count(shape));
        bytes += elements * storage_bytes(packed_storage(l->packed, packing_of(l->graph, l->node, i)));
    }
    return bytes;
}

/* Buffers remember the step that writes them (is_ready() needs it at once). */
static void note_writers(struct lowering *l, size_t first_step) {
    for (size_t i = first_step; i < l->plan->step_count; i++) {
        const struct step *step = &l->plan->steps[i];
        if (step->output.segment_count > 0) {
            l->plan->buffers[step->output.segments[0].buffer].first_step = (int32_t)i;
        }
    }
}

/* Of what the image needs, from its end: what nobody reads is not made, and not counted as a reader. */
static void count_uses(struct lowering *l) {
    l->uses[l->graph->output]++;
    for (size_t n = l->graph->node_count; n-- > 0;) {
        const struct graph_node *node = &l->graph->nodes[n];
        for (int32_t i = 0; l->uses[node->output] > 0 && i < node->input_count; i++) {
            l->uses[node->inputs[i]]++;
        }
    }
}

static void lower_all(struct lowering *l) {
    count_uses(l);
    lower_inputs(l);
    note_writers(l, 0);
    for (size_t n = 0; n < l->graph->node_count; n++) {
        const size_t first_step = l->plan->step_count;
        l->node = &l->graph->nodes[n];
        if (l->uses[l->node->output] == 0 || lowering_is_absent(l, l->node->output)) {
            continue;
        }
        lower[l->node->op](l);
        note_writers(l, first_step);
        if (l->plan->step_count > first_step) {
            /* the last of them is the node's own */
            struct step *step = &l->plan->steps[l->plan->step_count - 1];
            step->flops = graph_node_flops(l->graph, l->node, l->shapes);
            step->bytes = parameter_bytes(l);
        }
    }
    lower_output(l);
}

enum vaemark_status plan_lower(struct plan *plan, const struct vaemark_graph *graph, const struct packed *packed,
                               const struct shape *shapes, struct error *error) {
    /* A node makes at most its own step and one for each input that must be materialised; a step makes one buffer. */
    const size_t most = graph->node_count * (GRAPH_MAX_NODE_INPUTS + 1) + graph->input_count + 1;
    const size_t values = (size_t)graph->value_count + 1;
    struct lowering l = {.plan = plan, .graph = graph, .packed = packed, .shapes = shapes};
    enum vaemark_status status = VAEMARK_OK;

    plan->steps = calloc(most, sizeof *plan->steps);
    plan->buffers = calloc(4 * most, sizeof *plan->buffers); /* its scratch, twofold (plan.c), and its moments */
    l.values = calloc(values, sizeof *l.values);
    l.writers = calloc(values, sizeof *l.writers);
    l.uses = calloc(values, sizeof *l.uses);
    if (plan->steps == NULL || plan->buffers == NULL || l.values == NULL || l.writers == NULL || l.uses == NULL) {
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the plan of %zu nodes", graph->node_count);
    } else {
        memset(l.writers, -1, values * sizeof *l.writers);
        lower_all(&l);
    }
    free(l.uses);
    free(l.writers);
    free(l.values);
    return status;
}
