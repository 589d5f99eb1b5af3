/* The harness against workers that answer wrongly: never a crash, never a wait beyond the deadline, the right fate. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_worker.h"

static void set_up(void) {
    support_mark();
    worker_setup_process();
}

TestSuite(protocol, .init = set_up, .timeout = 300);

struct answer_case {
    const char *mode; /* of faults/hostile_worker.py */
    enum vaemark_status status;
    enum worker_fate_kind kind;
    const char *message; /* a part of it */
    double timeout_s;
};

static const struct answer_case cases[] = {
    {"good", VAEMARK_OK, WORKER_ALIVE, "", 60},
    {"true", VAEMARK_OK, WORKER_ALIVE, "", 60},
    {"chatters", VAEMARK_OK, WORKER_ALIVE, "", 60},
    {"typed", VAEMARK_UNKNOWN_OPTION, WORKER_ALIVE, "no such property", 60},
    {"unknown_code", VAEMARK_INTERNAL, WORKER_ALIVE, "never heard of", 60},
    {"wrong_id", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'id'", 60},
    {"text_id", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'id'", 60},
    {"no_id", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'id'", 60},
    {"no_ok", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'ok'", 60},
    {"text_ok", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'ok'", 60},
    {"no_value", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'value'", 60},
    {"real_value", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'value'", 60},
    {"text_value", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'value'", 60},
    {"not_an_object", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "no JSON object", 60},
    {"a_number", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "no JSON object", 60},
    {"empty_line", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"binary", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"nan", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"huge_number", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"huge_real", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"duplicate_key", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"bad_utf8", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"deep", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "not JSON", 60},
    {"too_long", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "a line of more than", 60},
    {"endless", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "a line of more than", 60},
    {"stale", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'id'", 60},
    {"code_ok", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'ok'", 60},
    {"no_code", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'code'", 60},
    {"error_is_text", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "'error'", 60},
    {"closes", VAEMARK_INTERNAL, WORKER_BROKE_PROTOCOL, "closed its socket", 60},
    {"partial", VAEMARK_INTERNAL, WORKER_TIMED_OUT, "no answer to property", 0.2},
    {"silent", VAEMARK_INTERNAL, WORKER_TIMED_OUT, "no answer to property", 0.2},
    {"slow_drip", VAEMARK_INTERNAL, WORKER_TIMED_OUT, "no answer to property", 0.2},
};

Test(protocol, hostile_answers) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct answer_case *c = &cases[i];
        struct error error = {.message = ""};
        char backend[1100];
        int64_t value = -1;
        cr_assert(getenv("VAEMARK_SOURCE"));
        snprintf(backend, sizeof backend, "exec:python3 -B '%s/tests/harness/faults/hostile_worker.py' %s",
                 getenv("VAEMARK_SOURCE"), c->mode);
        struct worker *worker = support_start(backend, 60.0);
        worker_set_timeout(worker, c->timeout_s);
        cr_expect_eq(worker_property(worker, "fuse_qkv.modules", &value, &error), c->status, "%s: %s", c->mode,
                     error.message);
        cr_expect_eq(worker_fate(worker)->kind, c->kind, "%s: %s", c->mode, worker_fate(worker)->reason);
        cr_expect(strstr(error.message, c->message), "%s: %s", c->mode, error.message);
        cr_expect_eq(value, c->status == VAEMARK_OK ? 1 : -1, "%s", c->mode);
        worker_stop(worker);
    }
    cr_expect_eq(support_count_marked(), 0, "processes are left behind");
}

/* What an external worker says of its memory is its word, however it calls it. */
Test(protocol, external_figures_are_not_the_hosts) {
    struct error error;
    struct worker_memory memory;
    char backend[1100];
    cr_assert(getenv("VAEMARK_BINARY"));
    snprintf(backend, sizeof backend, "exec:'%s' serve --backend cpu", getenv("VAEMARK_BINARY"));
    struct worker *outside = support_start(backend, 60.0), *inside = support_start("cpu", 60.0);
    cr_expect_eq(worker_memory(outside, false, &memory, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_not(memory.host_allocator);
    cr_expect_eq(worker_memory(inside, false, &memory, &error), VAEMARK_OK, "%s", error.message);
    cr_expect(memory.host_allocator);
    worker_stop(outside);
    worker_stop(inside);
    cr_expect_eq(support_count_marked(), 0, "processes are left behind");
}
