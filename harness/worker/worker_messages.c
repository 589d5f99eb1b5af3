/* The calls on a living worker: a request is put together, the answer is read field by field. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "harness/worker/worker_internal.h"
#include "reference/tensor.h"

/* Asks, and hands the answer to `read`. What cannot be read as an answer breaks the protocol. */
typedef enum vaemark_status answer_reader(const json_t *answer, void *out, struct error *error);

static enum vaemark_status ask(struct worker *worker, const char *type, json_t *request, answer_reader *read, void *out,
                               struct error *error) {
    json_t *answer = NULL;
    enum vaemark_status status = worker_request(worker, type, request, &answer, error);
    if (status != VAEMARK_OK)
        return status;
    struct error found = {.status = VAEMARK_OK};
    if (read && read(answer, out, &found) != VAEMARK_OK) {
        status = worker_break(worker, type, &found);
        if (error)
            *error = found;
    }
    json_decref(answer);
    return status;
}

enum vaemark_status worker_open(struct worker *worker, const struct worker_model *model,
                                const struct vaemark_options *options, struct error *error) {
    json_t *list = json_object();
    for (size_t i = 0; options && i < options->count; i++)
        json_object_set_new(list, options->items[i].key, wire_option_write(&options->items[i]));
    json_t *request = json_pack("{s:s, s:s, s:s, s:o}", "model", model->name, "config", model->config_path, "weights",
                                model->weights_path, "options", list);
    if (!request)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "a path or name of model '%s' is not UTF-8", model->name);
    return ask(worker, "open", request, NULL, NULL, error);
}

enum vaemark_status worker_set_option(struct worker *worker, const struct vaemark_option *option, struct error *error) {
    json_t *request = json_pack("{s:s, s:o}", "key", option->key, "value", wire_option_write(option));
    if (!request)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "the value of option '%s' is not UTF-8", option->key);
    return ask(worker, "option", request, NULL, NULL, error);
}

static enum vaemark_status read_property(const json_t *answer, void *out, struct error *error) {
    const json_t *value = json_object_get(answer, "value");
    int64_t *number = out;
    if (json_is_boolean(value)) {
        *number = json_is_true(value);
        return VAEMARK_OK;
    }
    return wire_integer(answer, "value", INT64_MIN, INT64_MAX, number, error);
}

enum vaemark_status worker_property(struct worker *worker, const char *key, int64_t *value, struct error *error) {
    return ask(worker, "property", json_pack("{s:s}", "key", key), read_property, value, error);
}

static enum vaemark_status read_plan(const json_t *answer, void *out, struct error *error) {
    struct worker_plan *plan = out;
    const json_t *image;
    struct segment_tensor tensor;
    enum vaemark_status status = wire_bytes_read(answer, "planned_bytes", plan->planned_bytes, error);
    if (status == VAEMARK_OK)
        status = wire_object(answer, "image", &image, error);
    if (status == VAEMARK_OK)
        status = wire_tensor_read(image, false, false, &tensor, error);
    if (status != VAEMARK_OK)
        return status;
    plan->image_dtype = tensor.dtype;
    plan->image_rank = tensor.rank;
    memcpy(plan->image_shape, tensor.shape, sizeof plan->image_shape);
    return VAEMARK_OK;
}

enum vaemark_status worker_prepare(struct worker *worker, const struct segment_tensor *inputs, size_t input_count,
                                   struct worker_plan *plan, struct error *error) {
    json_t *list = json_array();
    for (size_t i = 0; i < input_count; i++)
        json_array_append_new(list, wire_tensor_write(&inputs[i], false));
    memset(plan, 0, sizeof *plan);
    return ask(worker, "prepare", json_pack("{s:o}", "inputs", list), read_plan, plan, error);
}

static json_t *decode_request(const struct worker_decode *decode) {
    json_t *sets = json_array(), *keep = json_array();
    for (size_t i = 0; i < decode->set_count; i++) {
        json_t *set = json_array();
        for (size_t j = 0; j < decode->inputs_per_set; j++)
            json_array_append_new(set, wire_tensor_write(&decode->sets[i][j], true));
        json_array_append_new(sets, set);
    }
    for (size_t i = 0; i < decode->keep_count; i++)
        json_array_append_new(keep, json_pack("{s:I, s:I}", "sample", (json_int_t)decode->keep[i], "offset",
                                              (json_int_t)decode->keep_offsets[i]));
    return json_pack("{s:o, s:I, s:I, s:o, s:o}", "sets", sets, "count", (json_int_t)decode->count,
                     "decodes_per_sample", (json_int_t)decode->decodes_per_sample, "image",
                     wire_tensor_write(&decode->image, true), "keep", keep);
}

