/* From graph to steps. Nodes are taken in order; each value becomes an operand. Norms, activations, upsampling and
 * joins mostly leave no step behind: they change the operand through which the value is read. Sums and activations
 * behind a convolution go into its epilogue. What an operand cannot carry is materialised by a step. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/lower.h"

static size_t multiply_sizes(size_t a, size_t b) {
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

size_t lowering_panels_bytes(const struct operand *operand, size_t lines) {
    size_t panels = multiply_sizes(operand->images, panel_count(operand->channels));
    return multiply_sizes(multiply_sizes(panels, lines), LINE_BYTES);
}

int32_t lowering_add_buffer(struct lowering *l, size_t size_bytes) {
    struct plan *plan = l->plan;
    plan->buffers[plan->buffer_count] = (struct arena_block){.size_bytes = size_bytes};
    return (int32_t)plan->buffer_count++;
}

/* The channel axis is axis 1; pixels are what comes behind, rows of the last axis. Codes (N,H,W) have one channel. */
static struct operand operand_of_shape(const struct shape *shape) {
    struct operand operand = {.images = 1, .channels = 1, .height = 1, .width = 1, .upsample = 1, .coefficients = -1};
    if (shape->rank == 3) {
        operand.images = (size_t)shape->dims[0];
        operand.height = (size_t)shape->dims[1];
        operand.width = (size_t)shape->dims[2];
        return operand;
    }
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

struct operand lowering_whole_buffer(struct operand operand, int32_t buffer) {
    const size_t panels = panel_count(operand.channels);
    operand.segments[0] = (struct segment){.buffer = buffer, .panels = panels, .image_panels = panels};
    operand.segment_count = 1;
    return operand;
}

struct operand lowering_new_value(struct lowering *l, const struct shape *shape) {
    const struct operand operand = operand_of_shape(shape);
    return lowering_whole_buffer(operand,
                                 lowering_add_buffer(l, lowering_panels_bytes(&operand, operand_pixels(&operand))));
}

struct step *lowering_add_step(struct lowering *l, const struct step_type *type, struct operand output) {
    struct step *step = &l->plan->steps[l->plan->step_count++];
    *step = (struct step){.type = type, .module = "", .op = "", .output = output, .alpha = 1.0f, .moments_buffer = -1};
    if (l->node != NULL) {
        step->module = l->node->module;
        step->op = op_name(l->node->op);
    }
    return step;
}

void step_add_input(struct step *step, const struct operand *operand) {
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
    struct step *step = lowering_add_step(l, &step_elementwise, lowering_new_value(l, &shape));
    step->op = "materialise";
    step_add_input(step, operand);
    return step->output;
}

struct operand *lowering_input(struct lowering *l, int32_t index) {
    return &l->values[l->node->inputs[index]];
}

const struct operand *lowering_plain_input(struct lowering *l, int32_t index) {
    struct operand *operand = lowering_input(l, index);
    *operand = materialise(l, operand);
    return operand;
}

const struct operand *lowering_stored_input(struct lowering *l, int32_t index) {
    const struct operand *operand = lowering_input(l, index);
    const bool stored = operand->upsample == 1 && operand->coefficients < 0 && operand->activation == ACTIVATION_NONE;
    return stored ? operand : lowering_plain_input(l, index);
}

static const void *find_parameter(const struct lowering *l, int32_t index) {
    if (index >= l->node->parameter_count) {
        return NULL;
    }
    return packed_find(l->packed, l->graph->parameters[l->node->parameters[index]].name,
                       packing_of(l->graph, l->node, index));
}

const float *lowering_parameter(struct lowering *l, int32_t index) {
    return find_parameter(l, index);
}

void lowering_set_value(struct lowering *l, struct operand operand, int32_t writer) {
    l->values[l->node->output] = operand;
    l->writers[l->node->output] = writer;
}

const struct shape *lowering_output_shape(const struct lowering *l) {
    return &l->shapes[l->node->output];
}

struct step *lowering_add_plain_step(struct lowering *l, const struct step_type *type) {
    struct step *step = lowering_add_step(l, type, lowering_new_value(l, lowering_output_shape(l)));
    for (int32_t i = 0; i < l->node->input_count; i++) {
        step_add_input(step, lowering_input(l, i));
    }
    lowering_set_value(l, step->output, -1);
    return step;
}

/* As lowering_add_plain_step(), of a step whose epilogue takes more. */
static struct step *add_open_step(struct lowering *l, const struct step_type *type) {
    struct step *step = lowering_add_plain_step(l, type);
    l->writers[l->node->output] = (int32_t)(step - l->plan->steps);
    return step;
}

/* What looks at one pixel alone gives the same before and after nearest upsampling: it runs before, on few pixels. */
static bool set_before_upsampling(struct lowering *l, const struct conv2d_step *conv2d) {
    const bool pointwise =
        conv2d->kernel_height == 1 && conv2d->kernel_width == 1 && conv2d->stride == 1 && conv2d->padding == 0;
    struct operand in = *lowering_input(l, 0);
    if (!pointwise || in.upsample == 1) {
        return false;
    }
    const struct shape small = {
        .rank = 4,
        .dims = {(int64_t)in.images, lowering_output_shape(l)->dims[1], (int64_t)in.height, (int64_t)in.width}};
    struct operand output = lowering_new_value(l, &small);
    struct step *step = lowering_add_step(l, &step_conv2d, output);
    output.upsample = in.upsample;
    in.upsample = 1;
    step_add_input(step, &in);
    lowering_set_value(l, output, -1);
    return true;
}

static const struct step_type *convolution_type(const struct lowering *l) {
    switch (packing_of(l->graph, l->node, 0)) {
    case PACKING_LANES:
        return &step_conv2d_depthwise;
    case PACKING_NARROW:
        return &step_conv2d_narrow;
    case PACKING_ROWS:
        return &step_conv2d_grouped;
    default:
        return &step_conv2d;
    }
}

static void set_convolution(struct lowering *l, struct conv2d_step conv2d) {
    if (!set_before_upsampling(l, &conv2d)) {
        add_open_step(l, &step_conv2d);
    }
    struct step *step = &l->plan->steps[l->plan->step_count - 1];
    step->type = convolution_type(l);
    step->conv2d = conv2d;
    if (packed_storage(l->packed, packing_of(l->graph, l->node, 0)) == STORAGE_BF16) {
        step->weight_bf16 = find_parameter(l, 0);
    } else {
        step->weight = lowering_parameter(l, 0);
    }
    step->bias = lowering_parameter(l, 1);
}

static void lower_conv2d(struct lowering *l) {
    const struct shape *weight = &l->graph->parameters[l->node->parameters[0]].shape;
    set_convolution(l, (struct conv2d_step){
                           .kernel_height = (size_t)weight->dims[2],
                           .kernel_width = (size_t)weight->dims[3],
                           .stride = (size_t)l->node->attributes.conv2d.stride,
                           .padding = (size_t)l->node->attributes.conv2d.padding,
                           .groups = (size_t)l->node->attributes.conv2d.groups,
                       });
}

static void lower_linear(struct lowering *l) {
    set_convolution(l, (struct conv2d_step){.kernel_height = 1, .kernel_width = 1, .stride = 1, .groups = 1});
}

/* The step that can still take something into its epilogue: it alone writes the value, and nobody else reads it. */
static struct step *open_writer(struct lowering *l, int32_t value) {
    return l->writers[value] >= 0 && l->uses[value] == 1 ? &l->plan->steps[l->writers[value]] : NULL;
}

static void lower_activation(struct lowering *l, enum activation activation) {
    struct operand x = *lowering_input(l, 0);
    struct step *writer = open_writer(l, l->node->inputs[0]);
    if (writer != NULL && operand_is_plain(&x)) {
        writer->activation = activation; /* and that closes it */
        lowering_set_value(l, x, -1);
        return;
    }
    if (x.activation != ACTIVATION_NONE) {
        x = *lowering_plain_input(l, 0);
    }
    x.activation = activation;
    lowering_set_value(l, x, -1);
}

static void lower_silu(struct lowering *l) {
    lower_activation(l, ACTIVATION_SILU);
}

static void lower_relu(struct lowering *l) {
    lower_activation(l, ACTIVATION_RELU);
}

static void lower_tanh_clamp(struct lowering *l) {
    lowering_add_plain_step(l, &step_tanh_clamp)->limit = l->node->attributes.tanh_clamp.limit;
}

static void lower_clamp(struct lowering *l) {
    struct step *step = lowering_add_plain_step(l, &step_clamp);
    step->clamp.low = (float)l->node->attributes.clamp.low;
    step->clamp.high = (float)l->node->attributes.clamp.high;
}

static void lower_multiply(struct lowering *l) {
    add_open_step(l, &step_multiply);
}

static bool is_absent(const struct lowering *l, int32_t value) {
    return l->shapes[value].rank == 0;
}

/* Without its second half it is another name for the first; what was open stays so if nobody else reads that. */
static void lower_mix(struct lowering *l) {
    const int32_t x = l->node->inputs[0];
    if (is_absent(l, l->node->inputs[1]) || is_absent(l, l->node->inputs[2])) {
        lowering_set_value(l, l->values[x], l->uses[x] == 1 ? l->writers[x] : -1);
        return;
    }
    add_open_step(l, &step_mix);
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
    lowering_set_value(l, l->values[value], l->writers[value]);
    return true;
}

static void lower_add(struct lowering *l) {
    const int32_t a = l->node->inputs[0], b = l->node->inputs[1];
    const double alpha = l->node->attributes.add.alpha, beta = l->node->attributes.add.beta;
    if (fuse_residual(l, a, b, alpha, beta) || fuse_residual(l, b, a, beta, alpha)) {
        return;
    }
    struct step *step = lowering_add_step(l, &step_elementwise, lowering_new_value(l, lowering_output_shape(l)));
    step_add_input(step, lowering_input(l, 0));
    step->residual = *lowering_input(l, 1);
    step->alpha = (float)alpha;
    step->beta = (float)beta;
    lowering_set_value(l, step->output, (int32_t)(step - l->plan->steps));
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
        if (l->uses[graph_input->value] == 0 || is_absent(l, graph_input->value)) {
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
    struct step *step = lowering_add_step(l, &step_unpack, operand_of_shape(&l->shapes[value]));
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
        if (l->uses[l->node->output] == 0 || is_absent(l, l->node->output)) {
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
