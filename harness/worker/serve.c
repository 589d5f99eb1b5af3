#include "harness/worker/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "harness/worker/serve_internal.h"

static serve_handler serve_bye;

static const struct message_type {
    const char *name;
    serve_handler *handle;
} message_types[] = {
    {"hello", serve_hello},     {"open", serve_open},     {"option", serve_option}, {"property", serve_property},
    {"prepare", serve_prepare}, {"decode", serve_decode}, {"memory", serve_memory}, {"trace", serve_trace},
    {"close", serve_close},     {"bye", serve_bye},
};
enum { MESSAGE_TYPE_COUNT = sizeof message_types / sizeof message_types[0] };

static enum vaemark_status serve_bye(struct server *server, const json_t *request, json_t *answer,
                                     struct error *error) {
    (void)request;
    (void)answer;
    (void)error;
    server->leaving = true;
    return VAEMARK_OK;
}

enum vaemark_status serve_backend_error(enum vaemark_status status, struct vaemark_message *message,
                                        struct error *error) {
    message->text[sizeof message->text - 1] = '\0';
    if (status == VAEMARK_OK)
        return VAEMARK_OK;
    if ((unsigned)status >= VAEMARK_STATUS_COUNT)
        return error_set(error, VAEMARK_INTERNAL, "the backend returned status %d, which there is not: %.900s",
                         (int)status, message->text);
    return error_set(error, status, "%s", message->text);
}

static enum vaemark_status handle(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    const char *type = NULL;
    if (!json_is_object(request))
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "a message must be a JSON object");
    int64_t id;
    enum vaemark_status status = wire_integer(request, "id", 0, INT64_MAX, &id, error);
    if (status == VAEMARK_OK)
        status = wire_text(request, "type", &type, error);
    if (status != VAEMARK_OK)
        return status;
    const char *names[MESSAGE_TYPE_COUNT + 1] = {NULL};
    for (size_t i = 0; i < MESSAGE_TYPE_COUNT; i++) {
        names[i] = message_types[i].name;
        if (strcmp(type, names[i]) != 0)
            continue;
        if (!server->greeted && message_types[i].handle != serve_hello)
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "the first message must be hello, not %s", type);
        return message_types[i].handle(server, request, answer, error);
    }
    const char *nearest = text_nearest(type, names);
    return error_set(error, VAEMARK_INVALID_ARGUMENT, "no message type is called '%.64s'%s%s", type,
                     nearest ? "; did you mean " : "", nearest ? nearest : "");
}

static json_t *error_answer(const struct error *error) {
    json_t *what = json_pack("{s:s, s:o, s:o}", "code", status_name(error->status), "message",
                             wire_text_write(error->message), "where", wire_text_write(error->where));
    return json_pack("{s:b, s:o}", "ok", 0, "error", what);
}

static enum vaemark_status send_all(int socket_fd, const char *bytes, size_t size_bytes, struct error *error) {
    while (size_bytes > 0) {
        ssize_t sent = send(socket_fd, bytes, size_bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return error_set(error, VAEMARK_IO_ERROR, "cannot write to the harness: %s", strerror(errno));
        bytes += sent;
        size_bytes -= (size_t)sent;
    }
    return VAEMARK_OK;
}

/* Takes the answer over; the request's id goes back as it came, null if it had none. */
static enum vaemark_status send_answer(int socket_fd, const json_t *request, json_t *answer, struct error *error) {
    const json_t *id = json_object_get(request, "id");
    json_object_set(answer, "id", json_is_integer(id) ? (json_t *)(uintptr_t)id : json_null());
    size_t length = 0;
    char *line = answer ? wire_line_format(answer, &length) : NULL;
    json_decref(answer);
    if (!line)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "an answer is too long, or there is no memory for it");
    enum vaemark_status status = send_all(socket_fd, line, length, error);
    free(line);
    return status;
}

