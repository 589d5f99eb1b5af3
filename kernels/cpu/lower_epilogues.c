/* Steps with an epilogue, and what goes into it: sums and activations behind them. */
#include "kernels/cpu/lower.h"

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
        step->weight_bf16 = lowering_stored_parameter(l, 0);
    } else {
        step->weight = lowering_parameter(l, 0);
    }
    step->bias = lowering_parameter(l, 1);
}

void lower_conv2d(struct lowering *l) {
    const struct shape *weight = &l->graph->parameters[l->node->parameters[0]].shape;
    set_convolution(l, (struct conv2d_step){
                           .kernel_height = (size_t)weight->dims[2],
                           .kernel_width = (size_t)weight->dims[3],
                           .stride = (size_t)l->node->attributes.conv2d.stride,
                           .padding = (size_t)l->node->attributes.conv2d.padding,
                           .groups = (size_t)l->node->attributes.conv2d.groups,
                       });
}

void lower_linear(struct lowering *l) {
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

void lower_silu(struct lowering *l) {
    lower_activation(l, ACTIVATION_SILU);
}

void lower_relu(struct lowering *l) {
    lower_activation(l, ACTIVATION_RELU);
}

void lower_multiply(struct lowering *l) {
    add_open_step(l, &step_multiply);
}

/* Without its second half it is another name for the first; what was open stays so if nobody else reads that. */
void lower_mix(struct lowering *l) {
    const int32_t x = l->node->inputs[0];
    if (lowering_is_absent(l, l->node->inputs[1]) || lowering_is_absent(l, l->node->inputs[2])) {
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

void lower_add(struct lowering *l) {
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