static enum vaemark_status read_sample(const json_t *item, struct worker_sample *sample, struct error *error) {
    const struct {
        const char *key;
        int64_t *value;
    } counters[] = {
        {"cpu_ns", &sample->cpu_ns},
        {"run_delay_ns", &sample->run_delay_ns},
        {"involuntary_switches", &sample->involuntary_switches},
        {"minor_faults", &sample->minor_faults},
        {"major_faults", &sample->major_faults},
        {"steal_ns", &sample->steal_ns},
    };
    const char *hash;
    enum vaemark_status status = wire_integer(item, "wall_ns", 0, INT64_MAX, &sample->wall_ns, error);
    for (size_t i = 0; status == VAEMARK_OK && i < sizeof counters / sizeof counters[0]; i++)
        status = wire_integer_or(item, counters[i].key, -1, INT64_MAX, -1, counters[i].value, error);
    if (status == VAEMARK_OK)
        status = wire_text(item, "output_hash", &hash, error);
    if (status != VAEMARK_OK)
        return status;
    if (strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'output_hash' is no SHA-256 in lower-case hex");
    memcpy(sample->output_hash, hash, sizeof sample->output_hash);
    return VAEMARK_OK;
}

static enum vaemark_status read_samples(const json_t *answer, void *out, struct error *error) {
    struct worker_decode *decode = out;
    const json_t *samples = NULL;
    enum vaemark_status status =
        wire_array(answer, "samples", (size_t)decode->count, (size_t)decode->count, &samples, error);
    for (size_t i = 0; status == VAEMARK_OK && i < (size_t)decode->count; i++)
        status = read_sample(json_array_get(samples, i), &decode->samples[i], error);
    return status;
}

enum vaemark_status worker_decode(struct worker *worker, struct worker_decode *decode, struct error *error) {
    if (decode->count < 1 || decode->count > WIRE_MAX_SAMPLES || decode->set_count < 1)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "one decode message takes 1 to %d samples, not %lld",
                         (int)WIRE_MAX_SAMPLES, (long long)decode->count);
    json_t *request = decode_request(decode);
    int64_t start_ns = clock_monotonic_ns();
    enum vaemark_status status = ask(worker, "decode", request, read_samples, decode, error);
    decode->outside_ns = clock_monotonic_ns() - start_ns;
    return status;
}

static enum vaemark_status read_memory(const json_t *answer, void *out, struct error *error) {
    struct worker_memory *memory = out;
    int64_t peak_total_bytes = 0;
    const char *hash = "";
    enum vaemark_status status = wire_bytes_read(answer, "current_bytes", memory->current_bytes, error);
    if (status == VAEMARK_OK)
        status = wire_bytes_read(answer, "peak_bytes", memory->peak_bytes, error);
    if (status == VAEMARK_OK)
        status = wire_bytes_read(answer, "allocated_bytes", memory->allocated_bytes, error);
    if (status == VAEMARK_OK)
        status = wire_bytes_read(answer, "planned_bytes", memory->planned_bytes, error);
    if (status == VAEMARK_OK)
        status = wire_integer_or(answer, "peak_total_bytes", 0, INT64_MAX, 0, &peak_total_bytes, error);
    if (status == VAEMARK_OK)
        status =
            wire_integer_or(answer, "device_current_bytes", -1, INT64_MAX, -1, &memory->device_current_bytes, error);
    if (status == VAEMARK_OK)
        status = wire_integer_or(answer, "device_peak_bytes", -1, INT64_MAX, -1, &memory->device_peak_bytes, error);
    if (status == VAEMARK_OK)
        status = wire_boolean_or(answer, "guards_intact", true, &memory->guards_intact, error);
    if (status == VAEMARK_OK)
        status = wire_boolean_or(answer, "host_allocator", false, &memory->host_allocator, error);
    if (status == VAEMARK_OK)
        status = wire_text_or(answer, "weights_hash", "", &hash, error);
    if (status != VAEMARK_OK)
        return status;
    memory->peak_total_bytes = (uint64_t)peak_total_bytes;
    snprintf(memory->weights_hash, sizeof memory->weights_hash, "%s", hash);
    return VAEMARK_OK;
}

