/* Winograd's convolutions in parts: how an image is cut into blocks of tiles (conv2d_winograd_plan.c), weights as
 * points (conv2d_winograd_weights.c), and what a task does with its block (conv2d_winograd.c). */
#ifndef KERNELS_CPU_CONV2D_WINOGRAD_H
#define KERNELS_CPU_CONV2D_WINOGRAD_H

#include "kernels/cpu/conv2d.h"

/* Blocks of weights a call of the microkernel; the sums of calls are added up after. Long chains of rounding are what
 * most of Winograd's error is made of. */
enum { WINOGRAD_CHUNK_BLOCKS = 8 };

struct winograd_sizes {
    size_t m, points, in_panels, part_panels, block_tiles;
    size_t weight_stride, input_stride, output_stride; /* floats from point to point */
};

struct winograd_sizes conv2d_winograd_sizes(const struct step *step);
/* Of the offsets of the input panels, in floats, with which a thread's scratch begins. */
size_t conv2d_winograd_offset_floats(const struct step *step);
void conv2d_winograd_plan(struct step *step, int threads, struct step_workspace *workspace);

/* Weights of output panels [first, first + panels) as points, (points, panels, input panels, 16, 16), into the shared
 * workspace: for all tasks. */
void conv2d_winograd_transform_weights(const struct run *run, const struct step *step, size_t first, size_t panels);
/* ... and of `count` input panels from first_in on: (points, panels, count, 16, 16) of one task's own. */
void conv2d_winograd_transform_own_weights(float *out, const struct run *run, const struct step *step, size_t first,
                                           size_t panels, size_t first_in, size_t count);

#endif
