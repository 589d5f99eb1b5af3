/* One request and its answer, with a deadline, from a peer that may do anything. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/text.h"
#include "harness/worker/worker_internal.h"

/* How long a worker that closed its socket may take to end. */
static const int64_t FAREWELL_NS = (int64_t)2 * 1000000000;

enum wait_result { WAIT_READY, WAIT_GONE, WAIT_TIMEOUT };

void worker_set_fate(struct worker *worker, enum worker_fate_kind kind, const char *format, ...) {
    if (worker->fate.kind != WORKER_ALIVE)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(worker->fate.reason, sizeof worker->fate.reason, format, arguments);
    va_end(arguments);
    worker->fate.kind = kind;
    char words[200];
    worker_process_drain_stderr(&worker->process);
    worker_process_end(&worker->process);
    worker_process_last_words(&worker->process, words, sizeof words);
    size_t length = strlen(worker->fate.reason);
    if (words[0])
        snprintf(worker->fate.reason + length, sizeof worker->fate.reason - length, "; its last words: %s", words);
}

static void set_over_limit(struct worker *worker, const char *type) {
    char held[32], limit[32];
    const struct worker_process *process = &worker->process;
    worker_set_fate(worker, WORKER_OUT_OF_MEMORY, "resident set %s over the limit of %s during %s",
                    text_format_bytes((double)process->over_limit_bytes, held, sizeof held),
                    text_format_bytes((double)process->memory_limit_bytes, limit, sizeof limit), type);
}

/* The kernel sends the very signal that anybody may send, but it also counts. */
static bool was_oom_killed(const struct worker_process *process) {
    bool killed = !process->exited || (WIFSIGNALED(process->wait_status) && WTERMSIG(process->wait_status) == SIGKILL);
    return killed && worker_process_saw_oom_kill(process);
}

/* The process ended though an answer was due. */
static void set_ended(struct worker *worker, const char *type) {
    struct worker_process *process = &worker->process;
    if (process->over_limit_bytes > 0) {
        set_over_limit(worker, type);
    } else if (process->exec_errno == 0 && was_oom_killed(process)) {
        worker_set_fate(worker, WORKER_OUT_OF_MEMORY, "killed by the kernel's out-of-memory killer during %s", type);
    } else if (process->exec_errno != 0) {
        worker->command_missing = true;
        worker_set_fate(worker, WORKER_CRASHED, "it could not be started: %s", strerror(process->exec_errno));
    } else if (!process->exited) {
        worker_set_fate(worker, WORKER_CRASHED, "its keeper was killed during %s", type);
    } else if (WIFSIGNALED(process->wait_status)) {
        worker->fate.signal = WTERMSIG(process->wait_status);
        worker_set_fate(worker, WORKER_CRASHED, "killed by signal %d (%s) during %s", worker->fate.signal,
                        strsignal(worker->fate.signal), type);
    } else {
        worker->fate.exit_code = WEXITSTATUS(process->wait_status);
        worker_set_fate(worker, WORKER_CRASHED, "ended by itself with exit code %d during %s", worker->fate.exit_code,
                        type);
    }
}

