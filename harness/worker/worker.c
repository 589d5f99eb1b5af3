/* Starting and stopping workers, and hello. */
#include "harness/worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/worker/memory_limit.h"
#include "harness/worker/worker_internal.h"

static const double DEFAULT_TIMEOUT_S = 60.0, LONGEST_TIMEOUT_S = 1e7;
/* How long a worker that was told bye may take to go; a sanitizer looks for leaks in that time. */
static const double BYE_TIMEOUT_S = 2.0, EXIT_TIMEOUT_S = 5.0;

void worker_set_timeout(struct worker *worker, double timeout_s) {
    if (!(timeout_s > 0.0))
        timeout_s = DEFAULT_TIMEOUT_S;
    worker->timeout_s = timeout_s < LONGEST_TIMEOUT_S ? timeout_s : LONGEST_TIMEOUT_S;
}

static void copy_text(char *target, size_t size_bytes, const char *text) {
    snprintf(target, size_bytes, "%s", text);
}

static enum vaemark_status read_facts(const json_t *answer, json_t **facts, struct error *error) {
    const json_t *object = NULL;
    const char *key, *text;
    json_t *value;
    *facts = json_object();
    if (!json_object_get(answer, "facts"))
        return VAEMARK_OK;
    enum vaemark_status status = wire_object(answer, "facts", &object, error);
    if (status != VAEMARK_OK)
        return status;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        status = wire_text(object, key, &text, error);
        if (status != VAEMARK_OK)
            return status;
        json_object_set(*facts, key, value);
    }
    return VAEMARK_OK;
}

static enum vaemark_status read_unsupported(const json_t *answer, json_t **unsupported, struct error *error) {
    static const char *const keys[] = {"vae_type", "option", "reason"};
    const json_t *array = NULL;
    *unsupported = json_array();
    if (!json_object_get(answer, "unsupported"))
        return VAEMARK_OK;
    enum vaemark_status status = wire_array(answer, "unsupported", 0, 1024, &array, error);
    for (size_t i = 0; status == VAEMARK_OK && i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        json_t *row = json_object();
        for (size_t j = 0; status == VAEMARK_OK && j < 3; j++) {
            json_t *value = json_object_get(item, keys[j]);
            if (value && !json_is_null(value) && !json_is_string(value))
                status =
                    error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'unsupported': %s must be text or null", keys[j]);
            json_object_set(row, keys[j], value ? value : json_null());
        }
        json_array_append_new(*unsupported, row);
    }
    return status;
}

static enum vaemark_status read_hello(const json_t *answer, struct worker_hello *hello, struct error *error) {
    const char *backend = NULL, *description = NULL, *program = NULL, *reason = NULL;
    int64_t version;
    enum vaemark_status status = wire_integer(answer, "version", WIRE_VERSION, WIRE_VERSION, &version, error);
    if (status == VAEMARK_OK)
        status = wire_text(answer, "backend", &backend, error);
    if (status == VAEMARK_OK)
        status = wire_text_or(answer, "description", "", &description, error);
    if (status == VAEMARK_OK)
        status = wire_text_or(answer, "program", "", &program, error);
    if (status == VAEMARK_OK)
        status = wire_text_or(answer, "reason", "", &reason, error);
    if (status == VAEMARK_OK)
        status = wire_boolean_or(answer, "available", true, &hello->available, error);
    if (status == VAEMARK_OK)
        status = wire_boolean_or(answer, "deterministic", false, &hello->deterministic, error);
    if (status == VAEMARK_OK)
        status = read_facts(answer, &hello->facts, error);
    if (status == VAEMARK_OK)
        status = read_unsupported(answer, &hello->unsupported, error);
    if (status != VAEMARK_OK)
        return status;
    copy_text(hello->backend, sizeof hello->backend, backend);
    copy_text(hello->description, sizeof hello->description, description);
    copy_text(hello->version, sizeof hello->version, program);
    copy_text(hello->reason, sizeof hello->reason, reason);
    return VAEMARK_OK;
}

