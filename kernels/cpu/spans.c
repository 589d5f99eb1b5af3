#include "kernels/cpu/spans.h"

struct span_rows spans_rows_of_image(const struct step *step) {
    return (struct span_rows){step->output.width, step->output.height, divide_up(step->output.width, SPAN_LINES)};
}

struct span_rows spans_rows_of(const struct step *step) {
    bool flat = step->residual.segment_count == 0 || step->residual.upsample == 1;
    for (int32_t i = 0; i < step->input_count; i++) {
        flat = flat && step->inputs[i].upsample == 1;
    }
    struct span_rows rows = spans_rows_of_image(step);
    if (flat) {
        rows.width *= rows.height;
        rows.height = 1;
        rows.spans = divide_up(rows.width, SPAN_LINES);
    }
    return rows;
}

void spans_run(const struct run *run, const struct step *step, const struct span_rows *rows, span_function *work) {
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

void span_load(float *out, const struct run *run, const struct operand *operand, const struct span *span) {
    operand_load(out, run, operand, span->image, span->panel, span->y, span->x, span->count);
}

void span_load_mask(float *out, const struct run *run, const struct operand *operand, const struct span *span,
                    size_t channels) {
    const bool serves_all = operand->channels == 1 && channels > 1;
    operand_load(out, run, operand, span->image, serves_all ? 0 : span->panel, span->y, span->x, span->count);
    for (size_t i = 0; serves_all && i < span->count; i++) {
        for (size_t lane = 1; lane < PANEL; lane++) {
            out[i * PANEL + lane] = out[i * PANEL];
        }
    }
}

void span_store(const struct run *run, const struct step *step, const struct span *span, const float *lines) {
    float residual[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    struct epilogue epilogue = {.alpha = step->alpha,
                                .beta = step->beta,
                                .activation = step->activation,
                                .storage = operand_storage(&step->output, span->panel)};
    if (step->residual.segment_count > 0) {
        span_load(residual, run, &step->residual, span);
        epilogue.residual = residual;
    }
    run->kernels->store_lines(operand_line(run, &step->output, span->image, span->panel, span->y, span->x), lines,
                              span->count, 1, 0, &epilogue);
}
