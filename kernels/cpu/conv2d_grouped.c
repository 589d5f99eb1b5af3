/* Convolutions in groups that are not whole panels: one channel each, lane by lane; others plainly. */
#include "kernels/cpu/conv2d.h"

static void multiply_depthwise(const struct conv2d_task *task) {
    const struct step *step = task->step;
    const struct conv2d_step *c = &step->conv2d;
    struct depthwise depthwise = {
        .offsets = task->offsets,
        .pixel_stride = c->stride * PANEL,
        .taps = c->kernel_height * c->kernel_width,
        .pixels = task->columns,
    };
    depthwise.weights = step->weight + task->panel * depthwise.taps * PANEL;
    for (size_t row = 0; row < task->rows; row++) {
        depthwise.in = task->patch + row * c->stride * conv2d_patch_columns(c) * PANEL;
        task->run->kernels->depthwise(task->sums + row * task->columns * PANEL, &depthwise);
    }
}

/* One output of a grouped convolution: few channels each, so plainly, and in double since no one waits for it. */
static double grouped_sum(const struct conv2d_task *task, size_t channel, size_t row, size_t column) {
    const struct step *step = task->step;
    const struct conv2d_step *c = &step->conv2d;
    const size_t group_in = step->inputs[0].channels / c->groups, group_out = step->output.channels / c->groups;
    const size_t taps = c->kernel_height * c->kernel_width;
    const float *weight = step->weight + channel * group_in * taps;
    double sum = 0.0;
    for (size_t i = 0; i < group_in; i++) {
        const size_t in = channel / group_out * group_in + i;
        const float *plane = task->patch + in / PANEL * conv2d_patch_floats(c) + in % PANEL;
        for (size_t u = 0; u < c->kernel_height; u++) {
            for (size_t v = 0; v < c->kernel_width; v++) {
                size_t line = (row * c->stride + u) * conv2d_patch_columns(c) + column * c->stride + v;
                sum += (double)plane[line * PANEL] * (double)*weight++;
            }
        }
    }
    return sum;
}

static void multiply_grouped(const struct conv2d_task *task) {
    const size_t channels = task->step->output.channels;
    for (size_t panel = 0; panel < task->panels; panel++) {
        for (size_t i = 0; i < task->rows * task->columns; i++) {
            float *line = task->sums + (panel * task->rows * task->columns + i) * PANEL;
            for (size_t lane = 0; lane < PANEL; lane++) {
                size_t channel = (task->panel + panel) * PANEL + lane;
                line[lane] =
                    channel < channels ? (float)grouped_sum(task, channel, i / task->columns, i % task->columns) : 0.0f;
            }
        }
    }
}

static void work_grouped(struct conv2d_task *task) {
    conv2d_run_direct(task, multiply_grouped);
}

static void work_depthwise(struct conv2d_task *task) {
    conv2d_run_direct(task, multiply_depthwise);
}

const struct step_type step_conv2d_grouped = {.kernel = "grouped",
                                              .reduces = true,
                                              .residual_inside = true,
                                              .plan = conv2d_plan,
                                              .run = conv2d_run,
                                              .work = work_grouped};
const struct step_type step_conv2d_depthwise = {.kernel = "depthwise",
                                                .reduces = true,
                                                .residual_inside = true,
                                                .plan = conv2d_plan,
                                                .run = conv2d_run,
                                                .work = work_depthwise};
