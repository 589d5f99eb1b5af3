/* The border: tensors (N,C,H,W) of any dtype into panels, and panels into the image. Part of the timed decode. */
#include <string.h>

#include "kernels/cpu/step.h"
#include "reference/tensor.h"

enum { SPAN_PIXELS = 128 };

/* Spans of all panels of all images of a value. */
static size_t span_count(const struct operand *value, size_t pixels) {
    return value->images * panel_count(value->channels) * divide_up(pixels, SPAN_PIXELS);
}

struct border_span {
    size_t image, panel, first, count;
};

static struct border_span find_span(const struct operand *value, size_t pixels, size_t index) {
    const size_t spans = divide_up(pixels, SPAN_PIXELS), panels = panel_count(value->channels);
    struct border_span span = {.first = index % spans * SPAN_PIXELS};
    span.panel = index / spans % panels;
    span.image = index / spans / panels;
    span.count = pixels - span.first < SPAN_PIXELS ? pixels - span.first : SPAN_PIXELS;
    return span;
}

static void pack_run(const struct run *run, const struct step *step) {
    const struct operand *out = &step->output;
    const struct vaemark_tensor *tensor = tensors_find(run->inputs, step->name);
    const size_t pixels = operand_pixels(out);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < span_count(out, pixels); i++) {
        const struct border_span span = find_span(out, pixels, i);
        float lines[SPAN_PIXELS * PANEL] __attribute__((aligned(LINE_BYTES))), plane[SPAN_PIXELS];
        memset(lines, 0, span.count * LINE_BYTES);
        for (size_t lane = 0; lane < PANEL && span.panel * PANEL + lane < out->channels; lane++) {
            const size_t channel = span.image * out->channels + span.panel * PANEL + lane;
            tensor_read_f32(plane, tensor, (int64_t)(channel * pixels + span.first), (int64_t)span.count);
            for (size_t p = 0; p < span.count; p++) {
                lines[p * PANEL + lane] = plane[p];
            }
        }
        operand_write(run, out, span.image, span.panel, span.first, lines, span.count);
    }
}

/* step->output describes the image; it has no buffer. */
static void unpack_run(const struct run *run, const struct step *step) {
    const struct operand *out = &step->output;
    const size_t pixels = operand_pixels(out);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < span_count(out, out->width) * out->height; i++) {
        const size_t y = i % out->height;
        const struct border_span span = find_span(out, out->width, i / out->height);
        float lines[SPAN_PIXELS * PANEL] __attribute__((aligned(LINE_BYTES)));
        operand_load(lines, run, &step->inputs[0], span.image, span.panel, y, span.first, span.count);
        for (size_t lane = 0; lane < PANEL && span.panel * PANEL + lane < out->channels; lane++) {
            const size_t channel = span.image * out->channels + span.panel * PANEL + lane;
            float *plane = run->image + channel * pixels + y * out->width + span.first;
            for (size_t p = 0; p < span.count; p++) {
                plane[p] = lines[p * PANEL + lane];
            }
        }
    }
}

const struct step_type step_pack = {.kernel = "pack_panels", .run = pack_run};
const struct step_type step_unpack = {.kernel = "unpack_panels", .run = unpack_run};
