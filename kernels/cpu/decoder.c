/* The verbs of the ABI. A decoder is packed weights, the current settings and, once prepared, a plan with its memory. A
 * change of settings builds what is new beside what is there and swaps at the end: a failure changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/pages.h"
#include "kernels/cpu/passes.h"
#include "kernels/cpu/settings.h"
#include "reference/fuse_qkv.h"
#include "reference/quantize.h"
#include "reference/tensor.h"

enum { MAX_INPUTS = sizeof((struct vaemark_graph *)0)->inputs / sizeof((struct vaemark_graph *)0)->inputs[0] };

/* The graph with fused projections or quantised latents (no type takes both), and the packed weights that it adds. */
struct rewriting {
    struct vaemark_graph *graph;
    struct packed *packed;
    int64_t fused_modules;
};

struct vaemark_decoder {
    struct vaemark_host host;
    const char *vae_type;
    const struct vaemark_graph *graph;
    struct packed *packed;
    struct settings settings;
    struct rewriting rewriting; /* all NULL while the graph is the model's */

    struct passes *plan; /* NULL until prepared */
    void *arena;
    struct vaemark_tensor input_items[MAX_INPUTS]; /* what the plan is for; data is NULL */
    struct vaemark_tensors inputs;
};

static enum vaemark_status report(enum vaemark_status status, const struct error *error,
                                  struct vaemark_message *message) {
    if (status != VAEMARK_OK && message != NULL) {
        snprintf(message->text, sizeof message->text, "%.300s%s%.700s", error->where, error->where[0] ? ": " : "",
                 error->message);
    }
    return status;
}

/* ---- rewriting ---- */

static void rewriting_free(struct rewriting *rewriting) {
    packed_free(rewriting->packed);
    graph_free(rewriting->graph);
    *rewriting = (struct rewriting){0};
}

static enum vaemark_status pack(const struct vaemark_decoder *decoder, const struct vaemark_graph *graph,
                                const struct packed *shared, const struct settings *settings, struct packed **packed,
                                struct error *error) {
    const struct packed_settings wanted = {.panels = settings_storage(settings), .threads = settings->threads};
    return packed_create(&decoder->host, graph, shared, &wanted, packed, error);
}

/* What these settings make of the model's graph, whose weights are packed; nothing where it stays as it is. */
static enum vaemark_status rewriting_create(const struct vaemark_decoder *decoder, const struct packed *packed,
                                            const struct settings *settings, struct rewriting *rewriting,
                                            struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    *rewriting = (struct rewriting){0};
    if (settings->fuse_qkv) {
        status = fuse_qkv(decoder->graph, &rewriting->graph, &rewriting->fused_modules, error);
    } else if (settings->quantize) {
        status = quantize_latents(decoder->graph, &rewriting->graph, error);
    } else {
        return VAEMARK_OK;
    }
    if (status == VAEMARK_OK) {
        status = pack(decoder, rewriting->graph, packed, settings, &rewriting->packed, error);
    }
    if (status != VAEMARK_OK) {
        rewriting_free(rewriting);
    }
    return status;
}

/* ---- plan and memory ---- */

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

