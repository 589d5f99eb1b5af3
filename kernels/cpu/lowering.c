/* How parts of lowering find a node's inputs and parameters, and what they leave behind: buffers, steps, values. */
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

struct operand lowering_operand(const struct shape *shape) {
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
    const struct operand operand = lowering_operand(shape);
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

const void *lowering_stored_parameter(const struct lowering *l, int32_t index) {
    if (index >= l->node->parameter_count) {
        return NULL;
    }
    return packed_find(l->packed, l->graph->parameters[l->node->parameters[index]].name,
                       packing_of(l->graph, l->node, index));
}

const float *lowering_parameter(struct lowering *l, int32_t index) {
    return lowering_stored_parameter(l, index);
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

bool lowering_is_absent(const struct lowering *l, int32_t value) {
    return l->shapes[value].rank == 0;
}
