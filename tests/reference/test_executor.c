#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/builder.h"
#include "reference/executor.h"
#include "tests/reference/support_graphs.h"

enum { HEIGHT = 5, WIDTH = 7, LATENTS = 4 * HEIGHT * WIDTH, PIXELS = 3 * HEIGHT * WIDTH };

/* One opened decoder on a hand-made graph. */
struct session {
    struct graphs_host host;
    struct vaemark_model model;
    struct vaemark_graph *graph;
    struct vaemark_decoder *decoder;
    struct vaemark_message message;
    float latents[LATENTS];
    struct vaemark_tensor input;
};

static struct vaemark_option option_boolean(const char *key, int32_t on) {
    return (struct vaemark_option){.key = key, .type = VAEMARK_BOOLEAN, .value.boolean = on};
}

static struct vaemark_option option_integer(const char *key, int64_t number) {
    return (struct vaemark_option){.key = key, .type = VAEMARK_INTEGER, .value.integer = number};
}

static struct vaemark_option option_text(const char *key, const char *text) {
    return (struct vaemark_option){.key = key, .type = VAEMARK_TEXT, .value.text = text};
}

static enum vaemark_status session_open(struct session *s, const char *vae_type, const struct vaemark_option *option) {
    const struct vaemark_options options = {.items = option, .count = option == NULL ? 0 : 1};
    const struct shape shape = {.rank = 4, .dims = {1, 4, HEIGHT, WIDTH}};

    memset(s, 0, sizeof *s);
    graphs_host_make(&s->host);
    s->graph = graphs_attention();
    graphs_bind(s->graph);
    s->model = (struct vaemark_model){.struct_size = sizeof s->model,
                                      .name = "hand-made",
                                      .vae_type = vae_type,
                                      .config_json = "{}",
                                      .weights_path = "",
                                      .graph = s->graph,
                                      .graph_api = &graph_api};
    for (int i = 0; i < LATENTS; i++) {
        s->latents[i] = (float)(i * 37 % 101) / 50.0f - 1.0f;
    }
    s->input = tensor_make("latents", VAEMARK_F32, &shape, s->latents);
    return reference_backend.open(&s->host.host, &s->model, &options, &s->decoder, &s->message);
}

static void session_close(struct session *s) {
    reference_backend.close(s->decoder);
    cr_expect_eq(graphs_host_balance(&s->host), 0, "close left memory behind");
    graphs_free(s->graph);
}

static enum vaemark_status session_set(struct session *s, struct vaemark_option option) {
    return reference_backend.set_option(s->decoder, &option, &s->message);
}

/* Decodes into `image` of PIXELS elements of the decoder's precision. */
static enum vaemark_status session_decode(struct session *s, void *image) {
    const struct vaemark_tensors inputs = {.items = &s->input, .count = 1};
    struct vaemark_tensor output;
    struct vaemark_tensors outputs = {.items = &output, .count = 1};
    const enum vaemark_status status = reference_backend.prepare(s->decoder, &inputs, &output, &s->message);

    if (status != VAEMARK_OK) {
        return status;
    }
    output.data = image;
    return reference_backend.decode(s->decoder, &inputs, &outputs, &s->message);
}

static int64_t session_property(struct session *s, const char *key) {
    struct vaemark_option property;

    cr_assert_eq(reference_backend.get_property(s->decoder, key, &property, &s->message), VAEMARK_OK);
    return property.type == VAEMARK_BOOLEAN ? property.value.boolean : property.value.integer;
}

static size_t trace_count(struct session *s, const char *op) {
    struct vaemark_trace trace;
    size_t count = 0;

    cr_assert_eq(reference_backend.trace(s->decoder, &trace, &s->message), VAEMARK_OK);
    for (size_t i = 0; i < trace.count; i++) {
        count += strcmp(trace.entries[i].op, op) == 0;
    }
    return count;
}

/* The plan must be the run's memory to the byte, and nothing may stay after a decode. */
Test(executor, plans_exactly_what_it_allocates) {
    for (int bits = 32; bits <= 64; bits += 32) {
        struct session s;
        double image[PIXELS];
        struct vaemark_memory memory;
        const struct vaemark_option precision = option_text("precision", bits == 32 ? "fp32" : "fp64");

        cr_assert_eq(session_open(&s, "AutoencoderKL", &precision), VAEMARK_OK);
        cr_assert_eq(session_set(&s, option_integer("threads", 3)), VAEMARK_OK);
        graphs_host_reset(&s.host, -1);
        cr_assert_eq(session_decode(&s, image), VAEMARK_OK);
        cr_assert_eq(reference_backend.memory(s.decoder, &memory, &s.message), VAEMARK_OK);
        cr_expect_gt(s.host.peak[VAEMARK_MEMORY_ACTIVATIONS], 0);
        cr_expect_gt(s.host.peak[VAEMARK_MEMORY_WORKSPACE], 0);
        for (int i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++) {
            cr_expect_eq(memory.planned_bytes[i], s.host.peak[i], "class %d: planned %llu, used %llu", i,
                         (unsigned long long)memory.planned_bytes[i], (unsigned long long)s.host.peak[i]);
        }
        cr_expect_eq(graphs_host_balance(&s.host), 0);
        session_close(&s);
    }
}

