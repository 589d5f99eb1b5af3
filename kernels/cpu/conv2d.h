/* What convolutions share, dense, grouped and depthwise: blocks, patches and the epilogue (conv2d.c). */
#ifndef KERNELS_CPU_CONV2D_H
#define KERNELS_CPU_CONV2D_H

#include "kernels/cpu/step.h"

/* A thread's share: what to compute, and its scratch. */
struct conv2d_task {
    const struct run *run;
    const struct step *step;
    size_t image, y, x, rows, columns, panel, panels;
    size_t in_panel; /* the first that is read */
    size_t *offsets; /* of the blocks of one chunk within the patch */
    float *patch;    /* (input panels, patch rows, patch columns, 16) */
    float *sums;     /* (panels, rows, columns, 16) */
};

static inline size_t conv2d_patch_rows(const struct conv2d_step *c) {
    return (c->block_rows - 1) * c->stride + c->kernel_height;
}

static inline size_t conv2d_patch_columns(const struct conv2d_step *c) {
    return (c->block_columns - 1) * c->stride + c->kernel_width;
}

/* Floats of one input panel's patch. */
static inline size_t conv2d_patch_floats(const struct conv2d_step *c) {
    return conv2d_patch_rows(c) * conv2d_patch_columns(c) * PANEL;
}

void conv2d_plan(struct step *step, struct step_workspace *workspace);
/* Offsets of the taps, input panel by input panel, of one chunk. */
void conv2d_find_offsets(const struct conv2d_task *task);

/* Fills in the sums of a task from its patch. */
typedef void conv2d_compute(const struct conv2d_task *task);
void conv2d_run_tasks(const struct run *run, const struct step *step, conv2d_compute *compute);

#endif
