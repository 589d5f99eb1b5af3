/* The messages of a worker but decode. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/worker/resident.h"
#include "harness/worker/serve_internal.h"
#include "reference/tensor.h"

static enum vaemark_status check_versions(const json_t *request, struct error *error) {
    const json_t *versions;
    enum vaemark_status status = wire_array(request, "versions", 1, 64, &versions, error);
    if (status != VAEMARK_OK)
        return status;
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *version = json_array_get(versions, i);
        if (json_is_integer(version) && json_integer_value(version) == WIRE_VERSION)
            return VAEMARK_OK;
    }
    return error_set(error, VAEMARK_INVALID_ARGUMENT, "this worker speaks version %d of the protocol alone",
                     (int)WIRE_VERSION);
}

static json_t *probe_facts(const struct vaemark_probe *probe) {
    json_t *facts = json_object();
    for (size_t i = 0; i < probe->fact_count; i++)
        json_object_set_new(facts, probe->facts[i].key, wire_text_write(probe->facts[i].value));
    return facts;
}

static json_t *probe_unsupported(const struct vaemark_probe *probe) {
    json_t *array = json_array();
    for (size_t i = 0; i < probe->unsupported_count; i++)
        json_array_append_new(array, json_pack("{s:o, s:o, s:o}", "vae_type",
                                               wire_text_or_null(probe->unsupported[i].vae_type), "option",
                                               wire_text_or_null(probe->unsupported[i].option), "reason",
                                               wire_text_or_null(probe->unsupported[i].reason)));
    return array;
}

/* What does not come from the host: its share of the limit. A sanitizer's shadow and quarantine take more. */
#if defined(__SANITIZE_ADDRESS__)
enum { RESERVE_DIVISOR = 3 };
#else
enum { RESERVE_DIVISOR = 16 };
#endif

/* The keeper ends us above the limit. Before that the decoder is to be refused memory, and can say so itself: what the
 * process holds already and the reserve stay free. */
static enum vaemark_status set_memory_limit(struct server *server, const json_t *request, struct error *error) {
    int64_t limit_bytes = 0;
    enum vaemark_status status = wire_integer_or(request, "memory_limit_bytes", 1, INT64_MAX, 0, &limit_bytes, error);
    if (status != VAEMARK_OK || limit_bytes == 0)
        return status;
    uint64_t limit = (uint64_t)limit_bytes,
             taken = resident_of(getpid(), server->segment_size_bytes) + limit / RESERVE_DIVISOR;
    struct host_limit host_limit = {.live_bytes = taken < limit / 2 ? limit - taken : limit / 2,
                                    .process_bytes = limit - limit / RESERVE_DIVISOR,
                                    .segment_size_bytes = server->segment_size_bytes};
    host_set_limit(server->host, &host_limit);
    return VAEMARK_OK;
}

enum vaemark_status serve_hello(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    enum vaemark_status status = check_versions(request, error);
    if (status == VAEMARK_OK)
        status = set_memory_limit(server, request, error);
    if (status != VAEMARK_OK)
        return status;
    struct vaemark_probe probe = {.struct_size = sizeof probe, .reason = ""};
    struct vaemark_message message = {.text = ""};
    status = serve_backend_error(server->backend->probe(&probe, &message), &message, error);
    if (status != VAEMARK_OK)
        return status;
    server->greeted = true;
    json_object_set_new(answer, "version", json_integer(WIRE_VERSION));
    json_object_set_new(answer, "program", wire_text_write("vaemark " VAEMARK_VERSION));
    json_object_set_new(answer, "backend", wire_text_write(server->backend->name));
    json_object_set_new(answer, "description", wire_text_write(server->backend->description));
    json_object_set_new(answer, "available", json_boolean(probe.available));
    json_object_set_new(answer, "reason", wire_text_write(probe.reason ? probe.reason : ""));
    json_object_set_new(answer, "deterministic", json_boolean(probe.deterministic));
    json_object_set_new(answer, "facts", probe_facts(&probe));
    json_object_set_new(answer, "unsupported", probe_unsupported(&probe));
    return VAEMARK_OK;
}

static enum vaemark_status check_open(const struct server *server, struct error *error) {
    return server->decoder ? VAEMARK_OK
                           : error_set(error, VAEMARK_INVALID_ARGUMENT, "no decoder is open: send open first");
}

