#include "kernels/cpu/storage.h"

#include <stdlib.h>

static bool reads_narrow(const struct operand *operand, const bool *narrow) {
    bool any = false;
    for (int32_t i = 0; i < operand->segment_count; i++) {
        any = any || narrow[operand->segments[i].buffer];
    }
    return any;
}

/* Heads of linear attention that cut panels are written lane by lane. */
static bool writes_lines(const struct step *step) {
    return step->type != &step_linear_attention || step->linear_attention.head_channels % PANEL == 0;
}

static bool may_be_narrow(const struct step *step, const bool *narrow) {
    bool any = step->type->reduces || reads_narrow(&step->residual, narrow);
    for (int32_t i = 0; i < step->input_count; i++) {
        any = any || reads_narrow(&step->inputs[i], narrow);
    }
    return any && !step->type->coefficients && writes_lines(step) && operand_pixels(&step->output) > 1;
}

static void mark(struct operand *operand, const bool *narrow) {
    for (int32_t i = 0; i < operand->segment_count; i++) {
        if (narrow[operand->segments[i].buffer]) {
            operand->segments[i].storage = STORAGE_BF16;
        }
    }
}

static void find_narrow(const struct plan *plan, bool *narrow) {
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->output.segment_count > 0) {
            narrow[step->output.segments[0].buffer] = may_be_narrow(step, narrow);
        }
    }
}

bool storage_narrow(struct plan *plan) {
    bool *narrow = calloc(plan->buffer_count + 1, sizeof *narrow);
    if (narrow == NULL) {
        return false;
    }
    find_narrow(plan, narrow);
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        for (int32_t k = 0; k < step->input_count; k++) {
            mark(&step->inputs[k], narrow);
        }
        mark(&step->residual, narrow);
        mark(&step->output, narrow);
    }
    for (size_t i = 0; i < plan->buffer_count; i++) {
        plan->buffers[i].size_bytes /= narrow[i] ? sizeof(float) / sizeof(uint16_t) : 1;
    }
    free(narrow);
    return true;
}
