/* Workers, seen from the harness: processes that decode. A worker is `vaemark serve --backend NAME` or any command that
 * speaks the protocol of docs/worker-protocol.md. One socket carries messages (a JSON object a line), one sealed memfd
 * carries tensors.
 *
 * Every call has a deadline. A worker that dies, hangs or writes rubbish makes the call fail, is killed with all its
 * descendants, and worker_fate() says what became of it; what it answers in a typed way is an error like any other
 * and leaves it alive. */
#ifndef HARNESS_WORKER_WORKER_H
#define HARNESS_WORKER_WORKER_H

#include <jansson.h>

#include "base/error.h"
#include "harness/worker/segment.h"

struct worker;

enum worker_fate_kind {
    WORKER_ALIVE,
    WORKER_CRASHED,        /* ended by a signal, or ended by itself (`exit_code`) while an answer was due */
    WORKER_TIMED_OUT,      /* no answer before the deadline */
    WORKER_BROKE_PROTOCOL, /* rubbish, a wrong answer, or an answer out of turn */
    WORKER_OUT_OF_MEMORY   /* held more than its limit, or was chosen by the kernel's out-of-memory killer */
};

struct worker_fate {
    enum worker_fate_kind kind;
    int signal, exit_code;
    char reason[512]; /* "killed by signal 11 (Segmentation fault) during decode", with the last line of its stderr */
};

struct worker_start {
    const char *backend;       /* "cpu", "plugin:PATH", or "exec:COMMAND" (a shell word list) */
    size_t segment_size_bytes; /* of the shared memory; known from the cases that it is for */
    double timeout_s;          /* for hello */
    const char *stderr_path;   /* NULL: the last lines are kept for the reason */
    /* What it and all it starts may hold in memory (resident.h); 0: memory_limit_default(), or MEMORY_LIMIT_NONE. */
    uint64_t memory_limit_bytes;
};

/* What hello told. */
struct worker_hello {
    char backend[128], description[256], version[64];
    bool available;
    char reason[512]; /* why it is not */
    bool deterministic;
    json_t *facts;       /* object of texts */
    json_t *unsupported; /* array of {vae_type, option, reason}; null where it matches all */
};

struct worker_model {
    const char *name, *config_path, *weights_path;
};

struct worker_plan {
    uint64_t planned_bytes[VAEMARK_MEMORY_CLASS_COUNT];
    enum vaemark_dtype image_dtype;
    int32_t image_rank;
    int64_t image_shape[VAEMARK_MAX_RANK];
};

struct worker_sample {
    int64_t wall_ns, cpu_ns, run_delay_ns, involuntary_switches, minor_faults, major_faults, steal_ns;
    char output_hash[65]; /* SHA-256 of the image's bytes; of the last decode in the sample */
};

/* One decode message: `count` samples of `decodes_per_sample` decodes each; the last decode of sample i takes input set
 * i % set_count, those before it the sets before it in the ring.
 * Each sample's image goes to `image` (poisoned first); after sample keep[j] it is copied to keep_offsets[j]. */
struct worker_decode {
    const struct segment_tensor *const *sets; /* sets[i]: `inputs_per_set` tensors */
    size_t set_count, inputs_per_set;
    struct segment_tensor image;
    int64_t count, decodes_per_sample;
    const int64_t *keep;
    const size_t *keep_offsets;
    size_t keep_count;
    struct worker_sample *samples; /* out: `count` */
    int64_t outside_ns;            /* out: the message's time by the harness's clock */
};

struct worker_memory {
    uint64_t current_bytes[VAEMARK_MEMORY_CLASS_COUNT];
    uint64_t peak_bytes[VAEMARK_MEMORY_CLASS_COUNT]; /* of each class alone */
    uint64_t peak_total_bytes;                       /* of all but weights together, since open or the last reset */
    uint64_t allocated_bytes[VAEMARK_MEMORY_CLASS_COUNT]; /* ever asked for: grows only */
    uint64_t planned_bytes[VAEMARK_MEMORY_CLASS_COUNT];
    int64_t device_current_bytes, device_peak_bytes; /* -1: none of its own */
    bool guards_intact;                              /* guard bands around the host's allocations */
    char weights_hash[65];                           /* over the bytes of all live allocations of class weights */
    bool host_allocator; /* false: an external worker that does not use the host's allocator; figures are its word */
};

struct worker_trace_entry {
    char *module, *op, *kernel, *why; /* "" where the worker does not tell */
    uint64_t time_ns, flops, bytes;
};
struct worker_trace {
    struct worker_trace_entry *entries;
    size_t count;
};
void worker_trace_free(struct worker_trace *trace);

/* Starts a process and exchanges hello. On failure *worker is NULL and `error` tells. `fate` (may be NULL) is filled in
 * when the process itself went wrong. */
enum vaemark_status worker_start(const struct worker_start *start, struct worker **worker, struct worker_fate *fate,
                                 struct error *error);
/* Ends it: close, wait a moment, kill; reaps every descendant. Takes NULL. */
void worker_stop(struct worker *worker);

const struct worker_hello *worker_hello(const struct worker *worker);
struct segment *worker_segment(struct worker *worker);
const struct worker_fate *worker_fate(const struct worker *worker);
int worker_pid(const struct worker *worker);
void worker_set_timeout(struct worker *worker, double timeout_s); /* for the calls that follow */
/* Resident set now, seen from outside; -1 where it is not known (yet). */
int64_t worker_rss_bytes(struct worker *worker);
int64_t worker_rss_peak_bytes(const struct worker *worker); /* highest resident set, seen from outside */

enum vaemark_status worker_open(struct worker *worker, const struct worker_model *model,
                                const struct vaemark_options *options, struct error *error);
enum vaemark_status worker_set_option(struct worker *worker, const struct vaemark_option *option, struct error *error);
/* Integer or boolean properties. */
enum vaemark_status worker_property(struct worker *worker, const char *key, int64_t *value, struct error *error);
enum vaemark_status worker_prepare(struct worker *worker, const struct segment_tensor *inputs, size_t input_count,
                                   struct worker_plan *plan, struct error *error);
enum vaemark_status worker_decode(struct worker *worker, struct worker_decode *decode, struct error *error);
/* `reset`: peaks start again from now. */
enum vaemark_status worker_memory(struct worker *worker, bool reset, struct worker_memory *memory, struct error *error);
enum vaemark_status worker_trace(struct worker *worker, struct worker_trace *trace, struct error *error);
/* Closes the decoder; the process stays and may open again. `memory` (may be NULL): the allocator after closing. */
enum vaemark_status worker_close(struct worker *worker, struct worker_memory *memory, struct error *error);

/* Call once at the start of main: child subreaper, signals that must end workers, too. */
void worker_setup_process(void);
/* What is said when such a signal ends us, in place of "interrupted"; NULL: that. The text must live until it is
 * replaced. */
void worker_set_last_words(const char *text);
/* Ends every living worker at once (Ctrl-C). Async-signal-safe. */
void worker_kill_all(void);

#endif
