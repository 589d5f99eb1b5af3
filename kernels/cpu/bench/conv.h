/* bench_conv: convolution layers, one at a time, by backend cpu and by oneDNN (conv.c tells how it measures). */
#ifndef KERNELS_CPU_BENCH_CONV_H
#define KERNELS_CPU_BENCH_CONV_H

#include <stdio.h>

#include "reference/model.h"

enum { CONV_NAME_BYTES = 64, CONV_KERNEL_BYTES = 160, CONV_MAX_ROUNDS = 99 };

/* Nearest upsampling, then a convolution with bias whose padding is half of the kernel. One image. */
struct conv_layer {
    int64_t in, out, kernel, height, width; /* channels; pixels of the input, before upsampling */
    int64_t upsample, stride;               /* 0: 1 */
    const char *place;                      /* who has it */
};

extern const struct conv_layer conv_layers[];
extern const size_t conv_layer_count;

/* A layer with everything that both libraries are given. */
struct conv_problem {
    char name[CONV_NAME_BYTES]; /* "conv3x3-512-256-x2@256x256": channels, upsampling or stride, pixels of the output */
    const char *place;
    int64_t in, out, kernel, height, width, upsample, stride; /* as in the layer, none of them 0 */
    int64_t out_height, out_width;
    double flops; /* of the direct form */
    int threads;
    struct model *model;          /* of class VaemarkOperation */
    float *weight, *bias, *input; /* (out, in, kernel, kernel), (out), (1, in, height, width) */
};

/* Without numbers: name, pixels, flops. */
struct conv_problem conv_problem_describe(const struct conv_layer *layer, int threads);
/* With them; nothing is left on disk. */
enum vaemark_status conv_problem_open(const struct conv_layer *layer, int threads, struct conv_problem *problem,
                                      struct error *error);
void conv_problem_close(struct conv_problem *problem);
size_t conv_problem_output_elements(const struct conv_problem *problem);

/* What an opened form says of itself. Activations: source, destination and scratch, in the library's own layouts. */
struct conv_facts {
    char kernel[CONV_KERNEL_BYTES];
    size_t activation_bytes, weight_bytes;
};

/* A library under measurement. open() fails with VAEMARK_UNSUPPORTED_MODEL where it has no such form of the layer.
 * run() takes the problem's input and leaves the output, (1, out, out_height, out_width), in `output`; `time_ns` is
 * that of upsampling and convolution alone, between the library's own layouts. close() takes NULL. */
struct conv_library {
    enum vaemark_status (*open)(const struct conv_problem *problem, const char *form, void **state,
                                struct conv_facts *facts, struct error *error);
    enum vaemark_status (*run)(void *state, float *output, double *time_ns, struct error *error);
    void (*close)(void *state);
};

extern const struct conv_library conv_cpu, conv_onednn;

/* Prints version and instruction set. False where its threads are not OpenMP's. */
bool conv_onednn_describe(FILE *stream);

/* Memory that both libraries get: on cache lines, of large pages where the system grants them, touched. */
void *conv_allocate(size_t size_bytes, int threads);

/* The forms under measurement. oneDNN's stand behind ours; its direct one, ONEDNN_DIRECT, is what the outputs of all
 * are compared with. */
enum conv_form_index { CPU_FP32, CPU_STRICT, ONEDNN_DIRECT, ONEDNN_AUTO, ONEDNN_WINOGRAD, CONV_FORM_COUNT };

struct conv_form {
    const char *name, *key; /* for tables; for programs */
    const struct conv_library *library;
    const char *form; /* the library's word */
    double bound;     /* the largest difference believed, of the largest value */
};

extern const struct conv_form conv_forms[CONV_FORM_COUNT];

enum conv_state { CONV_MEASURED, CONV_NONE, CONV_AS_DIRECT }; /* NONE: no primitive; AS_DIRECT: the same kernel */

struct conv_form_result {
    enum conv_state state;
    struct conv_facts facts;
    double difference; /* from ONEDNN_DIRECT's output, of the largest value of that */
    bool agrees;
    double samples_ns[CONV_MAX_ROUNDS], median_ns;
};

struct conv_result {
    char name[CONV_NAME_BYTES];
    const char *place;
    double flops;
    int rounds;
    struct conv_form_result forms[CONV_FORM_COUNT];
    enum conv_form_index best;    /* of oneDNN's, by median */
    double ratios[ONEDNN_DIRECT]; /* of each of ours: median over rounds of its time by that of oneDNN's best */
};

/* conv_report.c */
void conv_print_header(FILE *stream);
void conv_print_result(FILE *stream, const struct conv_result *result);
void conv_print_summary(FILE *stream, const struct conv_result *results, size_t count);
enum vaemark_status conv_write_json(const char *path, const struct conv_result *results, size_t count, int threads,
                                    struct error *error);

#endif