/* Answers one line. An error is the connection's end; what a message did wrong is an answer. */
static enum vaemark_status answer_line(struct server *server, const char *line, size_t length, struct error *error) {
    json_error_t json_error;
    json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
    if (!request)
        return error_set(error, VAEMARK_BAD_INPUT, "the harness sent a line that is not JSON: %s", json_error.text);
    struct error failure = {.status = VAEMARK_OK};
    json_t *answer = json_pack("{s:b}", "ok", 1);
    if (handle(server, request, answer, &failure) != VAEMARK_OK) {
        json_decref(answer);
        answer = error_answer(&failure);
    }
    enum vaemark_status status = send_answer(server->socket_fd, request, answer, error);
    json_decref(request);
    return status;
}

/* The next line; *line NULL at the end of the stream. */
static enum vaemark_status read_line(int socket_fd, struct line_buffer *buffer, char **line, size_t *length,
                                     struct error *error) {
    while (!(*line = line_buffer_take(buffer, length))) {
        size_t room_bytes = 0;
        if (line_buffer_overlong(buffer))
            return error_set(error, VAEMARK_BAD_INPUT, "the harness sent a line of more than %zu bytes",
                             WIRE_LINE_LIMIT_BYTES);
        char *room = line_buffer_room(buffer, &room_bytes);
        if (!room)
            return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a message");
        ssize_t got = recv(socket_fd, room, room_bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(error, VAEMARK_IO_ERROR, "cannot read from the harness: %s", strerror(errno));
        if (got == 0)
            return VAEMARK_OK;
        line_buffer_added(buffer, (size_t)got);
    }
    return VAEMARK_OK;
}

static enum vaemark_status map_segment(struct server *server, int segment_fd, struct error *error) {
    struct stat status;
    int seals = fcntl(segment_fd, F_GET_SEALS);
    if (fstat(segment_fd, &status) != 0 || seals < 0 || !(seals & F_SEAL_SHRINK) || status.st_size <= 0)
        return error_set(error, VAEMARK_BAD_INPUT, "descriptor %d is not a memfd sealed against shrinking", segment_fd);
    size_t size_bytes = (size_t)status.st_size;
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment_fd, 0);
    if (memory == MAP_FAILED)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "cannot map %zu bytes of shared memory: %s", size_bytes,
                         strerror(errno));
    server->segment = memory;
    server->segment_size_bytes = size_bytes;
    return VAEMARK_OK;
}

static enum vaemark_status answer_all(struct server *server, struct serve_watch *watch, struct error *error) {
    struct line_buffer buffer = {.used = 0};
    enum vaemark_status status = VAEMARK_OK;
    while (status == VAEMARK_OK && !server->leaving) {
        char *line = NULL;
        size_t length = 0;
        status = read_line(server->socket_fd, &buffer, &line, &length, error);
        if (status != VAEMARK_OK || !line)
            break;
        serve_watch_busy(watch, true);
        status = answer_line(server, line, length, error);
        serve_watch_busy(watch, false);
    }
    line_buffer_free(&buffer);
    return status;
}

enum vaemark_status serve(const struct vaemark_backend *backend, int socket_fd, int segment_fd, struct error *error) {
    struct server server = {.backend = backend, .socket_fd = socket_fd, .host = host_create()};
    struct serve_watch *watch = NULL;
    enum vaemark_status status =
        server.host ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a worker");
    if (status == VAEMARK_OK)
        status = map_segment(&server, segment_fd, error);
    if (status == VAEMARK_OK)
        status = serve_watch_start(socket_fd, &watch, error);
    if (status == VAEMARK_OK)
        status = answer_all(&server, watch, error);
    serve_watch_stop(watch);
    serve_close_decoder(&server);
    host_free(server.host);
    if (server.segment)
        munmap(server.segment, server.segment_size_bytes);
    return status;
}

enum vaemark_status serve_failure(const struct error *failure, int socket_fd, struct error *error) {
    struct line_buffer buffer = {.used = 0};
    char *line = NULL;
    size_t length = 0;
    enum vaemark_status status = read_line(socket_fd, &buffer, &line, &length, error);
    if (status == VAEMARK_OK && line) {
        json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
        if (request)
            status = send_answer(socket_fd, request, error_answer(failure), error);
        json_decref(request);
    }
    line_buffer_free(&buffer);
    return status;
}
