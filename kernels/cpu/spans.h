/* Spans: the parts of rows that steps work on line by line, shared out among threads. */
#ifndef KERNELS_CPU_SPANS_H
#define KERNELS_CPU_SPANS_H

#include "kernels/cpu/step.h"

enum { SPAN_LINES = 128 }; /* lines in flight: 8 KiB of a thread's stack for each operand */

/* A part of a row of an output panel. Where nothing is upsampled an image is one long row. */
struct span {
    size_t image, panel, y, x, count;
};

struct span_rows {
    size_t width, height, spans; /* spans: of a row */
};

/* One long row where no operand is upsampled, the image's rows elsewhere. */
struct span_rows spans_rows_of(const struct step *step);
/* The image's rows, for steps that look at where a pixel is. */
struct span_rows spans_rows_of_image(const struct step *step);

typedef void span_function(const struct run *run, const struct step *step, const struct span *span);
void spans_run(const struct run *run, const struct step *step, const struct span_rows *rows, span_function *work);

void span_load(float *out, const struct run *run, const struct operand *operand, const struct span *span);
/* Of an operand with as many channels as the span's value, or one that serves all `channels` of it. */
void span_load_mask(float *out, const struct run *run, const struct operand *operand, const struct span *span,
                    size_t channels);
/* activation(alpha * lines + beta * residual) into the output; the residual is read before anything is written. */
void span_store(const struct run *run, const struct step *step, const struct span *span, const float *lines);

#endif
