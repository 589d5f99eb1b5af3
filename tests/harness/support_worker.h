/* What the tests of workers share: a mini model on disk, places in a segment, and counting what is left behind. */
#ifndef TESTS_HARNESS_SUPPORT_WORKER_H
#define TESTS_HARNESS_SUPPORT_WORKER_H

#include "harness/worker/worker.h"

/* A mini preset's config.json and synthetic weights in a folder of its own, made once a process. */
struct worker_model support_model(const char *preset);
void support_model_remove(void);

/* "plugin:PATH" of the decoder with planted faults; the fault is set in the environment. */
const char *support_faulty(const char *fault);

/* A worker of that backend with 4 MiB of shared memory. Stops the test when it does not start. */
struct worker *support_start(const char *backend, double timeout_s);
/* The same, with the model opened. */
struct worker *support_start_open(const char *backend, const char *preset, double timeout_s);

/* Latents 1x4x8x8 placed and filled by `seed`, and a place for the image that prepare() announced. */
struct support_places {
    struct segment_tensor latents[2], image, kept;
};
void support_place(struct worker *worker, struct support_places *places);
/* One sample of the first latents. */
enum vaemark_status support_decode_once(struct worker *worker, struct support_places *places,
                                        struct worker_sample *sample, struct error *error);

/* Marks this process's children from now on, by an environment variable that they inherit. */
void support_mark(void);
/* How many processes carry the mark, this one not counted. */
int support_count_marked(void);
/* Waits until that many are there, at most 30 s; false when it never happened. */
bool support_wait_marked(int least, int most);
int support_count_descriptors(void);

#endif
