/* Steps that work line by line: materialising an operand, weighted sums, tanh, pooling, gathering channels, embeddings.
 */
#include <math.h>
#include <string.h>

#include "kernels/cpu/step.h"

enum { SPAN_LINES = 128 }; /* lines in flight: 8 KiB of a thread's stack for each operand */

/* A part of a row of an output panel. Where nothing is upsampled an image is one long row. */
struct span {
    size_t image, panel, y, x, count;
};

struct rows {
    size_t width, height, spans; /* spans: of a row */
};

static struct rows rows_of(const struct step *step) {
    bool flat = step->residual.segment_count == 0 || step->residual.upsample == 1;
    for (int32_t i = 0; i < step->input_count; i++) {
        flat = flat && step->inputs[i].upsample == 1;
    }
    struct rows rows = {step->output.width, step->output.height, 0};
    if (flat) {
        rows.width *= rows.height;
        rows.height = 1;
    }
    rows.spans = divide_up(rows.width, SPAN_LINES);
    return rows;
}

typedef void span_function(const struct run *run, const struct step *step, const struct span *span);

static void run_spans(const struct run *run, const struct step *step, const struct rows *rows, span_function *work) {
    const size_t panels = panel_count(step->output.channels);
    const size_t count = step->output.images * panels * rows->height * rows->spans;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < count; i++) {
        size_t rest = i;
        struct span span = {.x = rest % rows->spans * SPAN_LINES};
        rest /= rows->spans;
        span.y = rest % rows->height;
        rest /= rows->height;
        span.panel = rest % panels;
        span.image = rest / panels;
        span.count = rows->width - span.x < SPAN_LINES ? rows->width - span.x : SPAN_LINES;
        work(run, step, &span);
    }
}

static float *output_lines(const struct run *run, const struct step *step, const struct span *span) {
    return operand_panel(run, &step->output, span->image, span->panel) +
           (span->y * step->output.width + span->x) * PANEL;
}

/* activation(alpha * input + beta * residual), both changed as they are loaded. The span is read whole before it is
 * written, so that the output may take the place of either. */
static void elementwise_span(const struct run *run, const struct step *step, const struct span *span) {
    float a[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float b[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    struct epilogue epilogue = {.alpha = step->alpha, .beta = step->beta, .activation = step->activation};
    operand_load(a, run, &step->inputs[0], span->image, span->panel, span->y, span->x, span->count);
    if (step->residual.segment_count > 0) {
        operand_load(b, run, &step->residual, span->image, span->panel, span->y, span->x, span->count);
        epilogue.residual = b;
    }
    run->kernels->store_lines(output_lines(run, step, span), a, span->count, 1, 0, &epilogue);
}

static void elementwise_run(const struct run *run, const struct step *step) {
    const struct rows rows = rows_of(step);
    run_spans(run, step, &rows, elementwise_span);
}

/* limit * tanh(x / limit), by libm: only latents get it. */
static void tanh_clamp_span(const struct run *run, const struct step *step, const struct span *span) {
    float a[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float *out = output_lines(run, step, span);
    const float limit = (float)step->limit;
    operand_load(a, run, &step->inputs[0], span->image, span->panel, span->y, span->x, span->count);
    for (size_t i = 0; i < span->count * PANEL; i++) {
        out[i] = limit * tanhf(a[i] / limit);
    }
}

static void tanh_clamp_run(const struct run *run, const struct step *step) {
    const struct rows rows = rows_of(step);
    run_spans(run, step, &rows, tanh_clamp_span);
}

/* The mean of 2 x 2 pixels, (N,C,2H,2W) to (N,C,H,W). */
static void avg_pool_span(const struct run *run, const struct step *step, const struct span *span) {
    float rows[2][2 * SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float *out = output_lines(run, step, span);
    for (size_t i = 0; i < 2; i++) {
        operand_load(rows[i], run, &step->inputs[0], span->image, span->panel, 2 * span->y + i, 2 * span->x,
                     2 * span->count);
    }
    for (size_t i = 0; i < span->count; i++) {
        for (size_t lane = 0; lane < PANEL; lane++) {
            const float *top = rows[0] + 2 * i * PANEL + lane, *bottom = rows[1] + 2 * i * PANEL + lane;
            out[i * PANEL + lane] = 0.25f * ((top[0] + top[PANEL]) + (bottom[0] + bottom[PANEL]));
        }
    }
}

static void avg_pool_run(const struct run *run, const struct step *step) {
    const struct rows rows = {step->output.width, step->output.height, divide_up(step->output.width, SPAN_LINES)};
    run_spans(run, step, &rows, avg_pool_span);
}

/* Channels [first_channel, ...) of the inputs, one behind the other: joins and slices that do not fall on panels. */
static void gather_span(const struct run *run, const struct step *step, const struct span *span) {
    float lines[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float *out = output_lines(run, step, span);
    int32_t loaded_input = -1;
    size_t loaded_panel = 0;
    memset(out, 0, span->count * LINE_BYTES);
    for (size_t lane = 0; lane < PANEL && span->panel * PANEL + lane < step->output.channels; lane++) {
        size_t channel = step->first_channel + span->panel * PANEL + lane;
        int32_t input = 0;
        while (channel >= step->inputs[input].channels) {
            channel -= step->inputs[input++].channels;
        }
        if (input != loaded_input || channel / PANEL != loaded_panel) {
            loaded_input = input;
            loaded_panel = channel / PANEL;
            operand_load(lines, run, &step->inputs[input], span->image, loaded_panel, span->y, span->x, span->count);
        }
        for (size_t i = 0; i < span->count; i++) {
            out[i * PANEL + lane] = lines[i * PANEL + channel % PANEL];
        }
    }
}

static void gather_run(const struct run *run, const struct step *step) {
    const struct rows rows = rows_of(step);
    run_spans(run, step, &rows, gather_span);
}

/* One row of a table as an image of one pixel. */
static void embedding_run(const struct run *run, const struct step *step) {
    const size_t channels = step->output.channels;
    float *out = operand_panel(run, &step->output, 0, 0);
    memset(out, 0, panel_count(channels) * LINE_BYTES);
    memcpy(out, step->weight + step->row * channels, channels * sizeof *out);
}

const struct step_type step_elementwise = {
    .kernel = "elementwise", .residual_inside = true, .input_inside = true, .run = elementwise_run};
const struct step_type step_tanh_clamp = {.kernel = "tanh_clamp", .input_inside = true, .run = tanh_clamp_run};
const struct step_type step_avg_pool = {.kernel = "avg_pool", .run = avg_pool_run};
const struct step_type step_gather = {.kernel = "gather", .run = gather_run};
const struct step_type step_embedding = {.kernel = "embedding", .run = embedding_run};
