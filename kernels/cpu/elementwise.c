/* Steps that work line by line: materialising an operand, weighted sums, products, mixes, limits, pooling, gathering
 * channels, embeddings. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/spans.h"

/* A span is read whole before it is written, so that the output may take the place of any operand. */
static void elementwise_span(const struct run *run, const struct step *step, const struct span *span) {
    float a[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    span_load(a, run, &step->inputs[0], span);
    span_store(run, step, span, a);
}

static void elementwise_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of(step);
    spans_run(run, step, &rows, elementwise_span);
}

/* a * b; of a b with one channel that channel serves all. Padding is zero in a, and so in the product. */
static void multiply_span(const struct run *run, const struct step *step, const struct span *span) {
    float a[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float b[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    span_load(a, run, &step->inputs[0], span);
    span_load_mask(b, run, &step->inputs[1], span, step->output.channels);
    for (size_t i = 0; i < span->count * PANEL; i++) {
        a[i] *= b[i];
    }
    span_store(run, step, span, a);
}

static void multiply_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of(step);
    spans_run(run, step, &rows, multiply_span);
}

/* x * m + y * (1 - m) */
static void mix_span(const struct run *run, const struct step *step, const struct span *span) {
    float x[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float y[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float m[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    span_load(x, run, &step->inputs[0], span);
    span_load(y, run, &step->inputs[1], span);
    span_load_mask(m, run, &step->inputs[2], span, step->output.channels);
    for (size_t i = 0; i < span->count * PANEL; i++) {
        x[i] = x[i] * m[i] + y[i] * (1.0f - m[i]);
    }
    span_store(run, step, span, x);
}

static void mix_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of(step);
    spans_run(run, step, &rows, mix_span);
}

/* min(max(x, low), high); NaN stays, and so does the padding. */
static void clamp_span(const struct run *run, const struct step *step, const struct span *span) {
    float out[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    const float low = step->clamp.low, high = step->clamp.high;
    const size_t rest = step->output.channels - span->panel * PANEL, lanes = rest < PANEL ? rest : PANEL;
    span_load(out, run, &step->inputs[0], span);
    for (size_t i = 0; i < span->count; i++) {
        float *line = out + i * PANEL;
        for (size_t lane = 0; lane < lanes; lane++) {
            line[lane] = line[lane] < low ? low : line[lane] > high ? high : line[lane];
        }
    }
    span_store(run, step, span, out);
}

static void clamp_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of(step);
    spans_run(run, step, &rows, clamp_span);
}

/* limit * tanh(x / limit), by libm: only latents get it. */
static void tanh_clamp_span(const struct run *run, const struct step *step, const struct span *span) {
    float out[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    const float limit = (float)step->limit;
    span_load(out, run, &step->inputs[0], span);
    for (size_t i = 0; i < span->count * PANEL; i++) {
        out[i] = limit * tanhf(out[i] / limit);
    }
    span_store(run, step, span, out);
}

static void tanh_clamp_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of(step);
    spans_run(run, step, &rows, tanh_clamp_span);
}

/* The mean of 2 x 2 pixels, (N,C,2H,2W) to (N,C,H,W). */
static void avg_pool_span(const struct run *run, const struct step *step, const struct span *span) {
    float rows[2][2 * SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float out[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
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
    span_store(run, step, span, out);
}

static void avg_pool_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of_image(step);
    spans_run(run, step, &rows, avg_pool_span);
}

/* Every factor-th row and column. */
static void subsample_span(const struct run *run, const struct step *step, const struct span *span) {
    float out[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    for (size_t i = 0; i < span->count; i++) {
        operand_load(out + i * PANEL, run, &step->inputs[0], span->image, span->panel, span->y * step->factor,
                     (span->x + i) * step->factor, 1);
    }
    span_store(run, step, span, out);
}

static void subsample_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of_image(step);
    spans_run(run, step, &rows, subsample_span);
}

/* Channels [first_channel, ...) of the inputs, one behind the other: joins and slices that do not fall on panels. */
static void gather_span(const struct run *run, const struct step *step, const struct span *span) {
    float lines[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    float out[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
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
    span_store(run, step, span, out);
}

static void gather_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of(step);
    spans_run(run, step, &rows, gather_span);
}

/* One row of a table as an image of one pixel. */
static void embedding_run(const struct run *run, const struct step *step) {
    const size_t channels = step->output.channels;
    for (size_t panel = 0; panel < panel_count(channels); panel++) {
        float line[PANEL] __attribute__((aligned(LINE_BYTES))) = {0};
        memcpy(line, step->weight + step->row * channels + panel * PANEL,
               at_most(PANEL, channels - panel * PANEL) * sizeof *line);
        operand_write(run, &step->output, 0, panel, 0, line, 1);
    }
}

const struct step_type step_elementwise = {
    .kernel = "elementwise", .residual_inside = true, .input_inside = true, .run = elementwise_run};
const struct step_type step_tanh_clamp = {.kernel = "tanh_clamp", .input_inside = true, .run = tanh_clamp_run};
const struct step_type step_avg_pool = {.kernel = "avg_pool", .run = avg_pool_run};
const struct step_type step_gather = {.kernel = "gather", .run = gather_run};
const struct step_type step_embedding = {.kernel = "embedding", .run = embedding_run};
const struct step_type step_multiply = {
    .kernel = "multiply", .residual_inside = true, .input_inside = true, .run = multiply_run};
const struct step_type step_mix = {.kernel = "mix", .residual_inside = true, .input_inside = true, .run = mix_run};
const struct step_type step_clamp = {.kernel = "clamp", .input_inside = true, .run = clamp_run};
const struct step_type step_subsample = {.kernel = "subsample", .run = subsample_run};