/* A value lives from its node to its last reader. At most x (the residual), q, k, v and the attention's output are
 * alive together: 5 values of 8 channels, though the graph has 9 of them. */
Test(executor, frees_values_after_their_last_use) {
    struct session s;
    float image[PIXELS];

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, image), VAEMARK_OK);
    cr_expect_eq(s.host.peak[VAEMARK_MEMORY_ACTIVATIONS], 5 * 8 * HEIGHT * WIDTH * sizeof(float));
    session_close(&s);
}

/* Whichever request is refused: a typed error, nothing kept, and the next decode is as if nothing had happened. */
Test(executor, survives_every_refused_allocation) {
    struct session s;
    float image[PIXELS], again[PIXELS];
    int64_t requests;

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, image), VAEMARK_OK);
    requests = s.host.requests;
    cr_assert_gt(requests, 10);
    for (int64_t i = 0; i < requests; i++) {
        graphs_host_reset(&s.host, i);
        cr_expect_eq(session_decode(&s, again), VAEMARK_OUT_OF_MEMORY, "request %lld", (long long)i);
        cr_expect_eq(graphs_host_balance(&s.host), 0, "request %lld leaks", (long long)i);
        cr_expect(strstr(s.message.text, "out of memory") != NULL);
    }
    graphs_host_reset(&s.host, -1);
    cr_assert_eq(session_decode(&s, again), VAEMARK_OK);
    cr_expect_arr_eq(image, again, sizeof image);
    session_close(&s);
}

Test(executor, is_the_same_with_any_number_of_threads) {
    struct session s;
    float first[PIXELS], other[PIXELS];

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_assert_eq(session_set(&s, option_integer("threads", 1)), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, first), VAEMARK_OK);
    for (int threads = 0; threads <= 5; threads++) {
        cr_assert_eq(session_set(&s, option_integer("threads", threads)), VAEMARK_OK);
        cr_assert_eq(session_decode(&s, other), VAEMARK_OK);
        cr_expect_arr_eq(first, other, sizeof first, "%d threads", threads);
    }
    session_close(&s);
}

/* FP64 answers in F64 and is close to FP32, but not equal: it must really be another precision. */
Test(executor, changes_its_precision_when_asked) {
    struct session s;
    float single[PIXELS];
    double exact[PIXELS], difference = 0;
    const struct vaemark_tensors inputs = {.items = &s.input, .count = 1};
    struct vaemark_tensor image;

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, single), VAEMARK_OK);
    cr_assert_eq(session_set(&s, option_text("precision", "fp64")), VAEMARK_OK);
    cr_assert_eq(reference_backend.prepare(s.decoder, &inputs, &image, &s.message), VAEMARK_OK);
    cr_expect(image.dtype == VAEMARK_F64 && image.rank == 4 && image.shape[1] == 3 && image.shape[3] == WIDTH);
    cr_assert_eq(session_decode(&s, exact), VAEMARK_OK);
    for (int i = 0; i < PIXELS; i++) {
        difference = fmax(difference, fabs((double)single[i] - exact[i]));
    }
    cr_expect(difference > 1e-9 && difference < 1e-5, "difference %g", difference);
    session_close(&s);
}

/* Latents of other floating dtypes decode as what they hold. */
Test(executor, takes_latents_of_any_floating_dtype) {
    struct session s;
    float image[PIXELS], again[PIXELS];
    double wide[LATENTS];
    uint16_t brain[LATENTS];

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    for (int i = 0; i < LATENTS; i++) {
        s.latents[i] = (float)(i % 13 - 6) / 4.0f; /* exact in BF16 */
        uint32_t bits;
        memcpy(&bits, &s.latents[i], sizeof bits);
        brain[i] = (uint16_t)(bits >> 16);
        wide[i] = (double)s.latents[i];
    }
    cr_assert_eq(session_decode(&s, image), VAEMARK_OK);
    s.input.dtype = VAEMARK_F64;
    s.input.data = wide;
    cr_assert_eq(session_decode(&s, again), VAEMARK_OK);
    cr_expect_arr_eq(image, again, sizeof image);
    s.input.dtype = VAEMARK_BF16;
    s.input.data = brain;
    cr_assert_eq(session_decode(&s, again), VAEMARK_OK);
    cr_expect_arr_eq(image, again, sizeof image);
    s.input.dtype = VAEMARK_I32;
    cr_expect_eq(session_decode(&s, again), VAEMARK_BAD_INPUT);
    session_close(&s);
}