static enum vaemark_status read_options(const json_t *request, struct vaemark_option *items, size_t *count,
                                        struct error *error) {
    const json_t *options = json_object_get(request, "options");
    const char *key;
    json_t *value;
    *count = 0;
    if (!options)
        return VAEMARK_OK;
    enum vaemark_status status = wire_object(request, "options", &options, error);
    if (status == VAEMARK_OK && json_object_size(options) > WIRE_MAX_OPTIONS)
        status = error_set(error, VAEMARK_INVALID_ARGUMENT, "more than %d options", (int)WIRE_MAX_OPTIONS);
    if (status != VAEMARK_OK)
        return status;
    json_object_foreach((json_t *)(uintptr_t)options, key, value) {
        status = wire_option_read(key, value, &items[*count], error);
        if (status != VAEMARK_OK)
            return status;
        ++*count;
    }
    return VAEMARK_OK;
}

/* Gives the opened model and decoder to the server, or takes nothing. */
static enum vaemark_status open_decoder(struct server *server, const struct vaemark_options *options,
                                        struct error *error) {
    server->abi = model_abi(server->model);
    struct vaemark_message message = {.text = ""};
    struct vaemark_decoder *decoder = NULL;
    host_reset_peaks(server->host);
    enum vaemark_status status = serve_backend_error(
        server->backend->open(host_abi(server->host), &server->abi, options, &decoder, &message), &message, error);
    if (status != VAEMARK_OK)
        return status;
    if (!decoder)
        return error_set(error, VAEMARK_INTERNAL, "the backend opened the model, but gave no decoder");
    server->decoder = decoder;
    return VAEMARK_OK;
}

enum vaemark_status serve_open(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    const char *name, *config_path, *weights_path;
    struct vaemark_option items[WIRE_MAX_OPTIONS];
    struct vaemark_options options = {.items = items};
    (void)answer;
    if (server->decoder)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "a decoder is open already: send close first");
    enum vaemark_status status = wire_text(request, "model", &name, error);
    if (status == VAEMARK_OK)
        status = wire_text(request, "config", &config_path, error);
    if (status == VAEMARK_OK)
        status = wire_text(request, "weights", &weights_path, error);
    if (status == VAEMARK_OK)
        status = read_options(request, items, &options.count, error);
    if (status == VAEMARK_OK)
        status = model_open(config_path, weights_path, name, &server->model, error);
    if (status == VAEMARK_OK)
        status = open_decoder(server, &options, error);
    if (status != VAEMARK_OK)
        serve_close_decoder(server);
    return status;
}

void serve_close_decoder(struct server *server) {
    if (server->decoder)
        server->backend->close(server->decoder);
    server->decoder = NULL;
    model_free(server->model);
    server->model = NULL;
}

enum vaemark_status serve_option(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    const char *key;
    struct vaemark_option option;
    struct vaemark_message message = {.text = ""};
    (void)answer;
    enum vaemark_status status = check_open(server, error);
    if (status == VAEMARK_OK)
        status = wire_text(request, "key", &key, error);
    if (status == VAEMARK_OK)
        status = wire_option_read("value", json_object_get(request, "value"), &option, error);
    if (status != VAEMARK_OK)
        return status;
    option.key = key;
    return serve_backend_error(server->backend->set_option(server->decoder, &option, &message), &message, error);
}

enum vaemark_status serve_property(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    const char *key;
    struct vaemark_option option = {.key = ""};
    struct vaemark_message message = {.text = ""};
    enum vaemark_status status = check_open(server, error);
    if (status == VAEMARK_OK)
        status = wire_text(request, "key", &key, error);
    if (status == VAEMARK_OK)
        status = serve_backend_error(server->backend->get_property(server->decoder, key, &option, &message), &message,
                                     error);
    if (status != VAEMARK_OK)
        return status;
    json_t *value = wire_option_write(&option);
    if (!value)
        return error_set(error, VAEMARK_INTERNAL, "the value of property '%.64s' is no number and no UTF-8 text", key);
    json_object_set_new(answer, "value", value);
    return VAEMARK_OK;
}

static enum vaemark_status read_planned(struct server *server, struct vaemark_memory *memory, struct error *error) {
    struct vaemark_message message = {.text = ""};
    *memory = (struct vaemark_memory){.struct_size = sizeof *memory};
    if (!server->decoder)
        return VAEMARK_OK;
    return serve_backend_error(server->backend->memory(server->decoder, memory, &message), &message, error);
}

