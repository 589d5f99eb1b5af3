/* A decoder's plan and the memory that it runs in. */
#include "kernels/cpu/decoder.h"
#include "kernels/cpu/pages.h"
#include "reference/tensor.h"

static void release_memory(struct vaemark_decoder *decoder) {
    if (decoder->arena != NULL) {
        decoder->host.release(decoder->host.user, decoder->arena);
    }
    decoder->arena = NULL;
}

static bool allocate_memory(struct vaemark_decoder *decoder, const struct passes *plan) {
    decoder->arena = plan->arena_bytes == 0 ? NULL
                                            : decoder->host.allocate(decoder->host.user, plan->arena_bytes, LINE_BYTES,
                                                                     VAEMARK_MEMORY_ACTIVATIONS);
    if (decoder->arena != NULL) {
        pages_touch(decoder->arena, plan->arena_bytes, decoder->settings.threads);
    }
    return decoder->arena != NULL || plan->arena_bytes == 0;
}

void decoder_drop_plan(struct vaemark_decoder *decoder) {
    release_memory(decoder);
    passes_free(decoder->plan);
    decoder->plan = NULL;
    decoder->inputs.count = 0;
}

/* Old and new never stand side by side: that would double the peak. Where the new plan gets no memory, the old one gets
 * back what it had; where even that fails, the decoder is merely unprepared. */
static enum vaemark_status swap_plan(struct vaemark_decoder *decoder, struct passes *plan, struct error *error) {
    const struct passes *old = decoder->plan;
    if (old == NULL || old->arena_bytes != plan->arena_bytes) {
        release_memory(decoder);
        if (!allocate_memory(decoder, plan)) {
            if (old != NULL && !allocate_memory(decoder, old)) {
                decoder_drop_plan(decoder);
            }
            error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for %zu bytes of activations and scratch",
                      plan->arena_bytes);
            passes_free(plan);
            return VAEMARK_OUT_OF_MEMORY;
        }
    }
    passes_free(decoder->plan);
    decoder->plan = plan;
    return VAEMARK_OK;
}

enum vaemark_status decoder_make_plan(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                      const struct settings *settings, const struct packed *packed,
                                      const struct rewriting *rewriting, struct error *error) {
    const struct passes_settings wanted = {.plan = {.kernels = settings->kernels,
                                                    .threads = settings->threads,
                                                    .direct = settings->precision == PRECISION_FP32_STRICT,
                                                    .storage = settings_storage(settings)},
                                           .tiling = settings->tiling};
    struct passes *plan;
    enum vaemark_status status =
        passes_create(rewriting->graph ? rewriting->graph : decoder->graph,
                      rewriting->packed ? rewriting->packed : packed, inputs, &wanted, &plan, error);
    return status == VAEMARK_OK ? swap_plan(decoder, plan, error) : status;
}

/* The inputs' shapes, so that another setting can be planned for them. */
static void keep_inputs(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs) {
    decoder->inputs = (struct vaemark_tensors){.items = decoder->input_items};
    for (size_t i = 0; i < decoder->graph->input_count; i++) {
        const struct vaemark_tensor *tensor = tensors_find(inputs, decoder->graph->inputs[i].name);
        if (tensor == NULL) {
            continue; /* it may be absent */
        }
        struct vaemark_tensor *kept = &decoder->input_items[decoder->inputs.count++];
        *kept = *tensor;
        kept->name = decoder->graph->inputs[i].name;
        kept->data = NULL;
    }
}

bool decoder_same_layout(const struct vaemark_tensor *a, const struct vaemark_tensor *b) {
    if (a->rank != b->rank || a->dtype != b->dtype) {
        return false;
    }
    for (int32_t i = 0; i < a->rank; i++) {
        if (a->shape[i] != b->shape[i] || a->strides[i] != b->strides[i]) {
            return false;
        }
    }
    return true;
}

static bool is_prepared_for(const struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs) {
    for (size_t i = 0; i < decoder->inputs.count; i++) {
        const struct vaemark_tensor *tensor = tensors_find(inputs, decoder->input_items[i].name);
        if (tensor == NULL || !decoder_same_layout(tensor, &decoder->input_items[i])) {
            return false;
        }
    }
    return decoder->plan != NULL && inputs->count == decoder->inputs.count;
}

enum vaemark_status decoder_prepare_for(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                        struct error *error) {
    if (is_prepared_for(decoder, inputs)) {
        return VAEMARK_OK;
    }
    enum vaemark_status status =
        decoder_make_plan(decoder, inputs, &decoder->settings, decoder->packed, &decoder->rewriting, error);
    if (status == VAEMARK_OK) {
        keep_inputs(decoder, inputs);
    }
    return status;
}