Test(executor, lets_a_nan_show) {
    struct session s;
    float image[PIXELS];
    int nans = 0;

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    s.latents[17] = NAN;
    cr_assert_eq(session_decode(&s, image), VAEMARK_OK);
    for (int i = 0; i < PIXELS; i++) {
        nans += isnan(image[i]) != 0;
    }
    cr_expect_gt(nans, 0);
    session_close(&s);
}

/* Fused: a projection instead of three, weights as bytes of the host, the same image up to rounding. Fused again:
 * nothing. Unfused: the old bits, the bytes back. And all of it once more. */
Test(executor, fuses_and_unfuses) {
    struct session s;
    float plain[PIXELS], fused[PIXELS], unfused[PIXELS];
    struct vaemark_trace trace;
    const uint64_t joined_bytes = (3 * 8 * 8 + 3 * 8) * sizeof(float);

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, plain), VAEMARK_OK);
    cr_expect_eq(trace_count(&s, "linear"), 4);
    for (int round = 0; round < 2; round++) {
        for (int again = 0; again < 2; again++) {
            cr_assert_eq(session_set(&s, option_boolean("fuse_qkv", 1)), VAEMARK_OK);
            cr_expect_eq(s.host.current[VAEMARK_MEMORY_WEIGHTS], joined_bytes);
            cr_expect_eq(session_property(&s, "fuse_qkv.modules"), 1);
            cr_assert_eq(session_decode(&s, fused), VAEMARK_OK);
            cr_expect_eq(trace_count(&s, "linear"), 2);
        }
        for (int i = 0; i < PIXELS; i++) {
            cr_expect(fabsf(plain[i] - fused[i]) <= 1e-5f);
        }
        cr_assert_eq(session_set(&s, option_boolean("fuse_qkv", 0)), VAEMARK_OK);
        cr_expect_eq(s.host.current[VAEMARK_MEMORY_WEIGHTS], 0);
        cr_expect_eq(session_property(&s, "fuse_qkv.modules"), 0);
        /* the last decode's trace stays readable, though the graph that it names is out of use */
        cr_assert_eq(reference_backend.trace(s.decoder, &trace, &s.message), VAEMARK_OK);
        cr_expect_str_eq(trace.entries[2].module, "mid.attentions.0.to_qkv");
        cr_assert_eq(session_decode(&s, unfused), VAEMARK_OK);
        cr_expect_arr_eq(plain, unfused, sizeof plain);
    }
    session_close(&s);
}

/* Planned weights are the fused ones; close frees them too. */
Test(executor, opens_fused) {
    struct session s;
    const struct vaemark_option fuse = option_boolean("fuse_qkv", 1);
    struct vaemark_memory memory;

    cr_assert_eq(session_open(&s, "AutoencoderKL", &fuse), VAEMARK_OK);
    cr_expect_eq(session_property(&s, "fuse_qkv"), 1);
    cr_assert_eq(reference_backend.memory(s.decoder, &memory, &s.message), VAEMARK_OK);
    cr_expect_eq(memory.planned_bytes[VAEMARK_MEMORY_WEIGHTS], s.host.current[VAEMARK_MEMORY_WEIGHTS]);
    session_close(&s);
}

/* Short of memory while fusing: not half fused, at either of the two joined parameters. */
Test(executor, stays_unfused_when_memory_is_refused) {
    struct session s;
    float plain[PIXELS], again[PIXELS];

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, plain), VAEMARK_OK);
    for (int i = 0; i < 2; i++) {
        graphs_host_reset(&s.host, i);
        cr_expect_eq(session_set(&s, option_boolean("fuse_qkv", 1)), VAEMARK_OUT_OF_MEMORY);
        cr_expect_eq(graphs_host_balance(&s.host), 0);
        cr_expect_eq(session_property(&s, "fuse_qkv.modules"), 0);
    }
    graphs_host_reset(&s.host, -1);
    cr_assert_eq(session_decode(&s, again), VAEMARK_OK);
    cr_expect_arr_eq(plain, again, sizeof plain);
    session_close(&s);
}

