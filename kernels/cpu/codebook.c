/* Rows of a codebook: by their numbers (lookup), or the nearest to every pixel (quantize). */
#include <math.h>
#include <string.h>

#include "kernels/cpu/spans.h"

enum { PIXELS = 16 }; /* that walk through the table together */

/* Codes are a value of one channel; the decoder has checked that each is a row. */
static void lookup_span(const struct run *run, const struct step *step, const struct span *span) {
    float codes[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float out[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    const size_t channels = step->output.channels, first = span->panel * PANEL;
    const size_t lanes = channels - first < PANEL ? channels - first : PANEL;
    operand_load(codes, run, &step->inputs[0], span->image, 0, span->y, span->x, span->count);
    for (size_t i = 0; i < span->count; i++) {
        memset(out + i * PANEL, 0, LINE_BYTES);
        memcpy(out + i * PANEL, step->weight + (size_t)codes[i * PANEL] * channels + first, lanes * sizeof *out);
    }
    span_store(run, step, span, out);
}

static void lookup_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of(step);
    spans_run(run, step, &rows, lookup_span);
}

/* Distances in double and in the order of channels, so that ties fall as they do in the reference. `x` is (C, PIXELS);
 * pixels beyond the image repeat its last. */
static void find_nearest(size_t *nearest, const struct step *step, const double *x) {
    const size_t channels = step->output.channels;
    double least[PIXELS];
    for (size_t i = 0; i < PIXELS; i++) {
        least[i] = INFINITY;
        nearest[i] = 0;
    }
    for (size_t r = 0; r < step->quantize.rows; r++) {
        const float *row = step->weight + r * channels;
        double distance[PIXELS] = {0};
        for (size_t c = 0; c < channels; c++) {
            for (size_t i = 0; i < PIXELS; i++) {
                const double difference = x[c * PIXELS + i] - (double)row[c];
                distance[i] += difference * difference;
            }
        }
        for (size_t i = 0; i < PIXELS; i++) {
            if (distance[i] < least[i]) {
                least[i] = distance[i];
                nearest[i] = r;
            }
        }
    }
}

/* x + (row - x), rounding included. */
static void quantize_block(const struct run *run, const struct step *step, size_t image, size_t first, size_t count) {
    const size_t channels = step->output.channels;
    float lines[PIXELS * PANEL] __attribute__((aligned(LINE_BYTES)));
    double *x = run_thread_workspace(run, step);
    size_t nearest[PIXELS];
    for (size_t c = 0; c < channels; c++) {
        const float *line = operand_read(lines, run, &step->inputs[0], image, c / PANEL, first, count) + c % PANEL;
        for (size_t i = 0; i < PIXELS; i++) {
            x[c * PIXELS + i] = (double)line[(i < count ? i : count - 1) * PANEL];
        }
    }
    find_nearest(nearest, step, x);
    for (size_t panel = 0; panel < panel_count(channels); panel++) {
        memset(lines, 0, sizeof lines);
        for (size_t lane = 0; lane < PANEL && panel * PANEL + lane < channels; lane++) {
            const size_t c = panel * PANEL + lane;
            for (size_t i = 0; i < count; i++) {
                const float value = (float)x[c * PIXELS + i];
                lines[i * PANEL + lane] = value + (step->weight[nearest[i] * channels + c] - value);
            }
        }
        operand_write(run, &step->output, image, panel, first, lines, count);
    }
}

static void quantize_plan(struct step *step, int threads, struct step_workspace *workspace) {
    (void)threads;
    workspace->thread_bytes = step->output.channels * PIXELS * sizeof(double);
}

static void quantize_run(const struct run *run, const struct step *step) {
    const size_t pixels = operand_pixels(&step->output), blocks = divide_up(pixels, PIXELS);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < step->output.images * blocks; i++) {
        const size_t first = i % blocks * PIXELS;
        quantize_block(run, step, i / blocks, first, pixels - first < PIXELS ? pixels - first : PIXELS);
    }
}

const struct step_type step_lookup = {.kernel = "lookup", .run = lookup_run};
const struct step_type step_quantize = {.kernel = "quantize", .plan = quantize_plan, .run = quantize_run};
