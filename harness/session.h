/* A session: one worker with one model open and its inputs and image placed in shared memory. What `decode`, the oracle
 * and every case of a run go through. */
#ifndef HARNESS_SESSION_H
#define HARNESS_SESSION_H

#include "harness/decoder_spec.h"
#include "harness/inputs.h"
#include "harness/models.h"
#include "harness/worker/worker.h"

enum { SESSION_MAX_SETS = 72 };

struct session_start {
    const struct decoder_spec *decoder;
    const struct run_model *model;     /* with weights */
    const struct option_list *options; /* that will be asked for: tiles may make a larger image; NULL: none */
    const struct input_set *sets;      /* all of one shape */
    size_t set_count;
    double timeout_s;
    uint64_t memory_limit_bytes; /* 0: the default */
};

struct session {
    struct worker *worker;
    struct worker_fate fate; /* of a worker that did not even start */
    const struct run_model *model;
    const struct input_set *sets;
    struct segment_tensor inputs[SESSION_MAX_SETS][INPUTS_MAX];
    const struct segment_tensor *input_pointers[SESSION_MAX_SETS];
    size_t set_count, inputs_per_set;
    struct tiling_request tiling; /* as opened or set since: tells the image's size */
    struct worker_plan plan;      /* after session_prepare() */
    struct segment_tensor image;  /* likewise */
    struct shape wanted_image;    /* likewise, also where the plan's is another: the graph's with the tiles asked for */
    int64_t open_ns;
};

/* Starts the worker and copies the inputs over. After a failure session_stop() is still right. */
enum vaemark_status session_start(struct session *session, const struct session_start *start, struct error *error);
void session_stop(struct session *session);
/* Opens the model. `options` as text; precision is sent as an option, too. */
enum vaemark_status session_open(struct session *session, const struct option_list *options, const char *precision,
                                 struct error *error);
enum vaemark_status session_set_option(struct session *session, const char *key, const char *value,
                                       struct error *error);
/* Plans for the inputs' shape and places the image. The plan's shape is held against the graph's, with the
 * tiles that are asked for. */
enum vaemark_status session_prepare(struct session *session, struct error *error);
/* `count` samples of `decodes_per_sample`, the first on set `first_set`, then on those that follow it cyclically below
 * `ring`. The image of the last one stays in the segment. */
enum vaemark_status session_decode(struct session *session, size_t first_set, size_t ring, int64_t count,
                                   int64_t decodes_per_sample, struct worker_sample *samples, int64_t *outside_ns,
                                   struct error *error);
/* The image in the segment; valid until the next decode. */
struct vaemark_tensor session_image(const struct session *session);
/* A copy in fresh memory. `data` is NULL when memory is short. */
struct vaemark_tensor session_copy_image(const struct session *session);
/* What became of the worker. */
const struct worker_fate *session_fate(const struct session *session);

#endif
