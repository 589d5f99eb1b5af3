#include "reference/executor.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "reference/execution.h"
#include "reference/executor_options.h"
#include "reference/fuse_qkv.h"
#include "reference/quantize.h"
#include "reference/tiling.h"

struct vaemark_decoder {
    struct vaemark_host host;
    const struct vaemark_model *model;
    struct executor_options options;
    struct vaemark_graph *fused;     /* NULL while projections are not fused */
    struct vaemark_graph *quantized; /* NULL while latents are taken as they are */
    int64_t fused_modules;
    uint64_t joined_bytes;        /* of the fused graph's joined parameters */
    struct vaemark_graph *traced; /* a graph no longer in use whose names the trace still shows */
    struct vaemark_trace_entry *entries;
    size_t entry_count;
    uint64_t planned_bytes[VAEMARK_MEMORY_CLASS_COUNT];
};

static enum vaemark_status message_from(struct vaemark_message *message, const struct error *error) {
    if (message != NULL) {
        error_text(error, message->text, sizeof message->text);
    }
    return error->status;
}

static const struct vaemark_graph *decoder_graph(const struct vaemark_decoder *decoder) {
    /* No type takes both options. */
    return decoder->fused != NULL       ? decoder->fused
           : decoder->quantized != NULL ? decoder->quantized
                                        : decoder->model->graph;
}

static struct execution_settings decoder_settings(const struct vaemark_decoder *decoder) {
    const int64_t threads = decoder->options.threads;

    return (struct execution_settings){.bits = decoder->options.bits,
                                       .threads = threads == 0 ? omp_get_num_procs() : (int)threads};
}

/* Fills in a joined parameter, rows of q, k and v one below the other. Kept in the dtype of its sources where they have
 * one, so that joining costs no digit whatever the precision; else in F64, which holds every floating dtype. */
static enum vaemark_status joined_make(struct vaemark_decoder *decoder, struct vaemark_graph *graph,
                                       struct graph_parameter *joined, struct error *error) {
    const struct vaemark_tensor *sources[3];
    enum vaemark_dtype dtype;
    size_t size_bytes, offset = 0;
    unsigned char *memory;

    for (int i = 0; i < 3; i++) {
        sources[i] = &graph->parameters[joined->sources[i]].tensor;
    }
    dtype = sources[0]->dtype == sources[1]->dtype && sources[0]->dtype == sources[2]->dtype ? sources[0]->dtype
                                                                                             : VAEMARK_F64;
    size_bytes = (size_t)shape_element_count(&joined->shape) * dtype_size_bytes(dtype);
    memory = decoder->host.allocate(decoder->host.user, size_bytes, 64, VAEMARK_MEMORY_WEIGHTS);
    if (memory == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory: %zu bytes for %s were refused", size_bytes,
                         joined->name);
    }
    for (int i = 0; i < 3; i++) {
        const struct shape shape = tensor_shape(sources[i]);
        const int64_t count = shape_element_count(&shape);
        if (sources[i]->dtype == dtype) {
            memcpy(memory + offset, sources[i]->data, (size_t)count * dtype_size_bytes(dtype));
        } else {
            tensor_read_f64((double *)(void *)(memory + offset), sources[i], 0, count);
        }
        offset += (size_t)count * dtype_size_bytes(dtype);
    }
    joined->tensor = tensor_make(joined->name, dtype, &joined->shape, memory);
    return VAEMARK_OK;
}

/* Frees the joined parameters of a fused graph. */
static void joined_release(struct vaemark_decoder *decoder, struct vaemark_graph *graph) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        if (graph->parameters[i].origin == PARAMETER_JOINED && graph->parameters[i].tensor.data != NULL) {
            decoder->host.release(decoder->host.user, graph->parameters[i].tensor.data);
            graph->parameters[i].tensor.data = NULL;
        }
    }
}

static void decoder_forget_trace(struct vaemark_decoder *decoder) {
    decoder->entry_count = 0;
    graph_free(decoder->traced);
    decoder->traced = NULL;
}

static enum vaemark_status decoder_fuse(struct vaemark_decoder *decoder, struct error *error) {
    struct vaemark_graph *fused;
    int64_t modules;
    uint64_t joined_bytes = 0;
    enum vaemark_status status;