static enum vaemark_status say_hello(struct worker *worker, struct error *error) {
    json_t *answer = NULL;
    json_t *request = json_pack("{s:[i]}", "versions", (int)WIRE_VERSION);
    if (worker->process.memory_limit_bytes != MEMORY_LIMIT_NONE)
        json_object_set_new(request, "memory_limit_bytes",
                            json_integer((json_int_t)worker->process.memory_limit_bytes));
    enum vaemark_status status = worker_request(worker, "hello", request, &answer, error);
    if (status != VAEMARK_OK)
        return status;
    struct error found = {.status = VAEMARK_OK};
    if (read_hello(answer, &worker->hello, &found) != VAEMARK_OK) {
        status = worker_break(worker, "hello", &found);
        if (error)
            *error = found;
    }
    json_decref(answer);
    return status;
}

static enum vaemark_status spawn(struct worker *worker, const struct worker_start *start, struct error *error) {
    int sockets[2];
    char **command = NULL;
    enum vaemark_status status = worker_command_make(start->backend, &command, error);
    if (status == VAEMARK_OK)
        status = segment_create(start->segment_size_bytes, &worker->segment, error);
    if (status == VAEMARK_OK && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        status = error_set(error, VAEMARK_IO_ERROR, "cannot make a worker's socket: %s", strerror(errno));
    if (status == VAEMARK_OK) {
        worker->socket_fd = sockets[0];
        uint64_t limit_bytes = start->memory_limit_bytes ? start->memory_limit_bytes : memory_limit_default();
        struct worker_process_start process = {.command = command,
                                               .socket_fd = sockets[1],
                                               .segment_fd = segment_fd(worker->segment),
                                               .stderr_path = start->stderr_path,
                                               .memory_limit_bytes = limit_bytes};
        status = worker_process_spawn(&worker->process, &process, error);
        close(sockets[1]);
    }
    worker_command_free(command);
    return status;
}

static void worker_free(struct worker *worker) {
    worker_process_end(&worker->process);
    if (worker->socket_fd >= 0)
        close(worker->socket_fd);
    line_buffer_free(&worker->input);
    segment_free(worker->segment);
    json_decref(worker->hello.facts);
    json_decref(worker->hello.unsupported);
    free(worker);
}

enum vaemark_status worker_start(const struct worker_start *start, struct worker **worker, struct worker_fate *fate,
                                 struct error *error) {
    *worker = NULL;
    if (fate)
        *fate = (struct worker_fate){.kind = WORKER_ALIVE};
    struct worker *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a worker");
    made->socket_fd = -1;
    made->process = (struct worker_process){.leash_fd = -1, .stderr_fd = -1, .log_fd = -1};
    made->external = strncmp(start->backend, "exec:", 5) == 0;
    worker_set_timeout(made, start->timeout_s);
    enum vaemark_status status = spawn(made, start, error);
    if (status == VAEMARK_OK)
        status = say_hello(made, error);
    if (status == VAEMARK_OK) {
        *worker = made;
        return VAEMARK_OK;
    }
    if (made->command_missing)
        status = error_set_at(error, VAEMARK_UNAVAILABLE, start->backend, "this worker cannot be started: %s",
                              strerror(made->process.exec_errno));
    else if (fate)
        *fate = made->fate;
    worker_free(made);
    return status;
}

void worker_stop(struct worker *worker) {
    if (!worker)
        return;
    if (worker->fate.kind == WORKER_ALIVE) {
        json_t *answer = NULL;
        worker_set_timeout(worker, BYE_TIMEOUT_S);
        if (worker_request(worker, "bye", NULL, &answer, NULL) == VAEMARK_OK)
            worker_wait_exit(worker, clock_monotonic_ns() + (int64_t)(EXIT_TIMEOUT_S * 1e9));
        json_decref(answer);
    }
    worker_free(worker);
}

const struct worker_hello *worker_hello(const struct worker *worker) {
    return &worker->hello;
}

struct segment *worker_segment(struct worker *worker) {
    return worker->segment;
}

const struct worker_fate *worker_fate(const struct worker *worker) {
    return &worker->fate;
}

int worker_pid(const struct worker *worker) {
    return worker->process.worker_pid;
}

int64_t worker_rss_bytes(struct worker *worker) {
    if (worker->process.worker_pid <= 0) {
        worker_process_read_reports(&worker->process); /* the keeper may have told by now */
    }
    worker_process_read_rss(&worker->process);
    return worker->process.rss_bytes > 0 ? worker->process.rss_bytes : -1;
}

int64_t worker_rss_peak_bytes(const struct worker *worker) {
    return worker->process.rss_peak_bytes;
}
