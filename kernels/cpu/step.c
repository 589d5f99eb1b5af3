#include "kernels/cpu/step.h"

#include <omp.h>
#include <string.h>

bool operand_is_plain(const struct operand *operand) {
    return operand->segment_count == 1 && operand->upsample == 1 && operand->coefficients < 0 &&
           operand->activation == ACTIVATION_NONE;
}

static float *find_panel(const struct run *run, const struct operand *operand, size_t image, size_t panel,
                         size_t rows) {
    const struct segment *segment = &operand->segments[0];
    if (panel >= segment->panels) {
        panel -= segment->panels;
        segment = &operand->segments[1];
    }
    float *memory = (float *)(run->arena + run->buffers[segment->buffer].offset_bytes);
    return memory + (image * segment->image_panels + segment->first_panel + panel) * rows * operand->width * PANEL;
}

float *operand_panel(const struct run *run, const struct operand *operand, size_t image, size_t panel) {
    return find_panel(run, operand, image, panel, operand->height);
}

float *operand_line(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t y,
                    size_t x) {
    const size_t rows = operand->ring_rows;
    float *lines = rows > 0 ? find_panel(run, operand, 0, panel, rows) : operand_panel(run, operand, image, panel);
    return lines + ((rows > 0 ? y % rows : y) * operand->width + x) * PANEL;
}

float *operand_coefficients(const struct run *run, const struct operand *value, int32_t buffer, size_t image,
                            size_t panel) {
    float *all = (float *)(run->arena + run->buffers[buffer].offset_bytes);
    return all + (image * panel_count(value->channels) + panel) * 3 * PANEL;
}

bool operand_rows_together(const struct operand *operand, size_t y, size_t rows) {
    return operand->ring_rows == 0 || y % operand->ring_rows + rows <= operand->ring_rows;
}

struct prologue operand_prologue(const struct run *run, const struct operand *operand, size_t image, size_t panel) {
    struct prologue prologue = {.coefficients = NULL, .activation = operand->activation};
    if (operand->coefficients >= 0) {
        prologue.coefficients = operand_coefficients(run, operand, operand->coefficients, image, panel);
    }
    return prologue;
}

void operand_load(float *out, const struct run *run, const struct operand *operand, size_t image, size_t panel,
                  size_t y, size_t x, size_t count) {
    const size_t factor = operand->upsample;
    const float *lines = operand_line(run, operand, image, panel, y / factor, x / factor);
    struct prologue prologue = operand_prologue(run, operand, image, panel);
    if (operand->pixel_scales) {
        prologue.scales = operand_pixel_scales(run, operand, image) + y / factor * operand->width + x / factor;
    }
    run->kernels->load_lines(out, lines, count, factor, x % factor, &prologue);
}

float *operand_pixel_scales(const struct run *run, const struct operand *operand, size_t image) {
    float *all = operand_coefficients(run, operand, operand->coefficients, operand->images, 0);
    return all + image * operand_pixels(operand);
}

void operand_load_channels(float *out, const struct run *run, const struct operand *operand, size_t image, size_t first,
                           size_t end, size_t pixel, size_t count) {
    if (first % PANEL == 0 && (end >= first + PANEL || end == operand->channels)) {
        memcpy(out, operand_panel(run, operand, image, first / PANEL) + pixel * PANEL, count * LINE_BYTES);
        return;
    }
    memset(out, 0, count * LINE_BYTES);
    for (size_t lane = 0; lane < PANEL && first + lane < end; lane++) {
        const size_t channel = first + lane;
        const float *lines = operand_panel(run, operand, image, channel / PANEL) + pixel * PANEL + channel % PANEL;
        for (size_t i = 0; i < count; i++) {
            out[i * PANEL + lane] = lines[i * PANEL];
        }
    }
}

void *run_shared_workspace(const struct run *run) {
    return run->shared_workspace;
}

void *run_thread_workspace(const struct run *run, const struct step *step) {
    return run->thread_workspace + (size_t)omp_get_thread_num() * step->workspace.thread_bytes;
}