    if (decoder->fused != NULL) {
        return VAEMARK_OK;
    }
    status = fuse_qkv(decoder->model->graph, &fused, &modules, error);
    for (size_t i = 0; status == VAEMARK_OK && i < fused->parameter_count; i++) {
        if (fused->parameters[i].origin == PARAMETER_JOINED) {
            status = joined_make(decoder, fused, &fused->parameters[i], error);
            joined_bytes += tensor_size_bytes(&fused->parameters[i].tensor);
        }
    }
    if (status != VAEMARK_OK) {
        if (fused != NULL) {
            joined_release(decoder, fused);
            graph_free(fused);
        }
        return status;
    }
    decoder->fused = fused;
    decoder->fused_modules = modules;
    decoder->joined_bytes = joined_bytes;
    return VAEMARK_OK;
}

/* A graph that is no longer run: its names may be on show until the next decode. */
static void decoder_retire(struct vaemark_decoder *decoder, struct vaemark_graph *graph) {
    if (decoder->traced == NULL && decoder->entry_count > 0) {
        decoder->traced = graph;
    } else {
        graph_free(graph);
    }
}

static void decoder_unfuse(struct vaemark_decoder *decoder) {
    if (decoder->fused == NULL) {
        return;
    }
    joined_release(decoder, decoder->fused);
    decoder_retire(decoder, decoder->fused);
    decoder->fused = NULL;
    decoder->fused_modules = 0;
    decoder->joined_bytes = 0;
}

static enum vaemark_status decoder_quantize(struct vaemark_decoder *decoder, bool on, struct error *error) {
    if (on && decoder->quantized == NULL) {
        return quantize_latents(decoder->model->graph, &decoder->quantized, error);
    }
    if (!on && decoder->quantized != NULL) {
        decoder_retire(decoder, decoder->quantized);
        decoder->quantized = NULL;
    }
    return VAEMARK_OK;
}

