#include "kernels/cpu/moments.h"

#include <stdio.h>

void moments_merge(struct moments *into, double count, double mean, double m2) {
    const double total = into->count + count, delta = mean - into->mean;
    into->mean += delta * (count / total);
    into->m2 += m2 + delta * delta * (into->count * count / total);
    into->count = total;
}

void moments_of_lines(struct moments columns[PANEL], const struct kernel_set *kernels, const float *lines, size_t rows,
                      size_t count, size_t row_stride) {
    double mean[PANEL], m2[PANEL];
    kernels->moments(mean, m2, lines, rows, count, row_stride);
    for (size_t lane = 0; lane < PANEL; lane++) {
        columns[lane] = (struct moments){(double)(rows * count), mean[lane], m2[lane]};
    }
}

/* The step that writes all of the operand's buffer and can sum it, or NULL. */
static struct step *find_writer(struct plan *plan, const struct operand *operand, size_t before) {
    const struct segment *segment = &operand->segments[0];
    for (size_t i = before; i-- > 0 && operand->segment_count == 1;) {
        struct step *step = &plan->steps[i];
        if (step->output.segment_count > 0 && step->output.segments[0].buffer == segment->buffer) {
            const bool whole = segment->first_panel == 0 && segment->panels == segment->image_panels;
            return whole && step->type->moments_parts != NULL ? step : NULL;
        }
    }
    return NULL;
}

void moments_fuse(struct plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *norm = &plan->steps[i];
        const struct operand *in = &norm->inputs[0];
        struct step *writer = norm->type == &step_group_norm ? find_writer(plan, in, i) : NULL;
        if (writer == NULL) {
            continue;
        }
        if (writer->moments_buffer < 0) {
            writer->moments_parts = writer->type->moments_parts(writer);
            writer->moments_buffer = (int32_t)plan->buffer_count++;
            plan->buffers[writer->moments_buffer].size_bytes =
                in->images * panel_count(in->channels) * writer->moments_parts * PANEL * sizeof(struct moments);
        }
        norm->moments_buffer = writer->moments_buffer;
        norm->moments_parts = writer->moments_parts;
        plan->buffers[norm->shared_buffer].size_bytes = 0;
        norm->shared_buffer = -1;
        snprintf(norm->why, sizeof norm->why, "merges what the convolution before has summed");
    }
}