static void drop_plan(struct vaemark_decoder *decoder) {
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
                drop_plan(decoder);
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

static enum vaemark_status make_plan(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
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

static bool same_layout(const struct vaemark_tensor *a, const struct vaemark_tensor *b) {
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
        if (tensor == NULL || !same_layout(tensor, &decoder->input_items[i])) {
            return false;
        }
    }
    return decoder->plan != NULL && inputs->count == decoder->inputs.count;
}

static enum vaemark_status prepare_for(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                       struct error *error) {
    if (is_prepared_for(decoder, inputs)) {
        return VAEMARK_OK;
    }
    enum vaemark_status status =
        make_plan(decoder, inputs, &decoder->settings, decoder->packed, &decoder->rewriting, error);
    if (status == VAEMARK_OK) {
        keep_inputs(decoder, inputs);
    }
    return status;
}

/* ---- verbs ---- */

static enum vaemark_status cpu_probe(struct vaemark_probe *probe, struct vaemark_message *message) {
    static const struct vaemark_fact facts[] = {{"layout", "panels of 16 channels (nChw16c)"},
                                                {"precision", "fp32, fp32-strict, bf16"},
                                                {"algorithm.fp32", "winograd"},
                                                {"algorithm.fp32-strict", "direct"},
                                                {"threads", "OpenMP"}};
    (void)message;
    *probe = (struct vaemark_probe){
        .struct_size = sizeof *probe,
        .available = 1,
        .reason = "",
        .deterministic = 1,
        .facts = facts,
        .fact_count = sizeof facts / sizeof facts[0],
    };
    probe->unsupported = settings_unsupported(&probe->unsupported_count);
    return VAEMARK_OK;
}

static void cpu_close(struct vaemark_decoder *decoder) {
    if (decoder == NULL) {
        return;
    }
    drop_plan(decoder);
    rewriting_free(&decoder->rewriting);
    packed_free(decoder->packed);
    free(decoder);
}

/* Every option is checked before anything is done. */
static enum vaemark_status check_options(struct settings *settings, const char *vae_type,
                                         const struct vaemark_options *options, struct error *error) {
    *settings = settings_default();
    for (size_t i = 0; options != NULL && i < options->count; i++) {
        enum vaemark_status status = settings_apply(settings, vae_type, &options->items[i], error);
        if (status != VAEMARK_OK) {
            return status;
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status cpu_open(const struct vaemark_host *host, const struct vaemark_model *model,
                                    const struct vaemark_options *options, struct vaemark_decoder **result,
                                    struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};
    struct settings settings;
    enum vaemark_status status = check_options(&settings, model->vae_type, options, &error);

    *result = NULL;
    if (status != VAEMARK_OK) {
        return report(status, &error, message);
    }
    struct vaemark_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL) {
        status = error_set(&error, VAEMARK_OUT_OF_MEMORY, "no memory for a decoder");
        return report(status, &error, message);
    }
    decoder->host = *host;
    decoder->vae_type = model->vae_type;
    decoder->graph = model->graph;
    decoder->settings = settings;
    status = plan_check_ops(decoder->graph, &error);
    if (status == VAEMARK_OK) {
        status = tiling_check(decoder->graph, settings.tiling.mode, &error);
    }
    if (status == VAEMARK_OK) {
        status = pack(decoder, decoder->graph, NULL, &settings, &decoder->packed, &error);
    }
    if (status == VAEMARK_OK) {
        status = rewriting_create(decoder, decoder->packed, &settings, &decoder->rewriting, &error);
    }
    if (status != VAEMARK_OK) {
        cpu_close(decoder);
        return report(status, &error, message);
    }
    *result = decoder;
    return VAEMARK_OK;
}

/* Weights and graph as new settings want them; what they leave as it is, is the decoder's own. */
struct change {
    bool repacks, rewrites;
    struct packed *packed;
    struct rewriting rewriting;
};

static enum vaemark_status change_create(const struct vaemark_decoder *decoder, const struct settings *settings,
                                         struct change *change, struct error *error) {
    const struct settings *old = &decoder->settings;
    enum vaemark_status status = VAEMARK_OK;
    *change = (struct change){.repacks = settings_storage(settings) != settings_storage(old),
                              .packed = decoder->packed,
                              .rewriting = decoder->rewriting};
    change->rewrites = change->repacks || settings->fuse_qkv != old->fuse_qkv || settings->quantize != old->quantize;
    if (change->repacks) {
        status = pack(decoder, decoder->graph, NULL, settings, &change->packed, error);
        change->repacks = status == VAEMARK_OK; /* on failure there is nothing to free */
    }
    if (status != VAEMARK_OK) {
        change->rewrites = false;
    } else if (change->rewrites) {
        status = rewriting_create(decoder, change->packed, settings, &change->rewriting, error);
    }
    return status;
}

/* Frees what `packed` and `rewriting` have of their own in `change`. */
static void change_free(const struct change *change, struct packed *packed, struct rewriting *rewriting) {
    if (change->rewrites) {
        rewriting_free(rewriting);
    }
    if (change->repacks) {
        packed_free(packed);
    }
}

/* Settles on new settings: packs and rewrites where that changes, and plans anew where there is a plan. */
static enum vaemark_status change_settings(struct vaemark_decoder *decoder, const struct settings *settings,
                                           struct error *error) {
    struct change change;
    enum vaemark_status status = tiling_check(decoder->graph, settings->tiling.mode, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    status = change_create(decoder, settings, &change, error);
    if (status == VAEMARK_OK && decoder->plan != NULL) {
        status = make_plan(decoder, &decoder->inputs, settings, change.packed, &change.rewriting, error);
    }
    if (status != VAEMARK_OK) {
        change_free(&change, change.packed, &change.rewriting);
        return status;
    }
    change_free(&change, decoder->packed, &decoder->rewriting);
    decoder->packed = change.packed;
    decoder->rewriting = change.rewriting;
    decoder->settings = *settings;
    return VAEMARK_OK;
}

static enum vaemark_status cpu_set_option(struct vaemark_decoder *decoder, const struct vaemark_option *option,
                                          struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};
    struct settings settings = decoder->settings;
    enum vaemark_status status = settings_apply(&settings, decoder->vae_type, option, &error);
    const bool same =
        settings.threads == decoder->settings.threads && settings.precision == decoder->settings.precision &&
        settings.kernels == decoder->settings.kernels && settings.fuse_qkv == decoder->settings.fuse_qkv &&
        settings.quantize == decoder->settings.quantize && settings.tiling.mode == decoder->settings.tiling.mode &&
        settings.tiling.slicing == decoder->settings.tiling.slicing &&
        settings.tiling.tile == decoder->settings.tiling.tile &&
        settings.tiling.stride == decoder->settings.tiling.stride;
    if (status == VAEMARK_OK && !same) {
        status = change_settings(decoder, &settings, &error);
    }
    return report(status, &error, message);
}

static enum vaemark_status cpu_get_property(struct vaemark_decoder *decoder, const char *key,
                                            struct vaemark_option *value, struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};
    if (strcmp(key, "fuse_qkv.modules") == 0) {
        *value = (struct vaemark_option){.key = "fuse_qkv.modules", .type = VAEMARK_INTEGER};
        value->value.integer = decoder->rewriting.fused_modules;
        return VAEMARK_OK;
    }
    return report(settings_read(&decoder->settings, key, value, &error), &error, message);
}

static enum vaemark_status cpu_prepare(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                       struct vaemark_tensor *image, struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};
    enum vaemark_status status = prepare_for(decoder, inputs, &error);
    if (status == VAEMARK_OK && image != NULL) {
        *image = tensor_make("image", VAEMARK_F32, &decoder->plan->tiling.image, NULL);
    }
    return report(status, &error, message);
}

