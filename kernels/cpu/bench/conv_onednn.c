/* A layer by oneDNN: source, weights and destination in the layouts that its convolution asks for, weights reordered
 * beforehand. A run is a row of stages, as backend cpu's is: into the own layout, upsampling where the layer has it,
 * the convolution, out of the own layout. On both sides the source has just been written, the threads are awake, and
 * the borders stay out of the time. */
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/cpu/bench/conv.h"

enum buffer {
    INPUT, /* these and OUTPUT are the caller's */
    PLAIN_WEIGHTS,
    BIAS,
    OUTPUT,
    SOURCE,
    UPSAMPLED,
    WEIGHTS,
    DESTINATION,
    UPSAMPLE_SCRATCH,
    CONVOLVE_SCRATCH,
    BUFFER_COUNT
};

enum stage { PACK, UPSAMPLE, CONVOLVE, UNPACK, STAGE_COUNT };

struct onednn {
    const struct conv_problem *problem;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_memory_desc_t layouts[BUFFER_COUNT];
    dnnl_memory_t memories[BUFFER_COUNT]; /* NULL: the layer needs none */
    void *owned[BUFFER_COUNT];
    dnnl_primitive_t stages[STAGE_COUNT];
    char kernels[STAGE_COUNT][CONV_NAME_BYTES];
    enum vaemark_status status; /* of the first thing that failed; what comes after is not tried */
    struct error *error;
};

static bool ok(struct onednn *o, dnnl_status_t status, const char *what) {
    if (status == dnnl_success) {
        return true;
    }
    o->status = error_set_at(o->error,
                             status == dnnl_unimplemented   ? VAEMARK_UNSUPPORTED_MODEL
                             : status == dnnl_out_of_memory ? VAEMARK_OUT_OF_MEMORY
                                                            : VAEMARK_INTERNAL,
                             o->problem->name, "oneDNN, %s: %s", what, dnnl_status2str(status));
    return false;
}

/* ---- layouts ---- */

static bool set_layout(struct onednn *o, dnnl_memory_desc_t *layout, int64_t n, int64_t c, int64_t h, int64_t w,
                       dnnl_format_tag_t tag) {
    const dnnl_dims_t dims = {n, c, h, w};
    return ok(o, dnnl_memory_desc_init_by_tag(layout, 4, dims, dnnl_f32, tag), "layout");
}

/* The tensors as everybody stores them. */
static bool set_plain_layouts(struct onednn *o) {
    const struct conv_problem *p = o->problem;
    const dnnl_dims_t bias = {p->out};
    return set_layout(o, &o->layouts[INPUT], 1, p->in, p->height, p->width, dnnl_nchw) &&
           set_layout(o, &o->layouts[PLAIN_WEIGHTS], p->out, p->in, p->kernel, p->kernel, dnnl_oihw) &&
           set_layout(o, &o->layouts[OUTPUT], 1, p->out, p->out_height, p->out_width, dnnl_nchw) &&
           ok(o, dnnl_memory_desc_init_by_tag(&o->layouts[BIAS], 1, bias, dnnl_f32, dnnl_x), "layout of the bias");
}

/* The source before upsampling has the layout that the convolution wants of the upsampled one: resampling lets its
 * destination be anything, but not its source. */
static bool set_small_source_layout(struct onednn *o) {
    static const dnnl_format_tag_t TAGS[] = {dnnl_nChw8c, dnnl_nChw16c, dnnl_nhwc, dnnl_nchw};
    const struct conv_problem *p = o->problem;
    for (size_t i = 0; i < sizeof TAGS / sizeof TAGS[0]; i++) {
        dnnl_memory_desc_t large;
        if (!set_layout(o, &large, 1, p->in, p->upsample * p->height, p->upsample * p->width, TAGS[i])) {
            return false;
        }
        if (dnnl_memory_desc_equal(&large, &o->layouts[UPSAMPLED]) != 0) {
            return set_layout(o, &o->layouts[SOURCE], 1, p->in, p->height, p->width, TAGS[i]);
        }
    }
    return ok(o, dnnl_invalid_arguments, "the convolution's source has a layout that bench_conv does not know");
}