/* Projections of several dtypes are joined in one that holds them all exactly. */
Test(executor, joins_projections_of_mixed_dtypes) {
    struct session s;
    double plain[PIXELS], fused[PIXELS];
    int32_t q;
    struct graph_parameter *parameter;
    double *wide = malloc(64 * sizeof *wide);

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    for (q = 0; strcmp(s.graph->parameters[q].name, "mid.attentions.0.to_q.weight") != 0; q++) {
    }
    parameter = &s.graph->parameters[q];
    tensor_read_f64(wide, &parameter->tensor, 0, 64);
    wide[5] += 0x1p-40; /* more than a float can hold */
    free(parameter->tensor.data);
    parameter->tensor = tensor_make(parameter->name, VAEMARK_F64, &parameter->shape, wide);
    cr_assert_eq(session_set(&s, option_text("precision", "fp64")), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, plain), VAEMARK_OK);
    cr_assert_eq(session_set(&s, option_boolean("fuse_qkv", 1)), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, fused), VAEMARK_OK);
    for (int i = 0; i < PIXELS; i++) {
        cr_expect(fabs(plain[i] - fused[i]) <= 1e-14);
    }
    session_close(&s);
}

/* The refusal: typed, before any work, at open and later, again and again, and nothing has changed. */
Test(executor, refuses_to_fuse_other_types) {
    struct session s;
    float plain[PIXELS], again[PIXELS];
    const struct vaemark_option fuse = option_boolean("fuse_qkv", 1);

    cr_expect_eq(session_open(&s, "AutoencoderTiny", &fuse), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect_null(s.decoder);
    cr_expect_eq(s.host.requests, 0);
    session_close(&s);
    cr_assert_eq(session_open(&s, "ConsistencyDecoderVAE", NULL), VAEMARK_OK);
    cr_assert_eq(session_decode(&s, plain), VAEMARK_OK);
    graphs_host_reset(&s.host, -1);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(session_set(&s, fuse), VAEMARK_UNSUPPORTED_OPTION);
        cr_expect(strstr(s.message.text, "ConsistencyDecoderVAE") != NULL &&
                  strstr(s.message.text, "fuse_qkv") != NULL);
        cr_expect_eq(s.host.requests, 0);
        cr_expect_eq(session_property(&s, "fuse_qkv.modules"), 0);
    }
    cr_assert_eq(session_decode(&s, again), VAEMARK_OK);
    cr_expect_arr_eq(plain, again, sizeof plain);
    session_close(&s);
}

Test(executor, answers_options_by_what_is_wrong_with_them) {
    const struct {
        struct vaemark_option option;
        enum vaemark_status status;
        const char *says;
    } trials[] = {
        {option_text("precision", "bf16"), VAEMARK_UNSUPPORTED_OPTION, "fp32 and fp64"},
        {option_text("precision", "fp_32"), VAEMARK_UNKNOWN_OPTION, "did you mean 'fp32'"},
        {option_integer("precision", 32), VAEMARK_UNKNOWN_OPTION, "precision takes"},
        {option_text("tiling", "correct"), VAEMARK_UNKNOWN_OPTION, "'corrected'"},
        {option_integer("slicing", 1), VAEMARK_UNKNOWN_OPTION, "slicing takes"},
        {option_boolean("tiling", 0), VAEMARK_OK, ""},
        {option_boolean("fuse_qvk", 1), VAEMARK_UNKNOWN_OPTION, "did you mean 'fuse_qkv'"},
        {option_integer("fuse_qkv", 1), VAEMARK_UNKNOWN_OPTION, "true or false"},
        {option_integer("threads", -1), VAEMARK_UNKNOWN_OPTION, "threads takes"},
        {option_integer("threads", 2), VAEMARK_OK, ""},
        {option_text("isa", "avx2"), VAEMARK_UNSUPPORTED_OPTION, "isa"},
    };
    struct session s;

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        s.message.text[0] = '\0';
        cr_expect_eq(session_set(&s, trials[i].option), trials[i].status, "%s", trials[i].option.key);
        cr_expect(strstr(s.message.text, trials[i].says) != NULL, "%s: %s", trials[i].option.key, s.message.text);
    }
    cr_expect_eq(session_property(&s, "threads"), 2);
    cr_expect_eq(session_property(&s, "tiling"), 0);
    session_close(&s);
}

