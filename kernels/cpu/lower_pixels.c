/* Ops that move pixels and channels, or make them. What a view can say is not moved. */
#include "kernels/cpu/lower.h"

void lower_upsample_nearest(struct lowering *l) {
    struct operand x = *lowering_input(l, 0);
    x.upsample *= (size_t)l->node->attributes.upsample_nearest.factor;
    lowering_set_value(l, x, -1);
}

void lower_avg_pool(struct lowering *l) {
    lowering_add_plain_step(l, &step_avg_pool);
}

void lower_subsample(struct lowering *l) {
    lowering_add_plain_step(l, &step_subsample)->factor = (size_t)l->node->attributes.subsample.factor;
}

/* A sum that follows is made on the way. */
void lower_channels_to_space(struct lowering *l) {
    const union op_attributes *a = &l->node->attributes;
    struct step *step = lowering_add_plain_step(l, &step_channels_to_space);
    l->writers[l->node->output] = (int32_t)(step - l->plan->steps);
    step->channels_to_space.factor = (size_t)a->channels_to_space.factor;
    step->channels_to_space.by_channel = (size_t)a->channels_to_space.by_channel;
    step->channels_to_space.by_row = (size_t)a->channels_to_space.by_row;
    step->channels_to_space.by_column = (size_t)a->channels_to_space.by_column;
    step->channels_to_space.offset = (size_t)a->channels_to_space.offset;
    step->channels_to_space.divisor = (size_t)a->channels_to_space.divisor;
}

static void lower_gather(struct lowering *l, size_t first_channel) {
    lowering_add_plain_step(l, &step_gather)->first_channel = first_channel;
}

/* Two buffers of which the first is whole panels are read as one, and never copied together. */
void lower_concat(struct lowering *l) {
    const bool single = lowering_input(l, 0)->segment_count == 1 && lowering_input(l, 1)->segment_count == 1;
    if (!single || lowering_input(l, 0)->channels % PANEL != 0) {
        lower_gather(l, 0);
        return;
    }
    const struct operand first = *lowering_plain_input(l, 0), second = *lowering_plain_input(l, 1);
    struct operand joined = first;
    joined.channels += second.channels;
    joined.segments[1] = second.segments[0];
    joined.segment_count = 2;
    lowering_set_value(l, joined, -1);
}

/* Whole panels of one buffer are a view of it. */
void lower_slice(struct lowering *l) {
    const size_t first = (size_t)l->node->attributes.slice.first, count = (size_t)l->node->attributes.slice.count;
    struct operand x = *lowering_input(l, 0);
    const bool to_end = first + count == x.channels;
    if (x.segment_count != 1 || x.coefficients >= 0 || first % PANEL != 0 || (count % PANEL != 0 && !to_end)) {
        lower_gather(l, first);
        return;
    }
    x.channels = count;
    x.segments[0].first_panel += first / PANEL;
    x.segments[0].panels = panel_count(count);
    lowering_set_value(l, x, -1);
}

void lower_embedding(struct lowering *l) {
    struct step *step = lowering_add_step(l, &step_embedding, lowering_new_value(l, lowering_output_shape(l)));
    step->weight = lowering_parameter(l, 0);
    step->row = (size_t)l->node->attributes.embedding.row;
    lowering_set_value(l, step->output, -1);
}

void lower_lookup(struct lowering *l) {
    lowering_add_plain_step(l, &step_lookup)->weight = lowering_parameter(l, 0);
}

void lower_quantize(struct lowering *l) {
    (void)lowering_stored_input(l, 0);
    struct step *step = lowering_add_plain_step(l, &step_quantize);
    step->weight = lowering_parameter(l, 0);
    step->quantize.rows = (size_t)l->graph->parameters[l->node->parameters[0]].shape.dims[0];
}
