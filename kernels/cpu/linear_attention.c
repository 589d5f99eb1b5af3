/* Attention without softmax, linear in the number of pixels, after a ReLU of q and k:
 *
 * o(n) = q(n) S / (q(n) s + epsilon), S[e][d] = sum_m k_e(m) v_d(m), s[e] = sum_m k_e(m)
 *
 * A task is a head of an image. Sums run over spans of pixels in single precision and over spans in double, in order,
 * so that neither threads nor sizes change them. */
#include <string.h>

#include "kernels/cpu/step.h"

enum { SPAN_PIXELS = 128 };

struct head {
    const struct run *run;
    const struct step *step;
    size_t image, first; /* channel of q in the input */
    size_t channels, panels, rows, pixels;
    double *totals;     /* (panels, rows, 16), rows = 16 panels */
    double *key_totals; /* (rows) */
    float *sums;        /* as totals, of a span or rounded from all of them */
    float *lines;       /* (panels, SPAN_PIXELS, 16) */
    float *keys;        /* (rows, SPAN_PIXELS): k transposed */
    float *products;    /* (panels, SPAN_PIXELS, 16) */
    size_t *offsets;
};

enum { HEAD_PARTS = 7 };

/* Where the parts begin, in bytes; returns where they end. */
static size_t find_parts(size_t at[HEAD_PARTS], size_t panels) {
    const size_t lines = panels * PANEL, spans = panels * SPAN_PIXELS * LINE_BYTES;
    const size_t sizes[HEAD_PARTS] = {panels * lines * PANEL * sizeof(double),
                                      lines * sizeof(double),
                                      panels * lines * LINE_BYTES,
                                      spans,
                                      spans,
                                      spans,
                                      (panels + SPAN_PIXELS / PANEL) * sizeof(size_t)};
    size_t end = 0;
    for (size_t i = 0; i < HEAD_PARTS; i++) {
        at[i] = end;
        end += divide_up(sizes[i], LINE_BYTES) * LINE_BYTES;
    }
    return end;
}

static void linear_attention_plan(struct step *step, int threads, struct step_workspace *workspace) {
    (void)threads;
    size_t at[HEAD_PARTS];
    workspace->thread_bytes = find_parts(at, panel_count(step->linear_attention.head_channels));
}

static struct head make_head(const struct run *run, const struct step *step, size_t index) {
    const size_t channels = step->linear_attention.head_channels, heads = step->output.channels / channels;
    struct head h = {.run = run,
                     .step = step,
                     .image = index / heads,
                     .first = index % heads * 3 * channels,
                     .channels = channels,
                     .panels = panel_count(channels),
                     .rows = panel_count(channels) * PANEL,
                     .pixels = operand_pixels(&step->output)};
    char *memory = run_thread_workspace(run, step);
    size_t at[HEAD_PARTS];
    find_parts(at, h.panels);
    h.totals = (double *)(memory + at[0]);
    h.key_totals = (double *)(memory + at[1]);
    h.sums = (float *)(memory + at[2]);
    h.lines = (float *)(memory + at[3]);
    h.keys = (float *)(memory + at[4]);
    h.products = (float *)(memory + at[5]);
    h.offsets = (size_t *)(memory + at[6]);
    return h;
}

/* Part 0 is q, 1 k, 2 v: (panels, SPAN_PIXELS, 16), zeros behind the last pixel and channel. */
static void load_part(const struct head *h, size_t part, size_t pixel, size_t count) {
    const size_t first = h->first + part * h->channels;
    for (size_t panel = 0; panel < h->panels; panel++) {
        float *lines = h->lines + panel * SPAN_PIXELS * PANEL;
        operand_load_channels(lines, h->run, &h->step->inputs[0], h->image, first + panel * PANEL, first + h->channels,
                              pixel, count);
        memset(lines + count * PANEL, 0, (SPAN_PIXELS - count) * LINE_BYTES);
    }
}

/* NaN stays. */
static float rectified(float x) {
    return x < 0.0f ? 0.0f : x;
}

static void load_keys(const struct head *h, size_t pixel, size_t count) {
    load_part(h, 1, pixel, count);
    for (size_t e = 0; e < h->rows; e++) {
        const float *lines = h->lines + e / PANEL * SPAN_PIXELS * PANEL + e % PANEL;
        float *row = h->keys + e * SPAN_PIXELS;
        double sum = 0.0;
        for (size_t i = 0; i < SPAN_PIXELS; i++) {
            row[i] = rectified(lines[i * PANEL]);
            sum += (double)row[i];
        }
        h->key_totals[e] += sum;
    }
}