/* ---- stages ---- */

/* A stage's description, with its scratch as a buffer like all others: so it is seen, and counted. */
static bool describe_stage(struct onednn *o, enum stage stage, const_dnnl_op_desc_t operation, enum buffer scratch,
                           dnnl_primitive_desc_t *description, const char *what) {
    dnnl_primitive_attr_t attributes = NULL;
    const char *kernel = "";
    bool good = ok(o, dnnl_primitive_attr_create(&attributes), what) &&
                ok(o, dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user), what) &&
                ok(o, dnnl_primitive_desc_create(description, operation, attributes, o->engine, NULL), what) &&
                ok(o, dnnl_primitive_desc_query(*description, dnnl_query_impl_info_str, 0, (void *)&kernel), what);
    if (good) {
        snprintf(o->kernels[stage], sizeof o->kernels[stage], "%s", kernel);
        o->layouts[scratch] = *dnnl_primitive_desc_query_md(*description, dnnl_query_scratchpad_md, 0);
    }
    dnnl_primitive_attr_destroy(attributes);
    return good;
}

static bool make_stage(struct onednn *o, enum stage stage, const_dnnl_primitive_desc_t description) {
    return ok(o, dnnl_primitive_create(&o->stages[stage], description), "primitive");
}

static bool make_convolution(struct onednn *o, dnnl_alg_kind_t algorithm) {
    const struct conv_problem *p = o->problem;
    const enum buffer from = p->upsample > 1 ? UPSAMPLED : SOURCE;
    const dnnl_dims_t strides = {p->stride, p->stride}, padding = {p->kernel / 2, p->kernel / 2};
    dnnl_memory_desc_t source, weights, destination;
    dnnl_convolution_desc_t operation;
    dnnl_primitive_desc_t description = NULL;
    bool good =
        set_layout(o, &source, 1, p->in, p->upsample * p->height, p->upsample * p->width, dnnl_format_tag_any) &&
        set_layout(o, &weights, p->out, p->in, p->kernel, p->kernel, dnnl_format_tag_any) &&
        set_layout(o, &destination, 1, p->out, p->out_height, p->out_width, dnnl_format_tag_any) &&
        ok(o,
           dnnl_convolution_forward_desc_init(&operation, dnnl_forward_inference, algorithm, &source, &weights,
                                              &o->layouts[BIAS], &destination, strides, padding, padding),
           "convolution") &&
        describe_stage(o, CONVOLVE, &operation, CONVOLVE_SCRATCH, &description, "convolution") &&
        make_stage(o, CONVOLVE, description);
    if (good) {
        o->layouts[from] = *dnnl_primitive_desc_query_md(description, dnnl_query_src_md, 0);
        o->layouts[WEIGHTS] = *dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0);
        o->layouts[DESTINATION] = *dnnl_primitive_desc_query_md(description, dnnl_query_dst_md, 0);
    }
    dnnl_primitive_desc_destroy(description);
    return good;
}

static bool make_upsampling(struct onednn *o) {
    dnnl_resampling_desc_t operation;
    dnnl_primitive_desc_t description = NULL;
    if (o->problem->upsample == 1) {
        return true;
    }
    bool good = set_small_source_layout(o) &&
                ok(o,
                   dnnl_resampling_forward_desc_init(&operation, dnnl_forward_inference, dnnl_resampling_nearest, NULL,
                                                     &o->layouts[SOURCE], &o->layouts[UPSAMPLED]),
                   "upsampling") &&
                describe_stage(o, UPSAMPLE, &operation, UPSAMPLE_SCRATCH, &description, "upsampling") &&
                make_stage(o, UPSAMPLE, description);
    dnnl_primitive_desc_destroy(description);
    return good;
}

static bool make_reorder(struct onednn *o, dnnl_primitive_t *reorder, enum buffer from, enum buffer to) {
    dnnl_primitive_desc_t description = NULL;
    bool good = ok(o,
                   dnnl_reorder_primitive_desc_create(&description, &o->layouts[from], o->engine, &o->layouts[to],
                                                      o->engine, NULL),
                   "reorder") &&
                ok(o, dnnl_primitive_create(reorder, description), "reorder");
    dnnl_primitive_desc_destroy(description);
    return good;
}

