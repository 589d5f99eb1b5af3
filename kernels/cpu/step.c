#include "kernels/cpu/step.h"

#include <omp.h>

bool operand_is_plain(const struct operand *operand) {
    return operand->segment_count == 1 && operand->upsample == 1 && operand->coefficients < 0 &&
           operand->activation == ACTIVATION_NONE;
}

float *operand_panel(const struct run *run, const struct operand *operand, size_t image, size_t panel) {
    const struct segment *segment = &operand->segments[0];
    if (panel >= segment->panels) {
        panel -= segment->panels;
        segment = &operand->segments[1];
    }
    float *memory = (float *)(run->arena + run->buffers[segment->buffer].offset_bytes);
    return memory + (image * segment->image_panels + segment->first_panel + panel) * operand_pixels(operand) * PANEL;
}

struct prologue operand_prologue(const struct run *run, const struct operand *operand, size_t image, size_t panel) {
    struct prologue prologue = {.coefficients = NULL, .activation = operand->activation};
    if (operand->coefficients >= 0) {
        const float *all = (const float *)(run->arena + run->buffers[operand->coefficients].offset_bytes);
        prologue.coefficients = all + (image * panel_count(operand->channels) + panel) * 3 * PANEL;
    }
    return prologue;
}

void operand_load(float *out, const struct run *run, const struct operand *operand, size_t image, size_t panel,
                  size_t y, size_t x, size_t count) {
    const size_t factor = operand->upsample;
    const struct prologue prologue = operand_prologue(run, operand, image, panel);
    const float *lines = operand_panel(run, operand, image, panel);
    run->kernels->load_lines(out, lines + (y / factor * operand->width + x / factor) * PANEL, count, factor, x % factor,
                             &prologue);
}

void *run_shared_workspace(const struct run *run) {
    return run->workspace;
}

void *run_thread_workspace(const struct run *run, const struct step *step) {
    return run->workspace + step->workspace.shared_bytes + (size_t)omp_get_thread_num() * step->workspace.thread_bytes;
}