static int milliseconds_left(int64_t deadline_ns) {
    int64_t left_ns = deadline_ns - clock_monotonic_ns();
    if (left_ns <= 0)
        return 0;
    int64_t left_ms = left_ns / 1000000 + 1;
    return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

static bool process_ended(const struct worker_process *process) {
    return process->exited || process->leash_dropped || process->exec_errno != 0 || process->over_limit_bytes > 0;
}

/* Waits until the socket is ready for `events` (0: for nothing), the worker is gone, or the time is up. Meanwhile
 * stderr is drained: a worker that talks too much must not stop. */
static enum wait_result wait_for(struct worker *worker, short events, int64_t deadline_ns) {
    struct worker_process *process = &worker->process;
    for (;;) {
        /* poll() passes over negative descriptors. */
        struct pollfd polled[3] = {{.fd = events ? worker->socket_fd : -1, .events = events},
                                   {.fd = process->leash_dropped ? -1 : process->leash_fd, .events = POLLIN},
                                   {.fd = process->stderr_fd, .events = POLLIN}};
        /* Its end may have been reported together with the last bytes: nothing more is to be waited for then. */
        int timeout_ms = process_ended(process) ? 0 : milliseconds_left(deadline_ns);
        int ready = poll(polled, 3, timeout_ms);
        if (ready < 0 && errno != EINTR)
            return WAIT_TIMEOUT;
        if (ready > 0 && polled[2].revents)
            worker_process_drain_stderr(process);
        if (ready > 0 && polled[1].revents)
            worker_process_read_reports(process);
        if (ready > 0 && polled[0].revents)
            return WAIT_READY;
        if (process_ended(process))
            return WAIT_GONE;
        if (timeout_ms == 0)
            return WAIT_TIMEOUT;
    }
}

void worker_wait_exit(struct worker *worker, int64_t deadline_ns) {
    (void)wait_for(worker, 0, deadline_ns);
}

static void set_timed_out(struct worker *worker, const char *type) {
    worker_set_fate(worker, WORKER_TIMED_OUT, "no answer to %s within %.3g s", type, worker->timeout_s);
}

static bool send_line(struct worker *worker, const char *type, const char *line, size_t length, int64_t deadline_ns) {
    while (length > 0) {
        ssize_t sent = send(worker->socket_fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            line += sent;
            length -= (size_t)sent;
            continue;
        }
        enum wait_result waited = WAIT_READY;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            waited = wait_for(worker, POLLOUT, deadline_ns);
        } else {
            /* The other end is closed: how the process ended says more. */
            int64_t farewell_ns = clock_monotonic_ns() + FAREWELL_NS;
            waited = wait_for(worker, 0, farewell_ns < deadline_ns ? farewell_ns : deadline_ns);
            if (waited == WAIT_TIMEOUT) {
                worker_set_fate(worker, WORKER_BROKE_PROTOCOL, "it closed its socket before %s", type);
                return false;
            }
        }
        if (waited == WAIT_GONE)
            set_ended(worker, type);
        else if (waited == WAIT_TIMEOUT)
            set_timed_out(worker, type);
        if (waited != WAIT_READY)
            return false;
    }
    return true;
}

/* Reads what is there. False at the end of the stream. */
static bool receive_some(struct worker *worker) {
    size_t room_bytes = 0;
    char *room = line_buffer_room(&worker->input, &room_bytes);
    if (!room)
        return false;
    ssize_t got = recv(worker->socket_fd, room, room_bytes, MSG_DONTWAIT);
    if (got > 0)
        line_buffer_added(&worker->input, (size_t)got);
    return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK));
}

/* The worker has ended: what it wrote before is still to be read. */
static char *take_last_line(struct worker *worker, size_t *length) {
    for (;;) {
        char *line = line_buffer_take(&worker->input, length);
        size_t before = worker->input.used;
        if (line || line_buffer_overlong(&worker->input) || !receive_some(worker) || worker->input.used == before)
            return line;
    }
}

/* The next line; NULL when there is none and the fate is set. */
static char *receive_line(struct worker *worker, const char *type, size_t *length, int64_t deadline_ns) {
    bool open = true;
    for (;;) {
        char *line = line_buffer_take(&worker->input, length);
        if (line)
            return line;
        if (line_buffer_overlong(&worker->input)) {
            worker_set_fate(worker, WORKER_BROKE_PROTOCOL, "its answer to %s is a line of more than %zu bytes", type,
                            WIRE_LINE_LIMIT_BYTES);
            return NULL;
        }
        enum wait_result waited = wait_for(worker, open ? POLLIN : 0, deadline_ns);
        if (waited == WAIT_GONE) {
            line = take_last_line(worker, length);
            if (!line)
                set_ended(worker, type);
            return line;
        }
        if (waited == WAIT_TIMEOUT) {
            if (open)
                set_timed_out(worker, type);
            else
                worker_set_fate(worker, WORKER_BROKE_PROTOCOL, "it closed its socket during %s", type);
            return NULL;
        }
        if (!receive_some(worker)) {
            open = false;
            int64_t farewell_ns = clock_monotonic_ns() + FAREWELL_NS;
            deadline_ns = farewell_ns < deadline_ns ? farewell_ns : deadline_ns;
        }
    }
}

static enum vaemark_status gone(const struct worker *worker, struct error *error) {
    bool memory = worker->fate.kind == WORKER_OUT_OF_MEMORY;
    return error_set(error, memory ? VAEMARK_OUT_OF_MEMORY : VAEMARK_INTERNAL, "the worker is gone: %s",
                     worker->fate.reason);
}

