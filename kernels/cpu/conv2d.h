/* What convolutions share, dense, grouped and depthwise: blocks, patches and the epilogue (conv2d.c). */
#ifndef KERNELS_CPU_CONV2D_H
#define KERNELS_CPU_CONV2D_H

#include "kernels/cpu/step.h"

/* A thread's share: what to compute, and its scratch. */
struct conv2d_task {
    const struct run *run;
    const struct step *step;
    size_t image, y, x, rows, columns, panel, panels;
    size_t first_panel; /* of the part of the outputs that the task belongs to */
    size_t in_panel;    /* the first that is read */
    float *scratch;
    size_t *offsets; /* of the blocks of one chunk within the patch */
    float *patch;    /* (input panels, patch rows, patch columns, 16) */
    float *sums;     /* (panels, rows, columns, 16) */
    float *widened;  /* weights of a chunk, where they are not stored as floats */
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

/* Whether a task reads all channels of the pixels that it writes, and no others (struct step_type). */
bool conv2d_pixel_inside(const struct step *step);

/* Sizes of the image as convolved (pointwise ones see one long row), and of what they read. */
void conv2d_plan_image(struct step *step);
void conv2d_plan(struct step *step, int threads, struct step_workspace *workspace);
/* Offsets of the taps, input panel by input panel, in patches whose lines have `line` numbers: of as many panels (or
 * pairs of panels, where a line holds two) as one call reduces. */
void conv2d_find_offsets(size_t *offsets, const struct conv2d_step *c, size_t panels, size_t line);

/* A part of one input panel's patch, which has the padding around it; its rows are conv2d_patch_columns() apart. */
struct conv2d_window {
    size_t row, rows, column, columns;
};
/* ... and all that a task reads. */
struct conv2d_window conv2d_whole_window(const struct conv2d_task *task);
void conv2d_load_patch(float *patch, const struct conv2d_task *task, size_t panel, const struct conv2d_window *window);
/* The rest of a row of one of the task's panels, from a column on, through the epilogue into the output. */
void conv2d_store_row(const struct conv2d_task *task, size_t panel, size_t row, size_t column, const float *sums);
/* All of the task's outputs, (panels, rows, 16) lines of sums whose rows are row_floats apart. */
void conv2d_store_sums(const struct conv2d_task *task, const float *sums, size_t row_floats);
/* The epilogue of one of the task's panels, but for the residual. */
struct epilogue conv2d_epilogue(const struct conv2d_task *task, size_t panel);

/* Numbers of the weights of one output panel, where they are stored in 16 bits. */
static inline size_t conv2d_bf16_panel(const struct conv2d_step *c) {
    return divide_up(c->in_panels, 2) * c->kernel_height * c->kernel_width * PAIR_BLOCK;
}
/* The weights of an output panel and an input panel, stored in 16 bits, as floats: (taps, 16, 16). */
void conv2d_widen_weights(float *out, const struct kernel_set *kernels, const struct step *step, size_t out_panel,
                          size_t in_panel);

/* A part of the output: whole blocks of it, or the rest. */
struct conv2d_part {
    size_t first_image, images, first_row, end_row, first_panel, panels;
};
struct conv2d_part conv2d_whole(const struct step *step);
struct conv2d_part conv2d_rows(const struct step *step, size_t image, size_t first_row, size_t end_row);
/* The step's work on every task of a part; and the part that is the whole, or rows of an image (struct step_type). */
void conv2d_run_tasks(const struct run *run, const struct step *step, const struct conv2d_part *part);
void conv2d_run(const struct run *run, const struct step *step);
void conv2d_run_rows(const struct run *run, const struct step *step, size_t image, size_t first, size_t end);

/* Fills in the sums of a task from its patch, which is loaded; they are stored after. */
typedef void conv2d_compute(const struct conv2d_task *task);
void conv2d_run_direct(struct conv2d_task *task, conv2d_compute *compute);

/* Decides by which algorithm a convolution is computed, step.conv2d.winograd and the step's type, and writes down why
 * (conv2d_choice.c). `direct`: nothing but sums as they stand. Other steps stay as they are. */
void conv2d_choose(struct step *step, const struct kernel_set *kernels, bool direct);

#endif