enum vaemark_status serve_prepare(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    const json_t *array = NULL;
    struct segment_tensor places[WIRE_MAX_INPUTS];
    struct vaemark_tensor inputs[WIRE_MAX_INPUTS], image = {.name = "image"};
    struct vaemark_message message = {.text = ""};
    enum vaemark_status status = check_open(server, error);
    if (status == VAEMARK_OK)
        status = wire_array(request, "inputs", 1, WIRE_MAX_INPUTS, &array, error);
    size_t count = status == VAEMARK_OK ? json_array_size(array) : 0;
    for (size_t i = 0; status == VAEMARK_OK && i < count; i++) {
        status = wire_tensor_read(json_array_get(array, i), true, false, &places[i], error);
        if (status == VAEMARK_OK)
            inputs[i] = serve_tensor(&places[i], NULL);
    }
    if (status != VAEMARK_OK)
        return status;
    struct vaemark_tensors list = {.items = inputs, .count = count};
    status = serve_backend_error(server->backend->prepare(server->decoder, &list, &image, &message), &message, error);
    struct vaemark_memory memory;
    if (status == VAEMARK_OK)
        status = read_planned(server, &memory, error);
    if (status != VAEMARK_OK)
        return status;
    if (image.rank < 1 || image.rank > VAEMARK_MAX_RANK || (unsigned)image.dtype >= VAEMARK_DTYPE_COUNT)
        return error_set(error, VAEMARK_INTERNAL, "the backend planned an image of rank %d, dtype %d", image.rank,
                         (int)image.dtype);
    json_object_set_new(answer, "planned_bytes", wire_bytes_write(memory.planned_bytes));
    json_object_set_new(
        answer, "image",
        json_pack("{s:s, s:o}", "dtype", dtype_name(image.dtype), "shape", wire_shape_write(image.shape, image.rank)));
    return VAEMARK_OK;
}

enum vaemark_status serve_memory(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    struct vaemark_memory memory;
    struct host_counts counts;
    char hex[65];
    bool reset = false;
    enum vaemark_status status = wire_boolean_or(request, "reset", false, &reset, error);
    if (status == VAEMARK_OK)
        status = read_planned(server, &memory, error);
    if (status == VAEMARK_OK)
        status = host_hash_weights(server->host, hex, error);
    if (status != VAEMARK_OK)
        return status;
    host_read_counts(server->host, &counts);
    bool device = server->backend->buffer_create != NULL;
    json_object_set_new(answer, "current_bytes", wire_bytes_write(counts.current_bytes));
    json_object_set_new(answer, "peak_bytes", wire_bytes_write(counts.peak_bytes));
    json_object_set_new(answer, "peak_total_bytes", json_integer((json_int_t)counts.peak_total_bytes));
    json_object_set_new(answer, "allocated_bytes", wire_bytes_write(counts.allocated_bytes));
    json_object_set_new(answer, "planned_bytes", wire_bytes_write(memory.planned_bytes));
    json_object_set_new(answer, "device_current_bytes",
                        json_integer(device ? (json_int_t)memory.device_current_bytes : -1));
    json_object_set_new(answer, "device_peak_bytes", json_integer(device ? (json_int_t)memory.device_peak_bytes : -1));
    json_object_set_new(answer, "guards_intact", json_boolean(host_check_guards(server->host)));
    json_object_set_new(answer, "weights_hash", json_string(hex));
    json_object_set_new(answer, "host_allocator", json_true());
    if (reset)
        host_reset_peaks(server->host);
    return VAEMARK_OK;
}

enum vaemark_status serve_trace(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    struct vaemark_trace trace = {.struct_size = sizeof trace};
    struct vaemark_message message = {.text = ""};
    (void)request;
    enum vaemark_status status = check_open(server, error);
    if (status == VAEMARK_OK)
        status = serve_backend_error(server->backend->trace(server->decoder, &trace, &message), &message, error);
    if (status != VAEMARK_OK)
        return status;
    json_t *entries = json_array();
    for (size_t i = 0; i < trace.count; i++) {
        const struct vaemark_trace_entry *entry = &trace.entries[i];
        json_array_append_new(
            entries, json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "module", wire_text_write(entry->module), "op",
                               wire_text_write(entry->op), "kernel", wire_text_write(entry->kernel), "why",
                               wire_text_write(entry->why ? entry->why : ""), "time_ns", (json_int_t)entry->time_ns,
                               "flops", (json_int_t)entry->flops, "bytes", (json_int_t)entry->bytes));
    }
    json_object_set_new(answer, "entries", entries);
    return VAEMARK_OK;
}

enum vaemark_status serve_close(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    json_t *plain = json_object();
    serve_close_decoder(server);
    (void)request;
    /* What is left at the allocator now is what the decoder forgot. */
    enum vaemark_status status = serve_memory(server, plain, answer, error);
    json_decref(plain);
    return status;
}