/* Takes over checked options. A failure leaves everything as it was. */
static enum vaemark_status decoder_apply(struct vaemark_decoder *decoder, const struct executor_options *options,
                                         struct error *error) {
    enum vaemark_status status = tiling_check(decoder->model->graph, options->tiling.mode, error);
    if (status == VAEMARK_OK) {
        status = decoder_quantize(decoder, options->quantize != 0, error);
    }

    if (status == VAEMARK_OK && options->fuse_qkv) {
        status = decoder_fuse(decoder, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    if (!options->fuse_qkv) {
        decoder_unfuse(decoder);
    }
    decoder->options = *options;
    memset(decoder->planned_bytes, 0, sizeof decoder->planned_bytes); /* of other settings */
    return VAEMARK_OK;
}

static enum vaemark_status model_check(const struct vaemark_model *model, struct error *error) {
    for (size_t i = 0; i < model->graph->parameter_count; i++) {
        const struct graph_parameter *parameter = &model->graph->parameters[i];
        const struct shape found = tensor_shape(&parameter->tensor);
        if (parameter->origin != PARAMETER_STORED) {
            continue;
        }
        if (parameter->tensor.data == NULL) {
            return error_set_at(error, VAEMARK_INVALID_ARGUMENT, parameter->name,
                                "has no weights: bind a checkpoint before decoding");
        }
        const struct shape stored = parameter_stored_shape(parameter);
        if (shape_element_count(&found) != shape_element_count(&stored)) {
            char wanted[192], text[192];
            return error_set_at(error, VAEMARK_BAD_INPUT, parameter->name, "wanted %s, found %s",
                                shape_format(&stored, wanted, sizeof wanted), shape_format(&found, text, sizeof text));
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status reference_probe(struct vaemark_probe *probe, struct vaemark_message *message) {
    static const struct vaemark_fact facts[] = {
        {"reference.precisions", "fp32 fp64"},
        {"reference.accumulation", "products in the run's precision, norms and softmax sums in double"},
    };

    (void)message;
    *probe = (struct vaemark_probe){
        .struct_size = sizeof *probe,
        .available = 1,
        .reason = "",
        .deterministic = 1,
        .facts = facts,
        .fact_count = sizeof facts / sizeof facts[0],
        .unsupported = executor_unsupported,
        .unsupported_count = executor_unsupported_count,
    };
    return VAEMARK_OK;
}

static void reference_close(struct vaemark_decoder *decoder) {
    if (decoder == NULL) {
        return;
    }
    decoder_forget_trace(decoder);
    decoder_unfuse(decoder);
    graph_free(decoder->quantized);
    free(decoder->entries);
    free(decoder);
}

static enum vaemark_status reference_open(const struct vaemark_host *host, const struct vaemark_model *model,
                                          const struct vaemark_options *options, struct vaemark_decoder **decoder,
                                          struct vaemark_message *message) {
    struct executor_options wanted = executor_options_default;
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_decoder *opened;
    enum vaemark_status status = VAEMARK_OK;

    *decoder = NULL;
    if (model->graph == NULL) {
        error_set(&error, VAEMARK_UNSUPPORTED_MODEL, "the model comes without a graph, which the reference decodes");
        return message_from(message, &error);
    }
    for (size_t i = 0; status == VAEMARK_OK && options != NULL && i < options->count; i++) {
        status = executor_options_take(&wanted, model->vae_type, &options->items[i], &error);
    }
    status = status != VAEMARK_OK ? status : model_check(model, &error);
    if (status != VAEMARK_OK) {
        return message_from(message, &error);
    }
    opened = calloc(1, sizeof *opened);
    if (opened == NULL) {
        error_set(&error, VAEMARK_OUT_OF_MEMORY, "out of memory while opening the model");
        return message_from(message, &error);
    }
    opened->host = *host;
    opened->model = model;
    opened->options = executor_options_default;
    if (decoder_apply(opened, &wanted, &error) != VAEMARK_OK) {
        reference_close(opened);
        return message_from(message, &error);
    }
    *decoder = opened;
    return VAEMARK_OK;
}

static enum vaemark_status reference_set_option(struct vaemark_decoder *decoder, const struct vaemark_option *option,
                                                struct vaemark_message *message) {
    struct executor_options wanted = decoder->options;
    struct error error = {.status = VAEMARK_OK};

    if (executor_options_take(&wanted, decoder->model->vae_type, option, &error) != VAEMARK_OK ||
        decoder_apply(decoder, &wanted, &error) != VAEMARK_OK) {
        return message_from(message, &error);
    }
    return VAEMARK_OK;
}

static enum vaemark_status reference_get_property(struct vaemark_decoder *decoder, const char *key,
                                                  struct vaemark_option *value, struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};

    if (strcmp(key, "fuse_qkv.modules") == 0) {
        *value = (struct vaemark_option){
            .key = "fuse_qkv.modules", .type = VAEMARK_INTEGER, .value.integer = decoder->fused_modules};
        return VAEMARK_OK;
    }
    if (executor_options_get(&decoder->options, key, value, &error) != VAEMARK_OK) {
        return message_from(message, &error);
    }
    return VAEMARK_OK;
}

/* What a decode of given inputs runs: the passes, and the shapes of all values for each shape of a pass. */
struct decode_plan {
    struct tiling tiling;
    struct shape *shapes; /* value_count of each, one after the other; owned */
};

static struct shape *plan_shapes(const struct vaemark_decoder *decoder, const struct decode_plan *plan, int32_t shape) {
    return plan->shapes + (size_t)shape * (size_t)decoder_graph(decoder)->value_count;
}

static enum vaemark_dtype decoder_dtype(const struct vaemark_decoder *decoder) {
    return decoder->options.bits == 32 ? VAEMARK_F32 : VAEMARK_F64;
}

/* What one pass runs. */
static struct vaemark_graph pass_graph(const struct vaemark_decoder *decoder, const struct decode_plan *plan) {
    const struct vaemark_graph *graph = decoder_graph(decoder);

    return plan->tiling.tiled ? graph_of_tile(graph) : *graph;
}

/* Shapes and bytes of each shape of a pass; only one runs at a time. */
static enum vaemark_status decoder_plan_passes(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                               const struct decode_plan *plan, struct error *error) {
    const struct vaemark_graph tile = pass_graph(decoder, plan), *graph = &tile;
    const struct execution_settings settings = decoder_settings(decoder);
    struct vaemark_tensor items[sizeof graph->inputs / sizeof graph->inputs[0]];
    enum vaemark_status status = VAEMARK_OK;

    memset(decoder->planned_bytes, 0, sizeof decoder->planned_bytes);
    for (int32_t i = 0; status == VAEMARK_OK && i < tiling_shape_count(&plan->tiling); i++) {
        const struct vaemark_tensors pass = tiling_shape_inputs(&plan->tiling, inputs, i, items);
        uint64_t bytes[VAEMARK_MEMORY_CLASS_COUNT];
        status = graph_infer_shapes(graph, &pass, plan_shapes(decoder, plan, i), error);
        if (status == VAEMARK_OK) {
            status = execution_plan(graph, plan_shapes(decoder, plan, i), &settings, bytes, error);
        }
        for (int c = 0; status == VAEMARK_OK && c < VAEMARK_MEMORY_CLASS_COUNT; c++) {
            decoder->planned_bytes[c] = bytes[c] > decoder->planned_bytes[c] ? bytes[c] : decoder->planned_bytes[c];
        }
    }
    decoder->planned_bytes[VAEMARK_MEMORY_ACTIVATIONS] +=
        tiling_scratch_bytes(&plan->tiling, inputs, decoder_dtype(decoder));
    return status;
}

/* The caller frees plan->shapes. */
static enum vaemark_status decoder_plan(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                        struct decode_plan *plan, struct error *error) {
    const struct vaemark_graph *graph = decoder_graph(decoder);
    enum vaemark_status status;

    plan->shapes = NULL;
    status = tiling_plan(graph, inputs, &decoder->options.tiling, &plan->tiling, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    plan->shapes =
        calloc((size_t)tiling_shape_count(&plan->tiling) * (size_t)graph->value_count + 1, sizeof *plan->shapes);
    if (plan->shapes == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory while planning");
    }
    status = decoder_plan_passes(decoder, inputs, plan, error);
    if (status != VAEMARK_OK) {
        free(plan->shapes);
        plan->shapes = NULL;
    }
    return status;
}

static enum vaemark_status reference_prepare(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                             struct vaemark_tensor *image, struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};
    struct decode_plan plan;

    if (decoder_plan(decoder, inputs, &plan, &error) != VAEMARK_OK) {
        return message_from(message, &error);
    }
    *image = tensor_make("image", decoder_dtype(decoder), &plan.tiling.image, NULL);
    free(plan.shapes);
    return VAEMARK_OK;
}

/* The one output must be the image as prepare() describes it, and inputs must have data. */
static enum vaemark_status decode_check(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                        const struct vaemark_tensors *outputs, const struct vaemark_tensor *image,
                                        struct error *error) {
    const struct shape wanted = tensor_shape(image);
    char wanted_text[192], found_text[192];
    struct shape found;

    if (outputs->count != 1 || outputs->items[0].name == NULL || strcmp(outputs->items[0].name, "image") != 0) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "decode has one output, 'image'");
    }
    found = tensor_shape(&outputs->items[0]);
    if (outputs->items[0].dtype != image->dtype || !shape_equal(&found, &wanted) || outputs->items[0].data == NULL) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "output 'image': wanted %s %s, found %s %s%s",
                         dtype_name(image->dtype), shape_format(&wanted, wanted_text, sizeof wanted_text),
                         dtype_name(outputs->items[0].dtype), shape_format(&found, found_text, sizeof found_text),
                         outputs->items[0].data == NULL ? " without data" : "");
    }
    for (size_t i = 0; i < inputs->count; i++) {
        if (inputs->items[i].data == NULL) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "input '%s' has no data", inputs->items[i].name);
        }
    }
    return graph_check_codes(graph, inputs, error);
}

