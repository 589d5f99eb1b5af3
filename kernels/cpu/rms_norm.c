/* RMS norm by pixel, over channels: a step finds 1 / max(sqrt(mean of squares + epsilon), floor) of every pixel, and
 * whoever reads the value applies it, the weight and the bias. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/step.h"

enum { BLOCK_LINES = 256 };

/* In double, four sums side by side. */
static double sum_of_line(const float *line) {
    double part[4] = {0};
    for (size_t lane = 0; lane < PANEL; lane++) {
        part[lane % 4] += (double)line[lane];
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

static void scale_block(const struct run *run, const struct step *step, float *scales, size_t image, size_t first,
                        size_t count) {
    const struct operand *in = &step->inputs[0];
    float squares[BLOCK_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float scratch[BLOCK_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    memset(squares, 0, count * LINE_BYTES);
    for (size_t panel = 0; panel < panel_count(in->channels); panel++) {
        run->kernels->square_lines(squares, operand_read(scratch, run, in, image, panel, first, count), count);
    }
    for (size_t i = 0; i < count; i++) {
        const double root = sqrt(sum_of_line(squares + i * PANEL) / (double)in->channels + step->rms_norm.epsilon);
        scales[first + i] = (float)(1.0 / (root < step->rms_norm.floor ? step->rms_norm.floor : root));
    }
}

static void write_weights(const struct run *run, const struct step *step, size_t image) {
    const struct operand *in = &step->inputs[0];
    float *out = operand_coefficients(run, in, step->output.segments[0].buffer, image, 0);
    memset(out, 0, panel_count(in->channels) * 3 * LINE_BYTES);
    for (size_t c = 0; c < in->channels; c++) {
        float *lane = out + c / PANEL * 3 * PANEL + c % PANEL;
        lane[PANEL] = step->weight[c];
        lane[2 * PANEL] = step->bias == NULL ? 0.0f : step->bias[c];
    }
}

static void rms_norm_run(const struct run *run, const struct step *step) {
    const struct operand *in = &step->inputs[0];
    const size_t pixels = operand_pixels(in), blocks = divide_up(pixels, BLOCK_LINES);
    struct operand read = *in; /* as the step's readers see it */
    read.coefficients = step->output.segments[0].buffer;
    for (size_t image = 0; image < in->images; image++) {
        write_weights(run, step, image);
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < in->images * blocks; i++) {
        const size_t image = i / blocks, first = i % blocks * BLOCK_LINES;
        scale_block(run, step, operand_pixel_scales(run, &read, image), image, first,
                    pixels - first < BLOCK_LINES ? pixels - first : BLOCK_LINES);
    }
}

const struct step_type step_rms_norm = {.kernel = "rms_norm_scales", .coefficients = true, .run = rms_norm_run};
