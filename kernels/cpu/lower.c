/* From graph to steps. Nodes are taken in order; each value becomes an operand. Norms, activations, upsampling and
 * joins mostly leave no step behind: they change the operand through which the value is read. Sums and activations
 * behind a convolution go into its epilogue. What an operand cannot carry is materialised by a step. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/plan.h"

struct lowering {
    struct plan *plan;
    const struct vaemark_graph *graph;
    const struct packed *packed;
    const struct shape *shapes;
    const struct graph_node *node; /* being lowered */
    struct operand *values;        /* how each value is read */
    int32_t *writers;              /* the step whose epilogue ends in this value and is still open, or -1 */
    int32_t *uses;
};

static size_t multiply_sizes(size_t a, size_t b) {
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

/* Bytes of `lines` lines for every panel of every image; SIZE_MAX if that is absurd (the arena then refuses). */
static size_t panels_bytes(const struct operand *operand, size_t lines) {
    size_t panels = multiply_sizes(operand->images, panel_count(operand->channels));
    return multiply_sizes(multiply_sizes(panels, lines), LINE_BYTES);
}

static int32_t add_buffer(struct lowering *l, size_t size_bytes) {
    struct plan *plan = l->plan;
    plan->buffers[plan->buffer_count] = (struct arena_block){.size_bytes = size_bytes};
    return (int32_t)plan->buffer_count++;
}

/* The channel axis is axis 1; pixels are what comes behind, rows of the last axis. */
static struct operand operand_of_shape(const struct shape *shape) {
    struct operand operand = {.images = 1, .channels = 1, .height = 1, .width = 1, .upsample = 1, .coefficients = -1};
    if (shape->rank >= 1) {
        operand.images = (size_t)shape->dims[0];
    }
    if (shape->rank >= 2) {
        operand.channels = (size_t)shape->dims[1];
    }
    for (int32_t axis = 2; axis < shape->rank; axis++) {
        if (axis == shape->rank - 1) {
            operand.width = (size_t)shape->dims[axis];
        } else {
            operand.height *= (size_t)shape->dims[axis];
        }
    }
    return operand;
}

static struct operand whole_buffer(struct operand operand, int32_t buffer) {
    const size_t panels = panel_count(operand.channels);
    operand.segments[0] = (struct segment){.buffer = buffer, .panels = panels, .image_panels = panels};
    operand.segment_count = 1;
    return operand;
}

static struct operand new_value(struct lowering *l, const struct shape *shape) {
    const struct operand operand = operand_of_shape(shape);
    return whole_buffer(operand, add_buffer(l, panels_bytes(&operand, operand_pixels(&operand))));
}

static struct step *add_step(struct lowering *l, const struct step_type *type, struct operand output) {
    struct step *step = &l->plan->steps[l->plan->step_count++];
    *step = (struct step){.type = type, .module = "", .op = "", .output = output, .alpha = 1.0f};
    if (l->node != NULL) {
        step->module = l->node->module;
        step->op = op_name(l->node->op);
    }
    return step;
}

static void add_input(struct step *step, const struct operand *operand) {
    step->inputs[step->input_count++] = *operand;
}

/* An operand that is nothing but a buffer. */
static struct operand materialise(struct lowering *l, const struct operand *operand) {
    if (operand_is_plain(operand)) {
        return *operand;
    }
    struct shape shape = {.rank = 4,
                          .dims = {(int64_t)operand->images, (int64_t)operand->channels,
                                   (int64_t)(operand->height * operand->upsample),
                                   (int64_t)(operand->width * operand->upsample)}};
    struct step *step = add_step(l, &step_elementwise, new_value(l, &shape));
    step->op = "materialise";
    add_input(step, operand);
    return step->output;
}

static struct operand *input(struct lowering *l, int32_t index) {
    return &l->values[l->node->inputs[index]];
}

/* The node's input as a plain buffer, also for those who read it later. */
static const struct operand *plain_input(struct lowering *l, int32_t index) {
    struct operand *operand = input(l, index);
    *operand = materialise(l, operand);
    return operand;
}

static const float *parameter(struct lowering *l, int32_t index) {
    if (index >= l->node->parameter_count) {
        return NULL;
    }
    return packed_find(l->packed, l->graph->parameters[l->node->parameters[index]].name, packing_of(l->node, index));
}

/* Output of the node, written by `step`; -1 where its epilogue takes nothing. */
static void set_value(struct lowering *l, struct operand operand, int32_t writer) {
    l->values[l->node->output] = operand;
    l->writers[l->node->output] = writer;
}

static const struct shape *output_shape(const struct lowering *l) {
    return &l->shapes[l->node->output];
}

static void set_convolution(struct lowering *l, const struct step_type *type, struct conv2d_step conv2d) {
    struct step *step = add_step(l, type, new_value(l, output_shape(l)));
    add_input(step, input(l, 0));
    step->conv2d = conv2d;
    step->weight = parameter(l, 0);
    step->bias = parameter(l, 1);
    set_value(l, step->output, (int32_t)(step - l->plan->steps));
}

static void lower_conv2d(struct lowering *l) {
    const struct shape *weight = &l->graph->parameters[l->node->parameters[0]].shape;
    struct conv2d_step conv2d = {
        .kernel_height = (size_t)weight->dims[2],
        .kernel_width = (size_t)weight->dims[3],
        .stride = (size_t)l->node->attributes.conv2d.stride,
        .padding = (size_t)l->node->attributes.conv2d.padding,
        .groups = (size_t)l->node->attributes.conv2d.groups,
    };
    set_convolution(l, conv2d.groups == 1 ? &step_conv2d : &step_conv2d_grouped, conv2d);
}

static void lower_linear(struct lowering *l) {
    set_convolution(l, &step_conv2d,
                    (struct conv2d_step){.kernel_height = 1, .kernel_width = 1, .stride = 1, .groups = 1});
}

/* A step that writes coefficients for reading `x`; returns x as it is read with them. */
static struct operand add_coefficients(struct lowering *l, const struct step_type *type, const struct operand *x,
                                       struct step **step) {
    struct operand value = *x;
    struct operand output = *x;
    output.coefficients = -1;
    output.activation = ACTIVATION_NONE;
    output.upsample = 1;
    output = whole_buffer(output, add_buffer(l, panels_bytes(x, 3)));
    *step = add_step(l, type, output);
    add_input(*step, x);
    value.coefficients = output.segments[0].buffer;
    return value;
}

static void lower_group_norm(struct lowering *l) {
    struct operand x = *input(l, 0);
    struct step *step;
    if (x.upsample != 1 || x.coefficients >= 0 || x.activation != ACTIVATION_NONE) {
        x = *plain_input(l, 0);
    }
    x = add_coefficients(l, &step_group_norm, &x, &step);
    step->weight = parameter(l, 0);
    step->bias = parameter(l, 1);
    step->group_norm.groups = (size_t)l->node->attributes.group_norm.groups;
    step->group_norm.epsilon = l->node->attributes.group_norm.epsilon;
    set_value(l, x, -1);
}

static void lower_affine(struct lowering *l) {
    struct operand x = *input(l, 0);
    struct step *step;
    if (x.activation != ACTIVATION_NONE) {
        x = *plain_input(l, 0);
    }
    x = add_coefficients(l, &step_affine, &x, &step);
    step->affine.scale = l->node->attributes.affine.scale;
    step->affine.shift = l->node->attributes.affine.shift;
    step->affine.count = (size_t)l->node->attributes.affine.count;
    set_value(l, x, -1);
}

static void lower_scale_shift(struct lowering *l) {
    const struct operand e = *plain_input(l, 1);
    struct operand x = *input(l, 0);
    struct step *step;
    if (x.activation != ACTIVATION_NONE) {
        x = *plain_input(l, 0);
    }
    x = add_coefficients(l, &step_scale_shift, &x, &step);
    add_input(step, &e);
    set_value(l, x, -1);
}

/* The step that can still take something into its epilogue: it alone writes the value, and nobody else reads it. */
static struct step *open_writer(struct lowering *l, int32_t value) {
    return l->writers[value] >= 0 && l->uses[value] == 1 ? &l->plan->steps[l->writers[value]] : NULL;
}

static void lower_activation(struct lowering *l, enum activation activation) {
    struct operand x = *input(l, 0);
    struct step *writer = open_writer(l, l->node->inputs[0]);
    if (writer != NULL && operand_is_plain(&x)) {
        writer->activation = activation; /* and that closes it */
        set_value(l, x, -1);
        return;
    }
    if (x.activation != ACTIVATION_NONE) {
        x = *plain_input(l, 0);
    }
    x.activation = activation;
    set_value(l, x, -1);
}

static void lower_silu(struct lowering *l) {
    lower_activation(l, ACTIVATION_SILU);
}

static void lower_relu(struct lowering *l) {
    lower_activation(l, ACTIVATION_RELU);
}

static void lower_tanh_clamp(struct lowering *l) {
    struct step *step = add_step(l, &step_tanh_clamp, new_value(l, output_shape(l)));
    add_input(step, input(l, 0));
    step->limit = l->node->attributes.tanh_clamp.limit;
    set_value(l, step->output, -1);
}

/* Written before step number `step` starts? Buffers remember their writer in first_step. */
static bool is_ready(const struct lowering *l, const struct operand *operand, int32_t step) {
    bool ready = true;
    for (int32_t i = 0; i < operand->segment_count; i++) {
        ready = ready && l->plan->buffers[operand->segments[i].buffer].first_step < step;
    }
    return ready;
}

/* Takes `other` into the epilogue of the convolution that writes `value`. */
static bool fuse_residual(struct lowering *l, int32_t value, int32_t other, double alpha, double beta) {
    struct step *writer = open_writer(l, value);
    const struct operand *residual = &l->values[other];
    if (writer == NULL || value == other || writer->residual.segment_count > 0 || residual->coefficients >= 0 ||
        residual->activation != ACTIVATION_NONE || !is_ready(l, residual, l->writers[value])) {
        return false;
    }
    writer->residual = *residual;
    writer->alpha = (float)alpha;
    writer->beta = (float)beta;
    set_value(l, l->values[value], l->writers[value]);
    return true;
}

static void lower_add(struct lowering *l) {
    const int32_t a = l->node->inputs[0], b = l->node->inputs[1];
    const double alpha = l->node->attributes.add.alpha, beta = l->node->attributes.add.beta;
    if (fuse_residual(l, a, b, alpha, beta) || fuse_residual(l, b, a, beta, alpha)) {
        return;
    }
    struct step *step = add_step(l, &step_elementwise, new_value(l, output_shape(l)));
    add_input(step, input(l, 0));
    step->residual = *input(l, 1);
    step->alpha = (float)alpha;
    step->beta = (float)beta;
    set_value(l, step->output, (int32_t)(step - l->plan->steps));
}

static void lower_upsample_nearest(struct lowering *l) {
    struct operand x = *input(l, 0);
    x.upsample *= (size_t)l->node->attributes.upsample_nearest.factor;
    set_value(l, x, -1);
}

static void lower_avg_pool(struct lowering *l) {
    struct step *step = add_step(l, &step_avg_pool, new_value(l, output_shape(l)));
    add_input(step, input(l, 0));
    set_value(l, step->output, -1);
}

static void lower_gather(struct lowering *l, size_t first_channel) {
    struct step *step = add_step(l, &step_gather, new_value(l, output_shape(l)));
    for (int32_t i = 0; i < l->node->input_count; i++) {
        add_input(step, input(l, i));
    }
    step->first_channel = first_channel;
    set_value(l, step->output, -1);
}

/* Two buffers of which the first is whole panels are read as one, and never copied together. */
static void lower_concat(struct lowering *l) {
    const bool single = input(l, 0)->segment_count == 1 && input(l, 1)->segment_count == 1;
    if (!single || input(l, 0)->channels % PANEL != 0) {
        lower_gather(l, 0);
        return;
    }
    const struct operand first = *plain_input(l, 0), second = *plain_input(l, 1);
    struct operand joined = first;
    joined.channels += second.channels;
    joined.segments[1] = second.segments[0];
    joined.segment_count = 2;
    set_value(l, joined, -1);
}

/* Whole panels of one buffer are a view of it. */
static void lower_slice(struct lowering *l) {
    const size_t first = (size_t)l->node->attributes.slice.first, count = (size_t)l->node->attributes.slice.count;
    struct operand x = *input(l, 0);
    const bool to_end = first + count == x.channels;
    if (x.segment_count != 1 || x.coefficients >= 0 || first % PANEL != 0 || (count % PANEL != 0 && !to_end)) {
        lower_gather(l, first);
        return;
    }
    x.channels = count;
    x.segments[0].first_panel += first / PANEL;
    x.segments[0].panels = panel_count(count);
    set_value(l, x, -1);
}

static void lower_embedding(struct lowering *l) {
    struct step *step = add_step(l, &step_embedding, new_value(l, output_shape(l)));
    step->weight = parameter(l, 0);
    step->row = (size_t)l->node->attributes.embedding.row;
    set_value(l, step->output, -1);
}

static void lower_attention(struct lowering *l) {
    struct operand inputs[3];
    for (int32_t i = 0; i < l->node->input_count; i++) {
        inputs[i] = *plain_input(l, i);
    }
    struct step *step = add_step(l, &step_attention, new_value(l, output_shape(l)));
    for (int32_t i = 0; i < l->node->input_count; i++) {
        add_input(step, &inputs[i]);
    }
    set_value(l, step->output, -1);
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
};

static void lower_inputs(struct lowering *l) {
    for (size_t i = 0; i < l->graph->input_count; i++) {
        const struct graph_input *graph_input = &l->graph->inputs[i];
        if (l->uses[graph_input->value] == 0) {
            continue;
        }
        struct step *step = add_step(l, &step_pack, new_value(l, &l->shapes[graph_input->value]));
        step->op = "pack";
        step->module = graph_input->name;
        step->name = graph_input->name;
        l->values[graph_input->value] = step->output;
    }
}

static void lower_output(struct lowering *l) {
    const int32_t value = l->graph->output;
    l->node = NULL;
    struct step *step = add_step(l, &step_unpack, operand_of_shape(&l->shapes[value]));
    step->op = "unpack";
    add_input(step, &l->values[value]);
}

/* Bytes of the node's parameters as FP32; an embedding reads one row. */
static uint64_t parameter_bytes(const struct lowering *l) {
    uint64_t elements = 0;
    for (int32_t i = 0; i < l->node->parameter_count; i++) {
        const struct shape *shape = &l->graph->parameters[l->node->parameters[i]].shape;
        elements += (uint64_t)(l->node->op == OP_EMBEDDING ? shape->dims[1] : shape_element_count(shape));
    }
    return elements * sizeof(float);
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

static void count_uses(struct lowering *l) {
    for (size_t n = 0; n < l->graph->node_count; n++) {
        for (int32_t i = 0; i < l->graph->nodes[n].input_count; i++) {
            l->uses[l->graph->nodes[n].inputs[i]]++;
        }
    }
    l->uses[l->graph->output]++;
}

static void lower_all(struct lowering *l) {
    count_uses(l);
    lower_inputs(l);
    note_writers(l, 0);
    for (size_t n = 0; n < l->graph->node_count; n++) {
        const size_t first_step = l->plan->step_count;
        l->node = &l->graph->nodes[n];
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
    l->plan->flops = graph_flops(l->graph, l->shapes);
}

enum vaemark_status plan_lower(struct plan *plan, const struct vaemark_graph *graph, const struct packed *packed,
                               const struct shape *shapes, struct error *error) {
    /* A node makes at most its own step and one for each input that must be materialised; a step makes one buffer. */
    const size_t most = graph->node_count * (GRAPH_MAX_NODE_INPUTS + 1) + graph->input_count + 1;
    const size_t values = (size_t)graph->value_count + 1;
    struct lowering l = {.plan = plan, .graph = graph, .packed = packed, .shapes = shapes};
    enum vaemark_status status = VAEMARK_OK;

    plan->steps = calloc(most, sizeof *plan->steps);
    plan->buffers = calloc(most, sizeof *plan->buffers);
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