/* The caller's tensor for the picture: what prepare() said, and memory. */
static enum vaemark_status find_image(const struct vaemark_decoder *decoder, const struct vaemark_tensors *outputs,
                                      float **image, struct error *error) {
    const struct vaemark_tensor wanted = tensor_make("image", VAEMARK_F32, &decoder->plan->tiling.image, NULL);
    const struct vaemark_tensor *found = tensors_find(outputs, "image");
    char text[256];
    if (found == NULL || found->data == NULL || !same_layout(found, &wanted)) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "decode() needs an output 'image', contiguous F32 of %s",
                         shape_format(&decoder->plan->tiling.image, text, sizeof text));
    }
    *image = found->data;
    return VAEMARK_OK;
}

static enum vaemark_status check_data(const struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                      struct error *error) {
    for (size_t i = 0; i < decoder->inputs.count; i++) {
        if (tensors_find(inputs, decoder->input_items[i].name)->data == NULL) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "input %s has no data", decoder->input_items[i].name);
        }
    }
    return graph_check_codes(decoder->graph, inputs, error);
}

static enum vaemark_status cpu_decode(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                      struct vaemark_tensors *outputs, struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};
    float *image = NULL;
    enum vaemark_status status = prepare_for(decoder, inputs, &error);
    if (status == VAEMARK_OK) {
        status = find_image(decoder, outputs, &image, &error);
    }
    if (status == VAEMARK_OK) {
        status = check_data(decoder, inputs, &error);
    }
    if (status == VAEMARK_OK) {
        const struct run run = {.kernels = decoder->settings.kernels,
                                .threads = decoder->settings.threads,
                                .arena = decoder->arena,
                                .inputs = inputs,
                                .image = image};
        passes_run(decoder->plan, &run);
    }
    return report(status, &error, message);
}

static enum vaemark_status cpu_memory(struct vaemark_decoder *decoder, struct vaemark_memory *memory,
                                      struct vaemark_message *message) {
    (void)message;
    *memory = (struct vaemark_memory){.struct_size = sizeof *memory};
    memory->planned_bytes[VAEMARK_MEMORY_WEIGHTS] =
        packed_size_bytes(decoder->packed) + packed_size_bytes(decoder->rewriting.packed);
    if (decoder->plan != NULL) {
        memory->planned_bytes[VAEMARK_MEMORY_ACTIVATIONS] = decoder->plan->arena_bytes;
    }
    return VAEMARK_OK;
}

static enum vaemark_status cpu_trace(struct vaemark_decoder *decoder, struct vaemark_trace *trace,
                                     struct vaemark_message *message) {
    (void)message;
    *trace = (struct vaemark_trace){.struct_size = sizeof *trace};
    if (decoder->plan != NULL) {
        trace->entries = decoder->plan->trace;
        trace->count = decoder->plan->trace_count;
    }
    return VAEMARK_OK;
}

const struct vaemark_backend cpu_backend = {
    .abi_version = VAEMARK_ABI_VERSION,
    .struct_size = sizeof(struct vaemark_backend),
    .name = "cpu",
    .description = "compiled plan over one arena, vector kernels in FP32 (stored as FP32 or BF16), threads",
    .probe = cpu_probe,
    .open = cpu_open,
    .set_option = cpu_set_option,
    .get_property = cpu_get_property,
    .prepare = cpu_prepare,
    .decode = cpu_decode,
    .memory = cpu_memory,
    .trace = cpu_trace,
    .close = cpu_close,
};
