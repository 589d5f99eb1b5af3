/* Norms and what else scales channels leave coefficients behind, which whoever reads the value applies. */
#include "kernels/cpu/lower.h"

/* A step that writes coefficients for reading `x`; returns x as it is read with them. */
static struct operand add_coefficients(struct lowering *l, const struct step_type *type, const struct operand *x,
                                       struct step **step) {
    struct operand value = *x;
    struct operand output = *x;
    output.coefficients = -1;
    output.activation = ACTIVATION_NONE;
    output.upsample = 1;
    output.pixel_scales = false;
    output = lowering_whole_buffer(output, lowering_add_buffer(l, lowering_panels_bytes(x, 3)));
    *step = lowering_add_step(l, type, output);
    step_add_input(*step, x);
    value.coefficients = output.segments[0].buffer;
    return value;
}

void lower_group_norm(struct lowering *l) {
    struct operand x = *lowering_stored_input(l, 0);
    struct step *step;
    x = add_coefficients(l, &step_group_norm, &x, &step);
    step->weight = lowering_parameter(l, 0);
    step->bias = lowering_parameter(l, 1);
    step->group_norm.groups = (size_t)l->node->attributes.group_norm.groups;
    step->group_norm.epsilon = l->node->attributes.group_norm.epsilon;
    lowering_set_value(l, x, -1);
}

/* The input where a scale and a shift of its channels can be put on top of what it has. */
static struct operand composable_input(struct lowering *l) {
    const struct operand *x = lowering_input(l, 0);
    return x->activation == ACTIVATION_NONE && !x->pixel_scales ? *x : *lowering_plain_input(l, 0);
}

void lower_affine(struct lowering *l) {
    struct operand x = composable_input(l);
    struct step *step;
    x = add_coefficients(l, &step_affine, &x, &step);
    step->affine.scale = l->node->attributes.affine.scale;
    step->affine.shift = l->node->attributes.affine.shift;
    step->affine.count = (size_t)l->node->attributes.affine.count;
    lowering_set_value(l, x, -1);
}

void lower_scale_shift(struct lowering *l) {
    const struct operand e = *lowering_plain_input(l, 1);
    struct operand x = composable_input(l);
    struct step *step;
    x = add_coefficients(l, &step_scale_shift, &x, &step);
    step_add_input(step, &e);
    lowering_set_value(l, x, -1);
}

void lower_batch_norm(struct lowering *l) {
    struct operand x = composable_input(l);
    struct step *step;
    x = add_coefficients(l, &step_batch_norm, &x, &step);
    step->batch_norm.mean = lowering_parameter(l, 0);
    step->batch_norm.variance = lowering_parameter(l, 1);
    step->batch_norm.epsilon = l->node->attributes.batch_norm.epsilon;
    step->weight = lowering_parameter(l, 2);
    step->bias = lowering_parameter(l, 3);
    lowering_set_value(l, x, -1);
}

/* Coefficients of the channels and, behind them in the same buffer, a scale of each pixel. */
void lower_rms_norm(struct lowering *l) {
    struct operand x = *lowering_stored_input(l, 0);
    struct step *step;
    x = add_coefficients(l, &step_rms_norm, &x, &step);
    x.pixel_scales = true;
    size_t *size_bytes = &l->plan->buffers[x.coefficients].size_bytes;
    const struct operand scales = {.images = x.images, .channels = 1};
    const size_t scale_bytes = lowering_panels_bytes(&scales, divide_up(operand_pixels(&x), PANEL));
    if (__builtin_add_overflow(*size_bytes, scale_bytes, size_bytes)) {
        *size_bytes = SIZE_MAX;
    }
    step->weight = lowering_parameter(l, 0);
    step->bias = lowering_parameter(l, 1);
    step->rms_norm.epsilon = l->node->attributes.rms_norm.epsilon;
    step->rms_norm.floor = l->node->attributes.rms_norm.floor;
    lowering_set_value(l, x, -1);
}