/* ---- buffers ---- */

static bool make_buffer(struct onednn *o, enum buffer buffer, void *memory) {
    const size_t size_bytes = dnnl_memory_desc_get_size(&o->layouts[buffer]);
    if (size_bytes == 0) {
        return true;
    }
    if (memory == NULL && buffer != OUTPUT) {
        memory = o->owned[buffer] = conv_allocate(size_bytes, o->problem->threads);
        if (memory == NULL) {
            return ok(o, dnnl_out_of_memory, "buffer");
        }
    }
    return ok(o, dnnl_memory_create(&o->memories[buffer], &o->layouts[buffer], o->engine, memory), "buffer");
}

static bool make_buffers(struct onednn *o) {
    const struct conv_problem *p = o->problem;
    bool good =
        make_buffer(o, INPUT, p->input) && make_buffer(o, PLAIN_WEIGHTS, p->weight) && make_buffer(o, BIAS, p->bias);
    for (enum buffer buffer = OUTPUT; good && buffer < BUFFER_COUNT; buffer++) {
        good = make_buffer(o, buffer, NULL);
    }
    return good;
}

static bool run_reorder(struct onednn *o, dnnl_primitive_t reorder, enum buffer from, enum buffer to) {
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, o->memories[from]}, {DNNL_ARG_TO, o->memories[to]}};
    return ok(o, dnnl_primitive_execute(reorder, o->stream, 2, arguments), "reorder") &&
           ok(o, dnnl_stream_wait(o->stream), "reorder");
}

static bool pack_weights(struct onednn *o) {
    dnnl_primitive_t reorder = NULL;
    bool good = make_reorder(o, &reorder, PLAIN_WEIGHTS, WEIGHTS) && run_reorder(o, reorder, PLAIN_WEIGHTS, WEIGHTS);
    dnnl_primitive_destroy(reorder);
    return good;
}

/* ---- verbs ---- */

static void onednn_close(void *opened) {
    struct onednn *o = opened;
    if (o == NULL) {
        return;
    }
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        dnnl_primitive_destroy(o->stages[i]);
    }
    for (size_t i = 0; i < BUFFER_COUNT; i++) {
        dnnl_memory_destroy(o->memories[i]);
        free(o->owned[i]);
    }
    dnnl_stream_destroy(o->stream);
    dnnl_engine_destroy(o->engine);
    free(o);
}

static struct conv_facts facts_of(const struct onednn *o) {
    static const enum buffer ACTIVATIONS[] = {SOURCE, UPSAMPLED, DESTINATION, UPSAMPLE_SCRATCH, CONVOLVE_SCRATCH};
    struct conv_facts facts = {.weight_bytes = dnnl_memory_desc_get_size(&o->layouts[WEIGHTS]) +
                                               dnnl_memory_desc_get_size(&o->layouts[BIAS])};
    for (size_t i = 0; i < sizeof ACTIVATIONS / sizeof ACTIVATIONS[0]; i++) {
        facts.activation_bytes += dnnl_memory_desc_get_size(&o->layouts[ACTIVATIONS[i]]);
    }
    snprintf(facts.kernel, sizeof facts.kernel, "%s%s%s", o->kernels[CONVOLVE],
             o->kernels[UPSAMPLE][0] != '\0' ? " behind " : "", o->kernels[UPSAMPLE]);
    return facts;
}

static dnnl_alg_kind_t find_algorithm(const char *form) {
    return strcmp(form, "winograd") == 0 ? dnnl_convolution_winograd
           : strcmp(form, "auto") == 0   ? dnnl_convolution_auto
                                         : dnnl_convolution_direct;
}