/* A line a node, names and kernel, and the FLOPs of the graph. */
Test(executor, traces_every_node) {
    struct session s;
    float image[PIXELS];
    struct vaemark_trace trace;
    uint64_t flops = 0;
    struct shape shapes[32];
    const struct vaemark_tensors inputs = {.items = &s.input, .count = 1};

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_assert_eq(reference_backend.trace(s.decoder, &trace, &s.message), VAEMARK_OK);
    cr_expect_eq(trace.count, 0);
    cr_assert_eq(session_decode(&s, image), VAEMARK_OK);
    cr_assert_eq(reference_backend.trace(s.decoder, &trace, &s.message), VAEMARK_OK);
    cr_assert_eq(trace.count, s.graph->node_count);
    cr_assert_eq(graph_infer_shapes(s.graph, &inputs, shapes, NULL), VAEMARK_OK);
    for (size_t i = 0; i < trace.count; i++) {
        flops += trace.entries[i].flops;
        cr_expect_str_eq(trace.entries[i].module, s.graph->nodes[i].module);
        cr_expect_gt(trace.entries[i].bytes, 0);
    }
    cr_expect_str_eq(trace.entries[0].kernel, "conv2d_fp32");
    cr_expect_eq(flops, graph_flops(s.graph, shapes));
    session_close(&s);
}

/* What breaks the contract of decode() is said before anything is written. */
Test(executor, checks_outputs_and_inputs) {
    struct session s;
    float image[PIXELS];
    const struct vaemark_tensors inputs = {.items = &s.input, .count = 1};
    const struct shape shape = {.rank = 4, .dims = {1, 3, HEIGHT, WIDTH}};
    struct vaemark_tensor output = tensor_make("image", VAEMARK_F64, &shape, image);
    struct vaemark_tensors outputs = {.items = &output, .count = 1};

    cr_assert_eq(session_open(&s, "AutoencoderKL", NULL), VAEMARK_OK);
    cr_expect_eq(reference_backend.decode(s.decoder, &inputs, &outputs, &s.message), VAEMARK_INVALID_ARGUMENT);
    cr_expect(strstr(s.message.text, "wanted F32 1x3x5x7, found F64") != NULL, "%s", s.message.text);
    output = tensor_make("picture", VAEMARK_F32, &shape, image);
    cr_expect_eq(reference_backend.decode(s.decoder, &inputs, &outputs, &s.message), VAEMARK_INVALID_ARGUMENT);
    output = tensor_make("image", VAEMARK_F32, &shape, image);
    s.input.data = NULL;
    cr_expect_eq(reference_backend.decode(s.decoder, &inputs, &outputs, &s.message), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(s.host.requests, 0);
    session_close(&s);
}

/* Row 2 of a table scales and shifts; the executor reads that row and no other. */
Test(executor, embeds_the_row_of_its_node) {
    struct builder b;
    struct vaemark_graph *graph;
    struct graphs_host host;
    struct vaemark_decoder *decoder;
    float table[4][2] = {{9, 9}, {8, 8}, {2, -5}, {7, 7}}, latent = 10, image = 0;
    const struct shape pixel = {.rank = 4, .dims = {1, 1, 1, 1}}, table_shape = {.rank = 2, .dims = {4, 2}};
    struct vaemark_tensor input = tensor_make("latents", VAEMARK_F32, &pixel, &latent);
    struct vaemark_tensor output = tensor_make("image", VAEMARK_F32, &pixel, &image);
    const struct vaemark_tensors inputs = {&input, 1};
    struct vaemark_tensors outputs = {&output, 1};
    struct vaemark_message message;
    value x;

    builder_begin(&b);
    x = builder_input(&b, "latents", 4, 1, 1);
    x = builder_scale_shift(&b, x, builder_embedding(&b, 4, 2, 2, "table"));
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    const struct vaemark_model model = {
        .struct_size = sizeof model, .vae_type = "ConsistencyDecoderVAE", .graph = graph, .graph_api = &graph_api};
    graphs_host_make(&host);
    cr_assert_eq(reference_backend.open(&host.host, &model, NULL, &decoder, &message), VAEMARK_INVALID_ARGUMENT,
                 "weights are not bound");
    cr_expect(strstr(message.text, "table.weight") != NULL);
    graph->parameters[0].tensor = tensor_make("table.weight", VAEMARK_F32, &table_shape, table);
    cr_assert_eq(reference_backend.open(&host.host, &model, NULL, &decoder, &message), VAEMARK_OK);
    cr_assert_eq(reference_backend.decode(decoder, &inputs, &outputs, &message), VAEMARK_OK);
    cr_expect_eq(image, 10.0f * (1 + 2) - 5);
    reference_backend.close(decoder);
    graph_free(graph);
}