/* totals += k^T v over one span. */
static void sum_span(const struct head *h, size_t pixel, size_t count) {
    load_keys(h, pixel, count);
    load_part(h, 2, pixel, count);
    for (size_t i = 0; i < SPAN_PIXELS / PANEL; i++) {
        h->offsets[i] = i * PANEL;
    }
    const struct gemm gemm = {.c = h->sums,
                              .c_panel_stride = h->rows * PANEL,
                              .a = h->keys,
                              .a_offsets = h->offsets,
                              .a_pixel_stride = SPAN_PIXELS,
                              .b = h->lines,
                              .b_panel_stride = (size_t)SPAN_PIXELS * PANEL,
                              .block_count = panel_count(count),
                              .depth = PANEL,
                              .pixels = h->rows,
                              .panels = h->panels};
    h->run->kernels->gemm(&gemm);
    for (size_t i = 0; i < h->panels * h->rows * PANEL; i++) {
        h->totals[i] += (double)h->sums[i];
    }
}

static void divide_line(const struct head *h, float *scale, size_t pixel) {
    double divisor = h->step->linear_attention.epsilon;
    for (size_t e = 0; e < h->rows; e++) {
        divisor += (double)h->lines[(e / PANEL * SPAN_PIXELS + pixel) * PANEL + e % PANEL] * h->key_totals[e];
    }
    *scale = (float)(1.0 / divisor);
}

/* Heads that share a panel write different lanes of it. */
static void store_products(const struct head *h, size_t pixel, size_t count) {
    const struct operand *output = &h->step->output;
    const size_t first = h->first / 3;
    for (size_t d = 0; d < h->channels;) {
        const size_t panel = (first + d) / PANEL;
        const float *products = h->products + (d / PANEL * count) * PANEL + d % PANEL;
        if (h->channels % PANEL == 0) {
            operand_write(h->run, output, h->image, panel, pixel, products, count);
            d += PANEL;
            continue;
        }
        float *out = operand_pixel(h->run, output, h->image, panel, pixel);
        for (size_t i = 0; i < count; i++) {
            out[i * PANEL + (first + d) % PANEL] = products[i * PANEL];
        }
        d++;
    }
}

static void answer_span(const struct head *h, size_t pixel, size_t count) {
    float scales[SPAN_PIXELS];
    load_part(h, 0, pixel, count);
    for (size_t i = 0; i < h->panels * SPAN_PIXELS * PANEL; i++) {
        h->lines[i] = rectified(h->lines[i]);
    }
    for (size_t panel = 0; panel < h->panels; panel++) {
        h->offsets[panel] = panel * SPAN_PIXELS * PANEL;
    }
    const struct gemm gemm = {.c = h->products,
                              .c_panel_stride = count * PANEL,
                              .a = h->lines,
                              .a_offsets = h->offsets,
                              .a_pixel_stride = PANEL,
                              .b = h->sums,
                              .b_panel_stride = h->rows * PANEL,
                              .block_count = h->panels,
                              .depth = PANEL,
                              .pixels = count,
                              .panels = h->panels};
    h->run->kernels->gemm(&gemm);
    for (size_t i = 0; i < count; i++) {
        divide_line(h, &scales[i], i);
    }
    h->run->kernels->scale_rows(h->products, scales, count, h->panels);
    store_products(h, pixel, count);
}

static void answer_head(const struct head *h) {
    memset(h->totals, 0, h->panels * h->rows * PANEL * sizeof *h->totals);
    memset(h->key_totals, 0, h->rows * sizeof *h->key_totals);
    for (size_t pixel = 0; pixel < h->pixels; pixel += SPAN_PIXELS) {
        sum_span(h, pixel, h->pixels - pixel < SPAN_PIXELS ? h->pixels - pixel : SPAN_PIXELS);
    }
    for (size_t i = 0; i < h->panels * h->rows * PANEL; i++) {
        h->sums[i] = (float)h->totals[i];
    }
    for (size_t pixel = 0; pixel < h->pixels; pixel += SPAN_PIXELS) {
        answer_span(h, pixel, h->pixels - pixel < SPAN_PIXELS ? h->pixels - pixel : SPAN_PIXELS);
    }
}

/* Heads that share a panel write different lanes of it; the padding is nobody's. */
static void clear_padding(const struct run *run, const struct step *step) {
    const struct operand *out = &step->output;
    for (size_t image = 0; out->channels % PANEL != 0 && image < out->images; image++) {
        memset(operand_pixel(run, out, image, panel_count(out->channels) - 1, 0), 0,
               operand_pixels(out) * PANEL * storage_bytes(out->segments[0].storage));
    }
}

static void linear_attention_run(const struct run *run, const struct step *step) {
    const size_t heads = step->output.images * (step->output.channels / step->linear_attention.head_channels);
    clear_padding(run, step);
#pragma omp parallel for num_threads(run->threads) schedule(dynamic)
    for (size_t i = 0; i < heads; i++) {
        const struct head head = make_head(run, step, i);
        answer_head(&head);
    }
}

const struct step_type step_linear_attention = {
    .kernel = "linear_attention", .reduces = true, .plan = linear_attention_plan, .run = linear_attention_run};