static enum vaemark_status onednn_open(const struct conv_problem *problem, const char *form, void **opened,
                                       struct conv_facts *facts, struct error *error) {
    struct onednn *o = calloc(1, sizeof *o);
    *opened = NULL;
    if (o == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for oneDNN's primitives");
    }
    o->problem = problem;
    o->error = error;
    if (ok(o, dnnl_engine_create(&o->engine, dnnl_cpu, 0), "engine") &&
        ok(o, dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags), "stream") && set_plain_layouts(o) &&
        make_convolution(o, find_algorithm(form)) && make_upsampling(o) &&
        make_reorder(o, &o->stages[PACK], INPUT, SOURCE) && make_reorder(o, &o->stages[UNPACK], DESTINATION, OUTPUT) &&
        make_buffers(o) && pack_weights(o)) {
        *facts = facts_of(o);
        *opened = o;
        return VAEMARK_OK;
    }
    const enum vaemark_status status = o->status;
    onednn_close(o);
    return status;
}

static bool run_layer(struct onednn *o) {
    const dnnl_exec_arg_t upsample[] = {{DNNL_ARG_SRC, o->memories[SOURCE]},
                                        {DNNL_ARG_DST, o->memories[UPSAMPLED]},
                                        {DNNL_ARG_SCRATCHPAD, o->memories[UPSAMPLE_SCRATCH]}};
    const dnnl_exec_arg_t convolve[] = {{DNNL_ARG_SRC, o->memories[o->problem->upsample > 1 ? UPSAMPLED : SOURCE]},
                                        {DNNL_ARG_WEIGHTS, o->memories[WEIGHTS]},
                                        {DNNL_ARG_BIAS, o->memories[BIAS]},
                                        {DNNL_ARG_DST, o->memories[DESTINATION]},
                                        {DNNL_ARG_SCRATCHPAD, o->memories[CONVOLVE_SCRATCH]}};
    /* Scratch comes last, and is left out where there is none. */
    const int upsample_count = o->memories[UPSAMPLE_SCRATCH] != NULL ? 3 : 2;
    const int convolve_count = o->memories[CONVOLVE_SCRATCH] != NULL ? 5 : 4;
    return (o->problem->upsample == 1 ||
            ok(o, dnnl_primitive_execute(o->stages[UPSAMPLE], o->stream, upsample_count, upsample), "upsampling")) &&
           ok(o, dnnl_primitive_execute(o->stages[CONVOLVE], o->stream, convolve_count, convolve), "convolution") &&
           ok(o, dnnl_stream_wait(o->stream), "stream");
}

static enum vaemark_status onednn_run(void *opened, float *output, double *time_ns, struct error *error) {
    struct onednn *o = opened;
    o->error = error;
    o->status = VAEMARK_OK;
    if (ok(o, dnnl_memory_set_data_handle(o->memories[OUTPUT], output), "output") &&
        run_reorder(o, o->stages[PACK], INPUT, SOURCE)) {
        const int64_t start_ns = clock_monotonic_ns();
        const bool good = run_layer(o);
        *time_ns = (double)(clock_monotonic_ns() - start_ns);
        if (good) {
            (void)run_reorder(o, o->stages[UNPACK], DESTINATION, OUTPUT); /* a failure is in the status */
        }
    }
    return o->status;
}

const struct conv_library conv_onednn = {.open = onednn_open, .run = onednn_run, .close = onednn_close};

bool conv_onednn_describe(FILE *stream) {
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } ISAS[] = {{dnnl_cpu_isa_sse41, "SSE4.1"},
                {dnnl_cpu_isa_avx, "AVX"},
                {dnnl_cpu_isa_avx2, "AVX2"},
                {dnnl_cpu_isa_avx2_vnni, "AVX2 with VNNI"},
                {dnnl_cpu_isa_avx512_core, "AVX-512"},
                {dnnl_cpu_isa_avx512_core_vnni, "AVX-512 with VNNI"},
                {dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with BF16"},
                {dnnl_cpu_isa_avx512_core_amx, "AVX-512 with AMX"}};
    const dnnl_version_t *version = dnnl_version();
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const char *name = "another instruction set";
    for (size_t i = 0; i < sizeof ISAS / sizeof ISAS[0]; i++) {
        name = ISAS[i].isa == isa ? ISAS[i].name : name;
    }
    fprintf(stream, "oneDNN %d.%d.%d, %s\n", version->major, version->minor, version->patch, name);
    return version->cpu_runtime == DNNL_RUNTIME_OMP;
}