/* close answers as memory does; an external worker's figures are its own word, whatever it says. */
static enum vaemark_status ask_memory(struct worker *worker, const char *type, json_t *request,
                                      struct worker_memory *memory, struct error *error) {
    struct worker_memory read = {.peak_total_bytes = 0};
    enum vaemark_status status = ask(worker, type, request, read_memory, &read, error);
    if (status != VAEMARK_OK)
        return status;
    read.host_allocator = read.host_allocator && !worker->external;
    if (memory)
        *memory = read;
    return VAEMARK_OK;
}

enum vaemark_status worker_memory(struct worker *worker, bool reset, struct worker_memory *memory,
                                  struct error *error) {
    return ask_memory(worker, "memory", json_pack("{s:b}", "reset", (int)reset), memory, error);
}

enum vaemark_status worker_close(struct worker *worker, struct worker_memory *memory, struct error *error) {
    return ask_memory(worker, "close", NULL, memory, error);
}

static enum vaemark_status read_entry(const json_t *item, struct worker_trace_entry *entry, struct error *error) {
    const char *module = NULL, *op = NULL, *kernel = NULL, *why = NULL;
    int64_t time_ns = 0, flops = 0, bytes = 0;
    enum vaemark_status status = wire_text(item, "module", &module, error);
    if (status == VAEMARK_OK)
        status = wire_text(item, "op", &op, error);
    if (status == VAEMARK_OK)
        status = wire_text_or(item, "kernel", "", &kernel, error);
    if (status == VAEMARK_OK)
        status = wire_text_or(item, "why", "", &why, error);
    if (status == VAEMARK_OK)
        status = wire_integer_or(item, "time_ns", 0, INT64_MAX, 0, &time_ns, error);
    if (status == VAEMARK_OK)
        status = wire_integer_or(item, "flops", 0, INT64_MAX, 0, &flops, error);
    if (status == VAEMARK_OK)
        status = wire_integer_or(item, "bytes", 0, INT64_MAX, 0, &bytes, error);
    if (status != VAEMARK_OK)
        return status;
    *entry = (struct worker_trace_entry){.module = strdup(module),
                                         .op = strdup(op),
                                         .kernel = strdup(kernel),
                                         .why = strdup(why),
                                         .time_ns = (uint64_t)time_ns,
                                         .flops = (uint64_t)flops,
                                         .bytes = (uint64_t)bytes};
    return VAEMARK_OK;
}

static enum vaemark_status read_trace(const json_t *answer, void *out, struct error *error) {
    struct worker_trace *trace = out;
    const json_t *entries = NULL;
    enum vaemark_status status = wire_array(answer, "entries", 0, SIZE_MAX, &entries, error);
    if (status != VAEMARK_OK || json_array_size(entries) == 0)
        return status;
    trace->entries = calloc(json_array_size(entries), sizeof *trace->entries);
    for (size_t i = 0; trace->entries && status == VAEMARK_OK && i < json_array_size(entries); i++) {
        trace->count = i + 1;
        status = read_entry(json_array_get(entries, i), &trace->entries[i], error);
    }
    return status;
}

enum vaemark_status worker_trace(struct worker *worker, struct worker_trace *trace, struct error *error) {
    *trace = (struct worker_trace){.count = 0};
    enum vaemark_status status = ask(worker, "trace", NULL, read_trace, trace, error);
    if (status != VAEMARK_OK)
        worker_trace_free(trace);
    return status;
}

void worker_trace_free(struct worker_trace *trace) {
    for (size_t i = 0; trace && i < trace->count; i++) {
        free(trace->entries[i].module);
        free(trace->entries[i].op);
        free(trace->entries[i].kernel);
        free(trace->entries[i].why);
    }
    if (trace)
        free(trace->entries);
    if (trace)
        *trace = (struct worker_trace){.count = 0};
}