enum vaemark_status worker_break(struct worker *worker, const char *type, struct error *error) {
    char what[300];
    snprintf(what, sizeof what, "%.299s", error ? error->message : "an answer that cannot be read");
    worker_set_fate(worker, WORKER_BROKE_PROTOCOL, "its answer to %s is wrong: %s", type, what);
    return gone(worker, error);
}

/* {"code", "message", "where"} as an error of ours. */
static enum vaemark_status typed_error(struct worker *worker, const char *type, const json_t *answer,
                                       struct error *error) {
    const json_t *what;
    const char *code, *message, *where;
    struct error found = {.status = VAEMARK_OK};
    enum vaemark_status status = wire_object(answer, "error", &what, &found);
    if (status == VAEMARK_OK)
        status = wire_text(what, "code", &code, &found);
    if (status == VAEMARK_OK)
        status = wire_text_or(what, "message", "", &message, &found);
    if (status == VAEMARK_OK)
        status = wire_text_or(what, "where", "", &where, &found);
    if (status == VAEMARK_OK && status_from_name(code) == VAEMARK_OK)
        status = error_set(&found, VAEMARK_INVALID_ARGUMENT, "an error with the code 'ok'");
    if (status != VAEMARK_OK) {
        worker_break(worker, type, &found);
        return gone(worker, error);
    }
    return error_set_at(error, status_from_name(code), where, "%s", message);
}

/* Reads an answer's outer part; takes `answer` over unless it is handed on. */
static enum vaemark_status check_answer(struct worker *worker, const char *type, int64_t id, json_t *answer,
                                        json_t **result, struct error *error) {
    struct error found = {.status = VAEMARK_OK};
    int64_t answered = 0;
    bool ok = false;
    enum vaemark_status status =
        json_is_object(answer) ? VAEMARK_OK : error_set(&found, VAEMARK_INVALID_ARGUMENT, "it is no JSON object");
    if (status == VAEMARK_OK)
        status = wire_integer(answer, "id", id, id, &answered, &found);
    if (status == VAEMARK_OK && !json_is_boolean(json_object_get(answer, "ok")))
        status = error_set(&found, VAEMARK_INVALID_ARGUMENT, "field 'ok' is missing, or not true or false");
    if (status == VAEMARK_OK)
        status = wire_boolean_or(answer, "ok", false, &ok, &found);
    if (status != VAEMARK_OK) {
        worker_break(worker, type, &found);
        status = gone(worker, error);
    } else if (!ok) {
        status = typed_error(worker, type, answer, error);
    } else {
        *result = answer;
        return VAEMARK_OK;
    }
    json_decref(answer);
    return status;
}

static int64_t deadline_of(const struct worker *worker) {
    return clock_monotonic_ns() + (int64_t)(worker->timeout_s * 1e9);
}

static enum vaemark_status exchange(struct worker *worker, const char *type, const char *line, size_t length,
                                    int64_t id, json_t **answer, struct error *error) {
    int64_t deadline_ns = deadline_of(worker);
    worker_process_read_reports(&worker->process);
    if (worker->process.exited || worker->process.over_limit_bytes > 0)
        set_ended(worker, type);
    char *reply = NULL;
    size_t reply_length = 0;
    if (worker->fate.kind == WORKER_ALIVE && send_line(worker, type, line, length, deadline_ns))
        reply = receive_line(worker, type, &reply_length, deadline_ns);
    if (!reply)
        return gone(worker, error);
    worker_process_read_rss(&worker->process);
    json_error_t json_error;
    json_t *parsed = json_loadb(reply, reply_length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
    if (!parsed) {
        worker_set_fate(worker, WORKER_BROKE_PROTOCOL, "its answer to %s is not JSON: %.100s", type, json_error.text);
        return gone(worker, error);
    }
    return check_answer(worker, type, id, parsed, answer, error);
}

enum vaemark_status worker_request(struct worker *worker, const char *type, json_t *request, json_t **answer,
                                   struct error *error) {
    if (!request)
        request = json_object();
    if (worker->fate.kind != WORKER_ALIVE) {
        json_decref(request);
        return gone(worker, error);
    }
    int64_t id = worker->next_id++;
    size_t length = 0;
    json_object_set_new(request, "id", json_integer(id));
    json_object_set_new(request, "type", json_string(type));
    char *line = request ? wire_line_format(request, &length) : NULL;
    json_decref(request);
    if (!line)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "a %s message is too long, or there is no memory for it",
                         type);
    enum vaemark_status status = exchange(worker, type, line, length, id, answer, error);
    free(line);
    return status;
}
