/* Convolutions to at most NARROW_OUTPUTS channels (isa/narrow.c). */
#include "kernels/cpu/conv2d.h"

static void multiply(const struct conv2d_task *task) {
    const struct step *step = task->step;
    const struct conv2d_step *c = &step->conv2d;
    struct narrow narrow = {
        .offsets = task->offsets,
        .pixel_stride = c->stride * PANEL,
        .weights = step->weight,
        .block_count = c->in_panels * c->kernel_height * c->kernel_width,
        .outputs = step->output.channels,
        .pixels = task->columns,
    };
    for (size_t row = 0; row < task->rows; row++) {
        narrow.in = task->patch + row * c->stride * conv2d_patch_columns(c) * PANEL;
        task->run->kernels->narrow(task->sums + row * task->columns * PANEL, &narrow);
    }
}

static void work(struct conv2d_task *task) {
    conv2d_run_direct(task, multiply);
}

const struct step_type step_conv2d_narrow = {.kernel = "narrow",
                                             .reduces = true,
                                             .residual_inside = true,
                                             .plan = conv2d_plan,
                                             .run = conv2d_run,
                                             .run_rows = conv2d_run_rows,
                                             .work = work};
