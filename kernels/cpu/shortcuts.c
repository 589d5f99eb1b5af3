#include "kernels/cpu/shortcuts.h"

static bool is_read_by_one(const struct plan *plan, int32_t buffer) {
    size_t readers = 0;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        const struct operand *operands[] = {&step->inputs[0], &step->inputs[1], &step->inputs[2], &step->residual};
        for (size_t k = 0; k < sizeof operands / sizeof operands[0]; k++) {
            for (int32_t s = 0; s < operands[k]->segment_count; s++) {
                readers += operands[k]->segments[s].buffer == buffer;
            }
        }
    }
    return readers == 1;
}

/* act(a (conv1x1(x) + b) + c y), where y is the convolution just before, that changes nothing behind its sums. */
static bool is_shortcut(const struct plan *plan, const struct step *convolution, const struct step *shortcut) {
    const struct conv2d_step *c = &shortcut->conv2d;
    const struct operand *added = &shortcut->residual;
    const bool pointwise = shortcut->type == &step_conv2d && c->kernel_height == 1 && c->kernel_width == 1 &&
                           c->stride == 1 && c->padding == 0 && c->groups == 1;
    const bool plain = convolution->type == &step_conv2d && convolution->residual.segment_count == 0 &&
                       convolution->activation == ACTIVATION_NONE && convolution->alpha == 1.0f;
    return pointwise && plain && added->segment_count == 1 && added->upsample == 1 &&
           added->channels == shortcut->output.channels &&
           added->segments[0].buffer == convolution->output.segments[0].buffer &&
           added->segments[0].panels == added->segments[0].image_panels &&
           shortcut->inputs[0].channels >= shortcut->output.channels && is_read_by_one(plan, added->segments[0].buffer);
}

void shortcuts_hoist(struct plan *plan) {
    for (size_t i = 1; i < plan->step_count; i++) {
        struct step convolution = plan->steps[i - 1], shortcut = plan->steps[i];
        if (!is_shortcut(plan, &convolution, &shortcut)) {
            continue;
        }
        const struct operand between = convolution.output;
        convolution.output = shortcut.output;
        convolution.residual = between;
        convolution.alpha = shortcut.beta;
        convolution.beta = shortcut.alpha;
        convolution.activation = shortcut.activation;
        shortcut.output = between;
        shortcut.residual = (struct operand){0};
        shortcut.alpha = 1.0f;
        shortcut.beta = 0.0f;
        shortcut.activation = ACTIVATION_NONE;
        plan->steps[i - 1] = shortcut;
        plan->steps[i] = convolution;
    }
}
