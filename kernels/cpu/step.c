#include "kernels/cpu/step.h"

#include <omp.h>
#include <string.h>

bool operand_is_plain(const struct operand *operand) {
    return operand->segment_count == 1 && operand->upsample == 1 && operand->coefficients < 0 &&
           operand->activation == ACTIVATION_NONE;
}

bool operand_is_floats(const struct operand *operand) {
    return operand_is_plain(operand) && operand->segments[0].storage == STORAGE_F32;
}

static const struct segment *find_segment(const struct operand *operand, size_t panel) {
    return &operand->segments[panel < operand->segments[0].panels ? 0 : 1];
}

enum storage operand_storage(const struct operand *operand, size_t panel) {
    return find_segment(operand, panel)->storage;
}

/* `rows` are those that the buffer holds. */
static void *find_line(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t rows,
                       size_t pixel) {
    const struct segment *segment = find_segment(operand, panel);
    const size_t before = segment == &operand->segments[0] ? 0 : operand->segments[0].panels;
    const size_t panels = image * segment->image_panels + segment->first_panel + panel - before;
    const size_t line = panels * rows * operand->width + pixel;
    return run->arena + run->buffers[segment->buffer].offset_bytes + line * PANEL * storage_bytes(segment->storage);
}

void *operand_pixel(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t pixel) {
    return find_line(run, operand, image, panel, operand->height, pixel);
}

void *operand_line(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t y,
                   size_t x) {
    const size_t ring = operand->ring_rows;
    return ring > 0 ? find_line(run, operand, 0, panel, ring, y % ring * operand->width + x)
                    : operand_pixel(run, operand, image, panel, y * operand->width + x);
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
    struct prologue prologue = {.activation = operand->activation, .storage = operand_storage(operand, panel)};
    if (operand->coefficients >= 0) {
        prologue.coefficients = operand_coefficients(run, operand, operand->coefficients, image, panel);
    }
    return prologue;
}

void operand_load(float *out, const struct run *run, const struct operand *operand, size_t image, size_t panel,
                  size_t y, size_t x, size_t count) {
    const size_t factor = operand->upsample;
    const void *lines = operand_line(run, operand, image, panel, y / factor, x / factor);
    struct prologue prologue = operand_prologue(run, operand, image, panel);
    if (operand->pixel_scales) {
        prologue.scales = operand_pixel_scales(run, operand, image) + y / factor * operand->width + x / factor;
    }
    run->kernels->load_lines(out, lines, count, factor, x % factor, &prologue);
}

const float *operand_read(float *scratch, const struct run *run, const struct operand *operand, size_t image,
                          size_t panel, size_t pixel, size_t count) {
    const void *lines = operand_pixel(run, operand, image, panel, pixel);
    const struct prologue as_stored = {.storage = operand_storage(operand, panel)};
    if (as_stored.storage == STORAGE_F32) {
        return lines;
    }
    run->kernels->load_lines(scratch, lines, count, 1, 0, &as_stored);
    return scratch;
}

void operand_write(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t pixel,
                   const float *lines, size_t count) {
    void *out = operand_pixel(run, operand, image, panel, pixel);
    const struct epilogue as_it_is = {.alpha = 1.0f, .storage = operand_storage(operand, panel)};
    if (as_it_is.storage == STORAGE_F32) {
        memcpy(out, lines, count * LINE_BYTES);
        return;
    }
    run->kernels->store_lines(out, lines, count, 1, 0, &as_it_is);
}

float *operand_pixel_scales(const struct run *run, const struct operand *operand, size_t image) {
    float *all = operand_coefficients(run, operand, operand->coefficients, operand->images, 0);
    return all + image * operand_pixels(operand);
}

/* One channel of count pixels into a lane of `out`. */
static void load_lane(float *out, const struct run *run, const struct operand *operand, size_t image, size_t channel,
                      size_t pixel, size_t count) {
    float scratch[PANEL * PANEL] __attribute__((aligned(LINE_BYTES)));
    for (size_t first = 0; first < count; first += PANEL) {
        const size_t part = at_most(PANEL, count - first);
        const float *lines = operand_read(scratch, run, operand, image, channel / PANEL, pixel + first, part);
        for (size_t i = 0; i < part; i++) {
            out[(first + i) * PANEL] = lines[i * PANEL + channel % PANEL];
        }
    }
}

void operand_load_channels(float *out, const struct run *run, const struct operand *operand, size_t image, size_t first,
                           size_t end, size_t pixel, size_t count) {
    if (first % PANEL == 0 && (end >= first + PANEL || end == operand->channels)) {
        const float *lines = operand_read(out, run, operand, image, first / PANEL, pixel, count);
        if (lines != out) {
            memcpy(out, lines, count * LINE_BYTES);
        }
        return;
    }
    memset(out, 0, count * LINE_BYTES);
    for (size_t lane = 0; lane < PANEL && first + lane < end; lane++) {
        load_lane(out + lane, run, operand, image, first + lane, pixel, count);
    }
}

void *run_shared_workspace(const struct run *run) {
    return run->shared_workspace;
}

void *run_thread_workspace(const struct run *run, const struct step *step) {
    return run->thread_workspace + (size_t)omp_get_thread_num() * step->workspace.thread_bytes;
}
