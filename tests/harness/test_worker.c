/* Workers from the harness's side: a round trip, every way a worker can go wrong, and that nothing is left behind. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "base/hash.h"
#include "harness/worker/worker_process.h"
#include "support_worker.h"

static int descriptors_before;

static void set_up(void) {
    support_mark();
    worker_setup_process();
    descriptors_before = support_count_descriptors();
}

/* No process, no zombie, no descriptor. Every test ends with this, in its body: Criterion prints what fails after a
 * test has ended, but does not count it. */
static void expect_nothing_left(void) {
    cr_expect_eq(support_count_marked(), 0, "processes are left behind");
    cr_expect(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD, "a child or a zombie is left behind");
    cr_expect_eq(support_count_descriptors(), descriptors_before, "descriptors are left open");
}

TestSuite(worker, .init = set_up, .fini = support_model_remove, .timeout = 300);

/* Everything a run does with one decoder, once. */
Test(worker, round_trip) {
    struct error error;
    struct support_places places;
    struct worker_sample samples[3];
    struct worker_memory memory;
    struct worker_trace trace;
    char where[128], hash[65];
    struct worker *worker = support_start_open("cpu", "taesd-mini", 120.0);
    cr_expect_str_eq(worker_hello(worker)->backend, "cpu");
    cr_expect(worker_hello(worker)->available);
    support_place(worker, &places);
    const struct segment_tensor *sets[] = {&places.latents[0], &places.latents[1]};
    const int64_t keep[] = {1};
    struct worker_decode decode = {.sets = sets,
                                   .set_count = 2,
                                   .inputs_per_set = 1,
                                   .image = places.image,
                                   .count = 3,
                                   .decodes_per_sample = 2,
                                   .keep = keep,
                                   .keep_offsets = &places.kept.offset_bytes,
                                   .keep_count = 1,
                                   .samples = samples};
    cr_assert_eq(worker_decode(worker, &decode, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_str_eq(samples[0].output_hash, samples[2].output_hash, "the ring of inputs does not come round");
    cr_expect_str_neq(samples[0].output_hash, samples[1].output_hash, "other latents, same image");
    hash_bytes(segment_data(worker_segment(worker), &places.kept), places.kept.size_bytes, hash);
    cr_expect_str_eq(hash, samples[1].output_hash, "the kept image is another one");
    hash_bytes(segment_data(worker_segment(worker), &places.image), places.image.size_bytes, hash);
    cr_expect_str_eq(hash, samples[2].output_hash);
    cr_expect_eq(segment_count_poison(worker_segment(worker), &places.image), 0);
    cr_expect(segment_guards_intact(worker_segment(worker), where, sizeof where), "%s", where);
    cr_expect(samples[0].wall_ns > 0 && decode.outside_ns >= samples[0].wall_ns + samples[1].wall_ns);
    cr_assert_eq(worker_memory(worker, true, &memory, &error), VAEMARK_OK, "%s", error.message);
    cr_expect(memory.host_allocator && memory.guards_intact && memory.peak_total_bytes > 0);
    cr_assert_eq(worker_trace(worker, &trace, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_gt(trace.count, 0);
    worker_trace_free(&trace);
    cr_assert_eq(worker_close(worker, &memory, &error), VAEMARK_OK, "%s", error.message);
    for (int i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++)
        cr_expect_eq(memory.current_bytes[i], 0, "class %d is not returned", i);
    cr_expect_gt(worker_rss_peak_bytes(worker), 1 << 20);
    worker_stop(worker);
    expect_nothing_left();
}

/* A refusal in a typed answer is no accident: the worker lives and goes on. */
Test(worker, typed_errors_leave_it_alive) {
    struct error error;
    struct support_places places;
    struct worker_sample sample;
    int64_t value = -1;
    struct worker_model lost = {.name = "lost", .config_path = "/nowhere/config.json", .weights_path = "/nowhere/x"};
    struct vaemark_option fuse = {.key = "fuse_qkv", .type = VAEMARK_BOOLEAN, .value.boolean = 1};
    struct vaemark_option strange = {.key = "no_such_option", .type = VAEMARK_REAL, .value.real = 0.5};
    struct worker *worker = support_start("cpu", 120.0);
    cr_expect_eq(support_decode_once(worker, &(struct support_places){.image = {.rank = 1}}, &sample, &error),
                 VAEMARK_INVALID_ARGUMENT, "nothing is open yet");
    cr_expect_neq(worker_open(worker, &lost, NULL, &error), VAEMARK_OK);
    cr_expect(strstr(error.where, "/nowhere") || strstr(error.message, "/nowhere"), "%s", error.message);
    struct worker_model model = support_model("taesd-mini");
    cr_assert_eq(worker_open(worker, &model, NULL, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_eq(worker_set_option(worker, &fuse, &error), VAEMARK_UNSUPPORTED_OPTION, "%s", error.message);
    cr_expect(strstr(error.message, "AutoencoderTiny") && strstr(error.message, "fuse_qkv"), "%s", error.message);
    cr_expect_eq(worker_set_option(worker, &strange, &error), VAEMARK_UNKNOWN_OPTION);
    cr_expect_eq(worker_property(worker, "fuse_qkv.modules", &value, &error), VAEMARK_OK);
    cr_expect_eq(value, 0);
    support_place(worker, &places);
    cr_expect_eq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_eq(worker_fate(worker)->kind, WORKER_ALIVE);
    worker_stop(worker);
    expect_nothing_left();
}

/* A tensor that leaves the shared memory must be refused by the worker, not written. */
Test(worker, offsets_outside_are_refused) {
    struct error error;
    struct support_places places;
    struct worker_sample sample;
    struct worker *worker = support_start_open("cpu", "taesd-mini", 120.0);
    support_place(worker, &places);
    struct support_places far = places, odd = places, onto = places;
    far.image.offset_bytes = (4 << 20) - 64;
    odd.image.offset_bytes += 4;
    onto.image.offset_bytes = places.latents[0].offset_bytes;
    cr_expect_eq(support_decode_once(worker, &far, &sample, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(support_decode_once(worker, &odd, &sample, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(support_decode_once(worker, &onto, &sample, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OK, "%s", error.message);
    worker_stop(worker);
    expect_nothing_left();
}

struct fate_case {
    const char *fault;
    double timeout_s;
    enum worker_fate_kind kind;
    int signal, exit_code;
    const char *reason; /* a part of it */
};

static const struct fate_case fate_cases[] = {
    {"crash_in_decode", 120, WORKER_CRASHED, SIGSEGV, 0, "signal 11 (Segmentation fault) during decode"},
    {"killed_in_decode", 120, WORKER_CRASHED, SIGKILL, 0, "signal 9 (Killed) during decode"},
    {"exit_in_decode", 120, WORKER_CRASHED, 0, 0, "exit code 0 during decode"},
    {"hang_in_decode", 0.3, WORKER_TIMED_OUT, 0, 0, "no answer to decode within 0.3 s"},
    {"rubbish_on_socket", 120, WORKER_BROKE_PROTOCOL, 0, 0, "not JSON"},
};

/* Each accident has its own fate; later calls fail at once for the same reason. */
Test(worker, fates) {
    for (size_t i = 0; i < sizeof fate_cases / sizeof fate_cases[0]; i++) {
        const struct fate_case *c = &fate_cases[i];
        struct error error, later;
        struct support_places places;
        struct worker_sample sample;
        int64_t value;
        struct worker *worker = support_start_open(support_faulty(c->fault), "taesd-mini", 120.0);
        support_place(worker, &places);
        worker_set_timeout(worker, c->timeout_s);
        cr_expect_neq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OK, "%s", c->fault);
        const struct worker_fate *fate = worker_fate(worker);
        cr_expect_eq(fate->kind, c->kind, "%s: %s", c->fault, fate->reason);
        cr_expect_eq(fate->signal, c->signal, "%s", c->fault);
        cr_expect_eq(fate->exit_code, c->exit_code, "%s", c->fault);
        cr_expect(strstr(fate->reason, c->reason), "%s: %s", c->fault, fate->reason);
        cr_expect_eq(support_count_marked(), 0, "%s: the worker is not gone when the call returns", c->fault);
        cr_expect_eq(worker_property(worker, "fuse_qkv.modules", &value, &later), VAEMARK_INTERNAL);
        cr_expect_str_eq(later.message, error.message);
        worker_stop(worker);
    }
    expect_nothing_left();
}

/* The child of a worker counts, and nothing of either is left. */
Test(worker, over_its_memory_limit) {
    struct error error, later;
    struct support_places places;
    struct worker_sample sample;
    struct worker *worker;
    int64_t value;
    struct worker_model model = support_model("taesd-mini");
    struct worker_start start = {.backend = support_faulty("eats_in_child"),
                                 .segment_size_bytes = 4 << 20,
                                 .timeout_s = 120.0,
                                 .memory_limit_bytes = 300 << 20};
    cr_assert_eq(worker_start(&start, &worker, NULL, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(worker_open(worker, &model, NULL, &error), VAEMARK_OK, "%s", error.message);
    support_place(worker, &places);
    cr_expect_eq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OUT_OF_MEMORY);
    const struct worker_fate *fate = worker_fate(worker);
    cr_expect_eq(fate->kind, WORKER_OUT_OF_MEMORY, "%s", fate->reason);
    cr_expect(strstr(fate->reason, "over the limit of 300.0 MiB during decode"), "%s", fate->reason);
    cr_expect_gt(worker_rss_peak_bytes(worker), 300 << 20);
    cr_expect_eq(support_count_marked(), 0, "the worker is not gone when the call returns");
    cr_expect_eq(worker_property(worker, "fuse_qkv.modules", &value, &later), VAEMARK_OUT_OF_MEMORY);
    cr_expect_str_eq(later.message, error.message);
    worker_stop(worker);
    expect_nothing_left();
}

Test(worker, crash_at_open) {
    struct error error;
    struct worker_model model = support_model("taesd-mini");
    struct worker *worker = support_start(support_faulty("crash_at_open"), 120.0);
    cr_expect_neq(worker_open(worker, &model, NULL, &error), VAEMARK_OK);
    cr_expect_eq(worker_fate(worker)->kind, WORKER_CRASHED);
    cr_expect_eq(worker_fate(worker)->signal, SIGSEGV);
    worker_stop(worker);
    expect_nothing_left();
}

/* What the guards are for. */
Test(worker, stray_writes_are_seen) {
    static const char *const faults[] = {"none", "writes_past_end", "writes_before_start", "guard_overrun"};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct error error;
        struct support_places places;
        struct worker_sample sample;
        struct worker_memory memory;
        char where[128];
        struct worker *worker = support_start_open(support_faulty(faults[i]), "taesd-mini", 120.0);
        support_place(worker, &places);
        cr_assert_eq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OK, "%s", error.message);
        bool intact = segment_guards_intact(worker_segment(worker), where, sizeof where);
        cr_assert_eq(worker_memory(worker, false, &memory, &error), VAEMARK_OK, "%s", error.message);
        cr_expect_eq(intact, i == 0 || i == 3, "%s: %s", faults[i], where);
        cr_expect_eq(memory.guards_intact, i != 3, "%s", faults[i]);
        if (i == 1)
            cr_expect_str_eq(where, "past the end of tensor 'image'");
        if (i == 2)
            cr_expect_str_eq(where, "before the start of tensor 'image'");
        worker_stop(worker);
    }
    expect_nothing_left();
}

Test(worker, written_weights_change_their_hash) {
    struct error error;
    struct support_places places;
    struct worker_sample sample;
    struct worker_memory before, after;
    struct worker *worker = support_start_open(support_faulty("writes_weights"), "taesd-mini", 120.0);
    support_place(worker, &places);
    cr_assert_eq(worker_memory(worker, false, &before, &error), VAEMARK_OK);
    cr_assert_eq(worker_memory(worker, false, &after, &error), VAEMARK_OK);
    cr_expect_str_eq(before.weights_hash, after.weights_hash, "nothing was decoded");
    cr_assert_eq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OK);
    cr_assert_eq(worker_memory(worker, false, &after, &error), VAEMARK_OK);
    cr_expect_str_neq(before.weights_hash, after.weights_hash);
    worker_stop(worker);
    expect_nothing_left();
}

/* Poison is set before every decode, not only before the first. */
Test(worker, skipped_decodes_show_poison) {
    struct error error;
    struct support_places places;
    struct worker_sample sample;
    struct worker *worker = support_start_open(support_faulty("skips_every_second"), "taesd-mini", 120.0);
    support_place(worker, &places);
    cr_assert_eq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OK);
    cr_expect_eq(segment_count_poison(worker_segment(worker), &places.image), 0);
    cr_assert_eq(support_decode_once(worker, &places, &sample, &error), VAEMARK_OK);
    cr_expect_eq((size_t)segment_count_poison(worker_segment(worker), &places.image) * 4, places.image.size_bytes);
    worker_stop(worker);
    expect_nothing_left();
}

/* A child in a session of its own that ignores every signal: ended by worker_stop(), see tear_down(). */
Test(worker, forked_children_are_ended) {
    struct worker *worker = support_start_open(support_faulty("fork_child"), "taesd-mini", 120.0);
    cr_expect_eq(support_count_marked(), 3, "keeper, worker and its child");
    worker_stop(worker);
    expect_nothing_left();
}

static int keeper_of(const struct worker *worker) {
    char path[64];
    int keeper = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", worker_pid(worker));
    FILE *file = fopen(path, "re");
    cr_assert(file && fscanf(file, "%*d (%*[^)]) %*c %d", &keeper) == 1);
    fclose(file);
    return keeper;
}

/* The keeper itself is killed: its worker dies with it, the stray child comes to the harness and is ended there. */
Test(worker, killed_keeper) {
    struct error error;
    struct worker *worker = support_start_open(support_faulty("fork_child"), "taesd-mini", 120.0);
    kill(keeper_of(worker), SIGKILL);
    cr_assert(support_wait_marked(1, 1), "the worker outlives its keeper");
    cr_expect_neq(worker_close(worker, NULL, &error), VAEMARK_OK);
    cr_expect_eq(worker_fate(worker)->kind, WORKER_CRASHED);
    worker_stop(worker);
    expect_nothing_left();
}

/* Stopped processes neither answer nor go away by themselves. */
Test(worker, stopped_processes) {
    struct error error;
    struct worker *worker = support_start_open("cpu", "taesd-mini", 0.3);
    kill(keeper_of(worker), SIGSTOP);
    kill(worker_pid(worker), SIGSTOP);
    cr_expect_neq(worker_close(worker, NULL, &error), VAEMARK_OK);
    cr_expect_eq(worker_fate(worker)->kind, WORKER_TIMED_OUT);
    cr_expect_eq(support_count_marked(), 0);
    worker_stop(worker);
    expect_nothing_left();
}

/* A harness of its own, hanging in a decode of a worker that has a stray child, ended by `signal_number`. Returns how
 * it ended. */
static int end_hanging_harness(int signal_number) {
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t harness = fork();
    if (harness == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* this test may fail, and must not leave it behind */
        struct support_places places;
        struct worker_sample sample;
        struct worker *stray = support_start_open(support_faulty("fork_child"), "taesd-mini", 120.0);
        struct worker *worker = support_start_open(support_faulty("hang_in_decode"), "taesd-mini", 120.0);
        support_place(worker, &places);
        (void)!write(ready[1], "x", 1);
        support_decode_once(worker, &places, &sample, NULL);
        worker_stop(stray);
        _exit(1);
    }
    int status = 0;
    struct pollfd polled = {.fd = ready[0], .events = POLLIN};
    int got = poll(&polled, 1, 60000);
    if (got != 1)
        kill(harness, SIGKILL);
    cr_assert_eq(got, 1, "the harness did not get as far as the decode");
    close(ready[0]);
    close(ready[1]);
    /* Two keepers, two workers, one stray; the forked harness has this process's environment and no mark of its own. */
    cr_assert(support_wait_marked(5, 5), "%d processes", support_count_marked());
    poll(NULL, 0, 50);
    kill(harness, signal_number);
    cr_assert_eq(waitpid(harness, &status, 0), harness);
    return status;
}

/* They came to us, a child subreaper, and have nothing left to do. */
static void reap_keepers(void) {
    for (int i = 0; i < 3000 && waitpid(-1, NULL, WNOHANG) >= 0; i++)
        poll(NULL, 0, 10);
}

Test(worker, killed_harness_leaves_nothing) {
    int status = end_hanging_harness(SIGKILL);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    cr_expect(support_wait_marked(0, 0), "%d processes outlive the harness", support_count_marked());
    reap_keepers();
    expect_nothing_left();
}

Test(worker, interrupted_harness_leaves_nothing) {
    int status = end_hanging_harness(SIGINT);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %x", status);
    cr_expect(support_wait_marked(0, 0), "%d processes outlive the harness", support_count_marked());
    reap_keepers();
    expect_nothing_left();
}

/* Ctrl-C's way, without the end of the process that would drop every leash anyway. */
Test(worker, kill_all_ends_the_living) {
    struct error error;
    struct worker *stray = support_start_open(support_faulty("fork_child"), "taesd-mini", 120.0);
    struct worker *worker = support_start_open("cpu", "taesd-mini", 120.0);
    worker_kill_all();
    cr_expect_eq(support_count_marked(), 0, "worker_kill_all() returned too early");
    cr_expect_neq(worker_close(worker, NULL, &error), VAEMARK_OK);
    cr_expect_eq(worker_fate(worker)->kind, WORKER_CRASHED);
    worker_stop(stray);
    worker_stop(worker);
    expect_nothing_left();
}

/* What cannot start says why, and with the status that fits. */
Test(worker, failing_starts) {
    static const struct {
        const char *backend;
        enum vaemark_status status;
        enum worker_fate_kind kind;
        const char *message;
    } cases[] = {
        {"cpuu", VAEMARK_INVALID_ARGUMENT, WORKER_ALIVE, "did you mean cpu"},
        {"plugin:/nowhere/x.so", VAEMARK_UNAVAILABLE, WORKER_ALIVE, "cannot be loaded"},
        {"exec:/nowhere/worker --x", VAEMARK_UNAVAILABLE, WORKER_ALIVE, "No such file"},
        {"exec:'open quote", VAEMARK_INVALID_ARGUMENT, WORKER_ALIVE, "quote"},
        {"exec:", VAEMARK_INVALID_ARGUMENT, WORKER_ALIVE, "needs a command"},
        {"exec:true", VAEMARK_INTERNAL, WORKER_CRASHED, "exit code 0 during hello"},
        {"exec:sh -c 'echo \"last words\" >&2; exit 3'", VAEMARK_INTERNAL, WORKER_CRASHED, "last words"},
        {"exec:sleep 100", VAEMARK_INTERNAL, WORKER_TIMED_OUT, "no answer to hello"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error;
        struct worker_fate fate;
        struct worker *worker;
        bool sleeps = strstr(cases[i].backend, "sleep") != NULL;
        struct worker_start start = {
            .backend = cases[i].backend, .segment_size_bytes = 4096, .timeout_s = sleeps ? 0.3 : 120.0};
        cr_expect_eq(worker_start(&start, &worker, &fate, &error), cases[i].status, "%s: %s", cases[i].backend,
                     error.message);
        cr_expect_null(worker);
        cr_expect_eq(fate.kind, cases[i].kind, "%s: %s", cases[i].backend, fate.reason);
        cr_expect(strstr(error.message, cases[i].message), "%s: %s", cases[i].backend, error.message);
    }
    expect_nothing_left();
}

/* A suite names the worker that comes with it, whatever the working folder is. */
Test(worker, a_command_may_start_with_the_data_folder) {
    struct error error = {0};
    char **command = NULL, *data = NULL;
    cr_assert_eq(data_folder(&data, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(worker_command_make("exec:python3 '{data}/a b.py' x{data}", &command, &error), VAEMARK_OK, "%s",
                 error.message);
    cr_expect_eq(strncmp(command[1], data, strlen(data)), 0, "%s", command[1]);
    cr_expect_str_eq(command[1] + strlen(data), "/a b.py");
    cr_expect_str_eq(command[2], "x{data}", "only at the start of a word");
    cr_expect_null(command[3]);
    worker_command_free(command);
    free(data);
}

/* stderr is kept for the reason and, if asked for, in a file. */
Test(worker, stderr_goes_to_a_file) {
    struct error error;
    struct worker *worker;
    char path[] = "/tmp/vaemark-stderr-XXXXXX", text[64] = "";
    int fd = mkstemp(path);
    struct worker_start start = {.backend = "exec:sh -c 'echo one >&2; echo two; exit 3'",
                                 .segment_size_bytes = 4096,
                                 .timeout_s = 60.0,
                                 .stderr_path = path};
    cr_expect_neq(worker_start(&start, &worker, NULL, &error), VAEMARK_OK);
    cr_expect_gt(read(fd, text, sizeof text - 1), 0);
    cr_expect_str_eq(text, "one\ntwo\n", "stdout of a worker goes the same way");
    close(fd);
    unlink(path);
    expect_nothing_left();
}