/* A decode while it runs. */
struct decode_run {
    struct vaemark_decoder *decoder;
    const struct decode_plan *plan;
    size_t entry_count; /* of the passes so far */
};

static enum vaemark_status decode_pass(void *context, int32_t shape, const struct vaemark_tensors *inputs,
                                       const struct vaemark_tensor *image, struct error *error) {
    struct decode_run *run = context;
    struct vaemark_decoder *decoder = run->decoder;
    const struct vaemark_graph tile = pass_graph(decoder, run->plan), *graph = &tile;
    const struct execution_settings settings = decoder_settings(decoder);
    struct vaemark_trace_entry *entries = decoder->entries + run->entry_count;

    run->entry_count += graph->node_count;
    return execution_run(graph, plan_shapes(decoder, run->plan, shape), &settings, &decoder->host, inputs, image,
                         entries, error);
}

/* All passes, and the scratch they need. On success the trace is complete. */
static enum vaemark_status decode_passes(struct vaemark_decoder *decoder, const struct decode_plan *plan,
                                         const struct vaemark_tensors *inputs, const struct vaemark_tensor *image,
                                         struct error *error) {
    const size_t scratch_bytes = tiling_scratch_bytes(&plan->tiling, inputs, decoder_dtype(decoder));
    struct decode_run context = {.decoder = decoder, .plan = plan};
    struct tiling_run run = {.tiling = &plan->tiling,
                             .inputs = inputs,
                             .image = image,
                             .threads = decoder_settings(decoder).threads,
                             .decode = decode_pass,
                             .context = &context};
    enum vaemark_status status;

    if (scratch_bytes > 0) {
        run.scratch = decoder->host.allocate(decoder->host.user, scratch_bytes, 64, VAEMARK_MEMORY_ACTIVATIONS);
        if (run.scratch == NULL) {
            return error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory: %zu bytes for a tile were refused",
                             scratch_bytes);
        }
    }
    status = tiling_run(&run, error);
    if (scratch_bytes > 0) {
        decoder->host.release(decoder->host.user, run.scratch);
    }
    if (status == VAEMARK_OK && plan->tiling.tiled) {
        decoder->entries[context.entry_count++] = tiling_trace_entry(&run);
    }
    decoder->entry_count = status == VAEMARK_OK ? context.entry_count : 0;
    return status;
}

