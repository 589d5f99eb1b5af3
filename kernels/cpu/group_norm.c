/* Group norm and what else is a scale and a shift of each channel: a step finds the coefficients (N, C/16, 3, 16) of
 * struct prologue, and whoever reads the value applies them. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/moments.h"

enum {
    SPAN_LINES = 256, /* summed in single precision, in cache for both passes */
    TASK_LINES = 16 * SPAN_LINES,
    LEAST_MERGES = 16384 /* fewer take less time than threads take to wake up */
};

/* Partial moments of a panel of an image: (tasks, 16). */
static size_t tasks_of(const struct step *step) {
    return divide_up(operand_pixels(&step->inputs[0]), TASK_LINES);
}

static size_t parts_of(const struct step *step) {
    return step->moments_buffer >= 0 ? step->moments_parts : tasks_of(step);
}

static void group_norm_plan(struct step *step, int threads, struct step_workspace *workspace) {
    (void)threads;
    const struct operand *in = &step->inputs[0];
    workspace->shared_bytes = in->images * panel_count(in->channels) * tasks_of(step) * PANEL * sizeof(struct moments);
}

/* Pixels [first, end) of a panel of the input. */
static void sum_lines(struct moments *columns, const struct run *run, const struct operand *in, size_t image,
                      size_t panel, size_t first, size_t end) {
    float scratch[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    struct moments part[PANEL];
    memset(columns, 0, PANEL * sizeof *columns);
    for (; first < end; first += SPAN_LINES) {
        const size_t span = at_most(SPAN_LINES, end - first);
        moments_of_lines(part, run->kernels, operand_read(scratch, run, in, image, panel, first, span), 1, span, 0);
        for (size_t lane = 0; lane < PANEL; lane++) {
            moments_merge(&columns[lane], part[lane].count, part[lane].mean, part[lane].m2);
        }
    }
}

/* The group's moments over its channels, each merged over its parts. */
static struct moments merge_group(const struct step *step, const struct moments *partial, size_t image, size_t first,
                                  size_t end) {
    const size_t panels = panel_count(step->inputs[0].channels);
    const size_t parts = parts_of(step);
    struct moments group = {0};
    for (size_t c = first; c < end; c++) {
        for (size_t part = 0; part < parts; part++) {
            const struct moments *p = &partial[((image * panels + c / PANEL) * parts + part) * PANEL + c % PANEL];
            moments_merge(&group, p->count, p->mean, p->m2);
        }
    }
    return group;
}

/* (x - mean) * rstd * weight + bias, with what rounding the mean loses put into the shift. */
static void write_group(const struct run *run, const struct step *step, const struct moments *group, size_t image,
                        size_t first, size_t end) {
    const double deviation = sqrt(group->m2 / group->count + step->group_norm.epsilon);
    const float mean = (float)group->mean;
    for (size_t c = first; c < end; c++) {
        float *lane =
            operand_coefficients(run, &step->inputs[0], step->output.segments[0].buffer, image, c / PANEL) + c % PANEL;
        const double scale = (double)step->weight[c] / deviation;
        lane[0] = mean;
        lane[PANEL] = (float)scale;
        lane[2 * PANEL] = (float)((double)step->bias[c] + ((double)mean - group->mean) * scale);
    }
}

/* The moments of all parts of the input, where no convolution has left them. */
static const struct moments *sum_input(const struct run *run, const struct step *step) {
    const struct operand *in = &step->inputs[0];
    const size_t panels = panel_count(in->channels), tasks = tasks_of(step), pixels = operand_pixels(in);
    struct moments *partial = run_shared_workspace(run);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < in->images * panels * tasks; i++) {
        const size_t first = i % tasks * TASK_LINES, panel = i / tasks % panels, image = i / tasks / panels;
        sum_lines(partial + i * PANEL, run, in, image, panel, first, at_most(pixels, first + TASK_LINES));
    }
    return partial;
}

static void group_norm_run(const struct run *run, const struct step *step) {
    const struct operand *in = &step->inputs[0];
    const size_t groups = step->group_norm.groups, group_channels = in->channels / groups;
    const struct moments *partial =
        step->moments_buffer >= 0 ? (const struct moments *)run->moments : sum_input(run, step);
    for (size_t image = 0; image < in->images; image++) {
        memset(operand_coefficients(run, in, step->output.segments[0].buffer, image, 0), 0,
               panel_count(in->channels) * 3 * PANEL * sizeof(float));
    }
#pragma omp parallel for num_threads(run->threads) schedule(static) if (in->channels * parts_of(step) > LEAST_MERGES)
    for (size_t i = 0; i < in->images * groups; i++) {
        const size_t image = i / groups, first = i % groups * group_channels;
        const struct moments group = merge_group(step, partial, image, first, first + group_channels);
        write_group(run, step, &group, image, first, first + group_channels);
    }
}

