/* The verbs of the ABI. A decoder is packed weights, settings and, once prepared, a plan with its memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/decoder.h"
#include "reference/tensor.h"

static enum vaemark_status report(enum vaemark_status status, const struct error *error,
                                  struct vaemark_message *message) {
    if (status != VAEMARK_OK && message != NULL) {
        snprintf(message->text, sizeof message->text, "%.300s%s%.700s", error->where, error->where[0] ? ": " : "",
                 error->message);
    }
    return status;
}

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
    decoder_drop_plan(decoder);
    decoder_free_weights(decoder);
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
    status = plan_check_ops(decoder->graph, &error);
    if (status == VAEMARK_OK) {
        status = decoder_begin_settings(decoder, &settings, &error);
    }
    if (status != VAEMARK_OK) {
        cpu_close(decoder);
        return report(status, &error, message);
    }
    *result = decoder;
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
        status = decoder_change_settings(decoder, &settings, &error);
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
    enum vaemark_status status = decoder_prepare_for(decoder, inputs, &error);
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
    if (found == NULL || found->data == NULL || !decoder_same_layout(found, &wanted)) {
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
    enum vaemark_status status = decoder_prepare_for(decoder, inputs, &error);
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