static enum vaemark_status reference_decode(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                            struct vaemark_tensors *outputs, struct vaemark_message *message) {
    struct error error = {.status = VAEMARK_OK};
    struct decode_plan plan;
    struct vaemark_trace_entry *entries;
    enum vaemark_status status;

    decoder_forget_trace(decoder);
    if (decoder_plan(decoder, inputs, &plan, &error) != VAEMARK_OK) {
        return message_from(message, &error);
    }
    entries =
        reallocarray(decoder->entries, (size_t)tiling_pass_count(&plan.tiling) * decoder_graph(decoder)->node_count + 1,
                     sizeof *entries);
    if (entries == NULL) {
        status = error_set(&error, VAEMARK_OUT_OF_MEMORY, "out of memory for the trace");
    } else {
        const struct vaemark_tensor image = tensor_make("image", decoder_dtype(decoder), &plan.tiling.image, NULL);
        decoder->entries = entries;
        status = decode_check(decoder_graph(decoder), inputs, outputs, &image, &error);
        if (status == VAEMARK_OK) {
            status = decode_passes(decoder, &plan, inputs, &outputs->items[0], &error);
        }
    }
    free(plan.shapes);
    return status == VAEMARK_OK ? VAEMARK_OK : message_from(message, &error);
}

static enum vaemark_status reference_memory(struct vaemark_decoder *decoder, struct vaemark_memory *memory,
                                            struct vaemark_message *message) {
    (void)message;
    *memory = (struct vaemark_memory){.struct_size = sizeof *memory};
    memcpy(memory->planned_bytes, decoder->planned_bytes, sizeof memory->planned_bytes);
    memory->planned_bytes[VAEMARK_MEMORY_WEIGHTS] = decoder->joined_bytes;
    return VAEMARK_OK;
}

static enum vaemark_status reference_trace(struct vaemark_decoder *decoder, struct vaemark_trace *trace,
                                           struct vaemark_message *message) {
    (void)message;
    *trace = (struct vaemark_trace){
        .struct_size = sizeof *trace, .entries = decoder->entries, .count = decoder->entry_count};
    return VAEMARK_OK;
}

const struct vaemark_backend reference_backend = {
    .abi_version = VAEMARK_ABI_VERSION,
    .struct_size = sizeof reference_backend,
    .name = "reference",
    .description = "the oracle: every op written plainly, in FP32 or FP64, on the CPU",
    .probe = reference_probe,
    .open = reference_open,
    .set_option = reference_set_option,
    .get_property = reference_get_property,
    .prepare = reference_prepare,
    .decode = reference_decode,
    .memory = reference_memory,
    .trace = reference_trace,
    .close = reference_close,
};
