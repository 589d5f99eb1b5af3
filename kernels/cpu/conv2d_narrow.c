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
    conv2d_find_offsets(task);
    for (size_t row = 0; row < task->rows; row++) {
        narrow.in = task->patch + row * c->stride * conv2d_patch_columns(c) * PANEL;
        task->run->kernels->narrow(task->sums + row * task->columns * PANEL, &narrow);
    }
}

static void work(struct conv2d_task *task) {
    conv2d_run_direct(task, multiply);
}

static void conv2d_narrow_run(const struct run *run, const struct step *step) {
    const struct conv2d_part part = conv2d_whole(step);
    conv2d_run_tasks(run, step, &part, work);
}

static void conv2d_narrow_run_rows(const struct run *run, const struct step *step, size_t image, size_t first,
                                   size_t end) {
    const struct conv2d_part part = conv2d_rows(step, image, first, end);
    conv2d_run_tasks(run, step, &part, work);
}

const struct step_type step_conv2d_narrow = {.kernel = "narrow",
                                             .reduces = true,
                                             .residual_inside = true,
                                             .plan = conv2d_plan,
                                             .run = conv2d_narrow_run,
                                             .run_rows = conv2d_narrow_run_rows};
