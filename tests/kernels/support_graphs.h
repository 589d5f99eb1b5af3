/* Small graphs with random weights, run on any backend through a host that counts, refuses and guards. */
#ifndef TESTS_KERNELS_SUPPORT_GRAPHS_H
#define TESTS_KERNELS_SUPPORT_GRAPHS_H

#include "reference/builder.h"

/* A host allocator that knows what is out, by class. */
struct counting_host {
    struct vaemark_host host;
    size_t current_bytes[VAEMARK_MEMORY_CLASS_COUNT], peak_bytes[VAEMARK_MEMORY_CLASS_COUNT];
    size_t blocks;   /* not released yet */
    size_t requests; /* ever made */
    size_t fail_at;  /* refuse that request, counted from 1; 0: none */
};
void counting_host_init(struct counting_host *host);
size_t counting_host_current(const struct counting_host *host);

/* Deterministic numbers in [-1, 1). */
float support_random(uint64_t *state);

/* A graph with weights, as a model of that VAE type; and inputs for it. */
struct graph_case {
    struct vaemark_graph *graph;
    struct vaemark_model model;
    struct vaemark_tensor input_items[4];
    struct vaemark_tensors inputs;
};
/* Takes the builder's graph; fails the test where it is not one. Parameters get random values from `seed`. */
void graph_case_init(struct graph_case *c, struct builder *b, value output, uint64_t seed);
/* A small decoder of 4 channels with everything in it: attention to fuse, norms, a residual, upsampling by `factor`. */
void graph_case_decoder(struct graph_case *c, int32_t factor);
/* Inputs (images, channels, height x scale, width x scale), random around `mean`. */
void graph_case_inputs(struct graph_case *c, int64_t images, int64_t height, int64_t width, float mean, uint64_t seed);
/* Leaves out the inputs that may be absent. */
void graph_case_drop_optional(struct graph_case *c);
void graph_case_free(struct graph_case *c);

/* Opens, decodes, closes; options are "key=text" or "key=123", NULL-terminated. The image is allocated. */
struct vaemark_tensor graph_case_decode(const struct graph_case *c, const struct vaemark_backend *backend,
                                        const char *const *options);
/* Opens with such options; fails the test where that fails. */
struct vaemark_decoder *graph_case_open(const struct graph_case *c, const struct vaemark_backend *backend,
                                        const struct vaemark_host *host, const char *const *options);
/* Decodes into a poisoned image with guards around, which must stay. */
struct vaemark_tensor support_decode(const struct vaemark_backend *backend, struct vaemark_decoder *decoder,
                                     const struct vaemark_tensors *inputs);
void support_image_free(struct vaemark_tensor *image);
bool support_images_identical(const struct vaemark_tensor *a, const struct vaemark_tensor *b);

/* cpu against the reference in FP64, in precision fp32-strict, fp32 and bf16. The bound of the first is 16 times the
 * error of the reference in FP32, which does the same sums in another order, plus 4e-6 of the largest value for graphs
 * that FP32 happens to hit exactly; Winograd's is five times that; that of bf16 is 4 times the error scaled by its unit
 * roundoff, 2^16 times FP32's, plus 1 % (docs/bounds.md). */
void graph_case_expect(const struct graph_case *c, const char *const *options, const char *name);
/* That with the portable kernels on one thread and, where this machine has better ones, with those on three. */
void graph_case_expect_on_isas(const struct graph_case *c, const char *name);
/* Results must not depend on how work was shared out: on each instruction set of this machine and in all precisions
 * the image of 2, 3 and 7 threads is that of one thread, to the bit. */
void graph_case_expect_same_on_threads(const struct graph_case *c, const char *name);

#endif