/* The coefficients that the operand has already, or those that change nothing; one panel of them. */
static void read_coefficients(float *out, const struct run *run, const struct operand *operand, size_t image,
                              size_t panel) {
    const struct prologue prologue = operand_prologue(run, operand, image, panel);
    for (size_t lane = 0; lane < PANEL; lane++) {
        out[lane] = prologue.coefficients ? prologue.coefficients[lane] : 0.0f;
        out[PANEL + lane] = prologue.coefficients ? prologue.coefficients[PANEL + lane] : 1.0f;
        out[2 * PANEL + lane] = prologue.coefficients ? prologue.coefficients[2 * PANEL + lane] : 0.0f;
    }
}

/* y * scale + shift on top of what is there; padding channels become zero. */
static void compose(float *out, const float *before, size_t lane, double scale, double shift) {
    out[lane] = before[lane];
    out[PANEL + lane] = (float)((double)before[PANEL + lane] * scale);
    out[2 * PANEL + lane] = (float)((double)before[2 * PANEL + lane] * scale + shift);
}

typedef void find_scale_shift(double *scale, double *shift, const struct run *run, const struct step *step,
                              size_t image, size_t channel);

static void compose_all(const struct run *run, const struct step *step, find_scale_shift *find) {
    const struct operand *in = &step->inputs[0];
    for (size_t image = 0; image < in->images; image++) {
        for (size_t panel = 0; panel < panel_count(in->channels); panel++) {
            float before[3 * PANEL];
            float *out = operand_coefficients(run, in, step->output.segments[0].buffer, image, panel);
            read_coefficients(before, run, in, image, panel);
            memset(out, 0, sizeof before);
            for (size_t lane = 0; lane < PANEL && panel * PANEL + lane < in->channels; lane++) {
                double scale, shift;
                find(&scale, &shift, run, step, image, panel * PANEL + lane);
                compose(out, before, lane, scale, shift);
            }
        }
    }
}

static void find_affine(double *scale, double *shift, const struct run *run, const struct step *step, size_t image,
                        size_t channel) {
    const size_t i = step->affine.count == 1 ? 0 : channel;
    (void)run;
    (void)image;
    *scale = step->affine.scale[i];
    *shift = step->affine.shift[i];
}

/* e (1 or N, 2C) holds s and d: x * (1 + s) + d. */
static void find_scale_shift_row(double *scale, double *shift, const struct run *run, const struct step *step,
                                 size_t image, size_t channel) {
    const struct operand *e = &step->inputs[1];
    const size_t row = e->images == 1 ? 0 : image, second = step->inputs[0].channels + channel;
    float scratch[PANEL] __attribute__((aligned(LINE_BYTES)));
    *scale = 1.0 + (double)operand_read(scratch, run, e, row, channel / PANEL, 0, 1)[channel % PANEL];
    *shift = (double)operand_read(scratch, run, e, row, second / PANEL, 0, 1)[second % PANEL];
}

/* (x - mean) / sqrt(variance + epsilon) * weight + bias. Where nothing came before, the mean is subtracted first, which
 * keeps its digits. */
static void batch_norm_run(const struct run *run, const struct step *step) {
    const struct operand *in = &step->inputs[0];
    const bool first = in->coefficients < 0;
    for (size_t image = 0; image < in->images; image++) {
        for (size_t channel = 0; channel < panel_count(in->channels) * PANEL; channel++) {
            const size_t panel = channel / PANEL, lane = channel % PANEL;
            float before[3 * PANEL];
            float *out = operand_coefficients(run, in, step->output.segments[0].buffer, image, panel);
            if (channel >= in->channels) {
                out[lane] = out[PANEL + lane] = out[2 * PANEL + lane] = 0.0f;
                continue;
            }
            const double mean = (double)step->batch_norm.mean[channel];
            const double deviation = sqrt((double)step->batch_norm.variance[channel] + step->batch_norm.epsilon);
            const double scale = (double)step->weight[channel] / deviation, bias = (double)step->bias[channel];
            read_coefficients(before, run, in, image, panel);
            before[lane] = first ? step->batch_norm.mean[channel] : before[lane];
            compose(out, before, lane, scale, first ? bias : bias - mean * scale);
        }
    }
}

static void affine_run(const struct run *run, const struct step *step) {
    compose_all(run, step, find_affine);
}

static void scale_shift_run(const struct run *run, const struct step *step) {
    compose_all(run, step, find_scale_shift_row);
}

const struct step_type step_group_norm = {
    .kernel = "group_norm_moments", .coefficients = true, .plan = group_norm_plan, .run = group_norm_run};
const struct step_type step_affine = {.kernel = "affine_coefficients", .coefficients = true, .run = affine_run};
const struct step_type step_scale_shift = {
    .kernel = "scale_shift_coefficients", .coefficients = true, .run = scale_shift_run};
const struct step_type step_batch_norm = {
    .kernel = "batch_norm_coefficients", .coefficients = true, .run = batch_norm_run};
