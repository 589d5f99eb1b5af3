#include "tests/kernels/support_graphs.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/kernels.h"
#include "reference/executor.h"

enum { HEADER_BYTES = 64, GUARD_FLOATS = 64, MAX_OPTIONS = 8 };

struct block_header {
    size_t size_bytes;
    enum vaemark_memory_class memory_class;
};

static void *counting_allocate(void *user, size_t size_bytes, size_t alignment_bytes,
                               enum vaemark_memory_class memory_class) {
    struct counting_host *host = user;
    void *memory = NULL;
    cr_assert_leq(alignment_bytes, HEADER_BYTES);
    if (++host->requests == host->fail_at || posix_memalign(&memory, HEADER_BYTES, size_bytes + HEADER_BYTES) != 0) {
        return NULL;
    }
    *(struct block_header *)memory = (struct block_header){size_bytes, memory_class};
    /* NaN: whoever relies on zeroed memory shows */
    memset((char *)memory + HEADER_BYTES, 0xff, size_bytes);
    host->blocks++;
    host->current_bytes[memory_class] += size_bytes;
    if (host->current_bytes[memory_class] > host->peak_bytes[memory_class]) {
        host->peak_bytes[memory_class] = host->current_bytes[memory_class];
    }
    return (char *)memory + HEADER_BYTES;
}

static void counting_release(void *user, void *memory) {
    struct counting_host *host = user;
    if (memory != NULL) {
        struct block_header *header = (struct block_header *)((char *)memory - HEADER_BYTES);
        host->blocks--;
        host->current_bytes[header->memory_class] -= header->size_bytes;
        free(header);
    }
}

void counting_host_init(struct counting_host *host) {
    *host = (struct counting_host){.host = {.struct_size = sizeof host->host,
                                            .user = host,
                                            .allocate = counting_allocate,
                                            .release = counting_release}};
}

size_t counting_host_current(const struct counting_host *host) {
    size_t sum = 0;
    for (int i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++) {
        sum += host->current_bytes[i];
    }
    return sum;
}

/* splitmix64 */
float support_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)((double)(z >> 40) / (double)(1 << 23) - 1.0);
}

static void fill_parameter(struct graph_parameter *parameter, uint64_t *state) {
    const struct shape stored = parameter_stored_shape(parameter);
    const int64_t count = shape_element_count(&stored);
    const int64_t fan_in = parameter->shape.rank > 1 ? count / parameter->shape.dims[0] : 1;
    float *data = malloc((size_t)count * sizeof *data);
    for (int64_t i = 0; i < count; i++) {
        float x = support_random(state);
        switch (parameter->role) {
        case PARAMETER_WEIGHT:
            x *= 2.0f / sqrtf((float)fan_in);
            break;
        case PARAMETER_NORM_SCALE:
            x = 1.0f + 0.2f * x;
            break;
        case PARAMETER_BIAS:
            x *= 0.2f;
            break;
        default:
            break;
        }
        data[i] = x;
    }
    parameter->tensor = tensor_make(parameter->name, VAEMARK_F32, &stored, data);
}

void graph_case_init(struct graph_case *c, struct builder *b, value output, uint64_t seed) {
    struct error error = {.status = VAEMARK_OK};
    *c = (struct graph_case){.graph = NULL};
    cr_assert_eq(builder_finish(b, output, &c->graph, &error), VAEMARK_OK, "%s", error.message);
    for (size_t i = 0; i < c->graph->parameter_count; i++) {
        fill_parameter(&c->graph->parameters[i], &seed);
    }
    c->model = (struct vaemark_model){.struct_size = sizeof c->model,
                                      .name = "test",
                                      .vae_type = "AutoencoderKL",
                                      .config_json = "{}",
                                      .weights_path = "",
                                      .graph = c->graph,
                                      .graph_api = &graph_api};
    c->inputs.items = c->input_items;
}

static void free_inputs(struct graph_case *c) {
    for (size_t i = 0; i < c->inputs.count; i++) {
        free(c->input_items[i].data);
    }
    c->inputs.count = 0;
}

void graph_case_decoder(struct graph_case *c, int32_t factor) {
    struct builder b;
    builder_begin(&b);
    value x = builder_input(&b, "latents", 4, 4, 1);
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 4, .out = 24}, "conv_in");
    value y = builder_group_norm(&b, x, 24, 4, 1e-6, "mid.group_norm");
    const value q = builder_linear(&b, y, 24, 24, "mid.to_q"), k = builder_linear(&b, y, 24, 24, "mid.to_k");
    const value v = builder_linear(&b, y, 24, 24, "mid.to_v");
    y = builder_linear(&b, builder_attention(&b, q, k, v, "mid"), 24, 24, "mid.to_out.0");
    x = builder_upsample_nearest(&b, builder_add(&b, x, y), factor);
    x = builder_silu(&b, builder_group_norm(&b, x, 24, 4, 1e-6, "norm_out"));
    graph_case_init(c, &b, builder_conv2d(&b, x, (struct conv2d_options){.in = 24, .out = 3}, "conv_out"), 5);
}

static void *make_codes(int64_t count, int64_t limit, uint64_t *seed) {
    int32_t *codes = malloc((size_t)count * sizeof *codes);
    for (int64_t k = 0; k < count; k++) {
        codes[k] = (int32_t)(((double)support_random(seed) + 1.0) * 0.5 * (double)limit);
    }
    return codes;
}

static void *make_numbers(int64_t count, float mean, uint64_t *seed) {
    float *data = malloc((size_t)count * sizeof *data);
    for (int64_t k = 0; k < count; k++) {
        data[k] = mean + support_random(seed);
    }
    return data;
}

void graph_case_inputs(struct graph_case *c, int64_t images, int64_t height, int64_t width, float mean, uint64_t seed) {
    free_inputs(c);
    for (size_t i = 0; i < c->graph->input_count; i++) {
        const struct graph_input *input = &c->graph->inputs[i];
        struct shape shape;
        cr_assert(graph_input_shape(input, images, height, width, &shape));
        const int64_t count = shape_element_count(&shape);
        void *data = input->rank == 3 ? make_codes(count, input->code_count, &seed) : make_numbers(count, mean, &seed);
        c->input_items[c->inputs.count++] =
            tensor_make(input->name, input->rank == 3 ? VAEMARK_I32 : VAEMARK_F32, &shape, data);
    }
}

void graph_case_drop_optional(struct graph_case *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->graph->input_count; i++) {
        if (c->graph->inputs[i].optional) {
            free(c->input_items[i].data);
        } else {
            c->input_items[kept++] = c->input_items[i];
        }
    }
    c->inputs.count = kept;
}

void graph_case_free(struct graph_case *c) {
    free_inputs(c);
    for (size_t i = 0; c->graph != NULL && i < c->graph->parameter_count; i++) {
        free(c->graph->parameters[i].tensor.data);
    }
    graph_free(c->graph);
}

/* "threads=3", "isa=avx2", "fuse_qkv=1". */
static void parse_option(struct vaemark_option *option, char *text) {
    char *given = strchr(text, '=');
    *given++ = '\0';
    option->key = text;
    if (strcmp(text, "threads") == 0) {
        option->type = VAEMARK_INTEGER;
        option->value.integer = atoi(given);
    } else if (strcmp(text, "fuse_qkv") == 0) {
        option->type = VAEMARK_BOOLEAN;
        option->value.boolean = atoi(given);
    } else {
        option->type = VAEMARK_TEXT;
        option->value.text = given;
    }
}

struct vaemark_decoder *graph_case_open(const struct graph_case *c, const struct vaemark_backend *backend,
                                        const struct vaemark_host *host, const char *const *options) {
    struct vaemark_option items[MAX_OPTIONS];
    char texts[MAX_OPTIONS][64];
    struct vaemark_options list = {.items = items, .count = 0};
    struct vaemark_message message = {""};
    struct vaemark_decoder *decoder = NULL;
    for (; options != NULL && options[list.count] != NULL; list.count++) {
        snprintf(texts[list.count], sizeof texts[0], "%s", options[list.count]);
        parse_option(&items[list.count], texts[list.count]);
    }
    cr_assert_eq(backend->open(host, &c->model, &list, &decoder, &message), VAEMARK_OK, "%s", message.text);
    return decoder;
}

struct vaemark_tensor support_decode(const struct vaemark_backend *backend, struct vaemark_decoder *decoder,
                                     const struct vaemark_tensors *inputs) {
    struct vaemark_message message = {""};
    struct vaemark_tensor image;
    struct vaemark_tensors outputs = {.items = &image, .count = 1};
    cr_assert_eq(backend->prepare(decoder, inputs, &image, &message), VAEMARK_OK, "%s", message.text);
    const size_t size_bytes = tensor_size_bytes(&image), guard_bytes = GUARD_FLOATS * sizeof(float);
    char *memory = malloc(size_bytes + 2 * guard_bytes);
    memset(memory, 0xff, size_bytes + 2 * guard_bytes);
    image.name = "image";
    image.data = memory + guard_bytes;
    cr_assert_eq(backend->decode(decoder, inputs, &outputs, &message), VAEMARK_OK, "%s", message.text);
    for (size_t i = 0; i < guard_bytes; i++) {
        cr_assert(memory[i] == (char)0xff && memory[guard_bytes + size_bytes + i] == (char)0xff,
                  "wrote outside the image");
    }
    return image;
}

void support_image_free(struct vaemark_tensor *image) {
    free((char *)image->data - GUARD_FLOATS * sizeof(float));
    image->data = NULL;
}

bool support_images_identical(const struct vaemark_tensor *a, const struct vaemark_tensor *b) {
    return tensor_size_bytes(a) == tensor_size_bytes(b) && memcmp(a->data, b->data, tensor_size_bytes(a)) == 0;
}

struct vaemark_tensor graph_case_decode(const struct graph_case *c, const struct vaemark_backend *backend,
                                        const char *const *options) {
    struct counting_host host;
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(c, backend, &host.host, options);
    struct vaemark_tensor image = support_decode(backend, decoder, &c->inputs);
    backend->close(decoder);
    cr_assert_eq(host.blocks, 0, "%zu blocks not released", host.blocks);
    return image;
}

/* NaN where anything is NaN. */
static double largest_difference(const struct vaemark_tensor *a, const struct vaemark_tensor *b, double *peak) {
    const struct shape shape = tensor_shape(a), other = tensor_shape(b);
    double largest = 0.0;
    *peak = 0.0;
    cr_assert(shape_equal(&shape, &other));
    for (int64_t i = 0; i < shape_element_count(&shape); i++) {
        double x, y;
        tensor_read_f64(&x, a, i, 1);
        tensor_read_f64(&y, b, i, 1);
        *peak = fmax(*peak, fabs(y));
        if (!(fabs(x - y) <= largest)) {
            largest = fabs(x - y);
        }
        if (isnan(largest)) {
            break;
        }
    }
    return largest;
}

/* `options` and one more. */
static void expect_within(const struct graph_case *c, const char *const *options, const char *more, double bound,
                          const struct vaemark_tensor *exact, const char *name) {
    const char *all[16] = {more};
    double peak;
    for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
        all[i + 1] = options[i];
    }
    struct vaemark_tensor image = graph_case_decode(c, &cpu_backend, all);
    const double found = largest_difference(&image, exact, &peak);
    cr_assert(found <= bound, "%s, %s: largest error %g, bound %g, largest value %g", name, more, found, bound, peak);
    support_image_free(&image);
}

void graph_case_expect(const struct graph_case *c, const char *const *options, const char *name) {
    static const char *const FP64[] = {"precision=fp64", NULL};
    struct vaemark_tensor exact = graph_case_decode(c, &reference_backend, FP64);
    struct vaemark_tensor single = graph_case_decode(c, &reference_backend, NULL);
    double peak;
    const double own = largest_difference(&single, &exact, &peak);
    expect_within(c, options, "precision=fp32-strict", 16.0 * own + 4e-6 * peak, &exact, name);
    expect_within(c, options, "precision=fp32", 5.0 * (16.0 * own + 4e-6 * peak), &exact, name);
    expect_within(c, options, "precision=bf16", 4.0 * 0x1p16 * own + 0.01 * peak, &exact, name);
    support_image_free(&single);
    support_image_free(&exact);
}

/* Products of bfloat16 wherever a convolution has them, by the variant that tests bring along (support_wide.c). */
static void expect_narrow_products(const struct graph_case *c, const char *name) {
    static const char *const FP64[] = {"precision=fp64", NULL}, *const WIDE[] = {"isa=wide", "threads=2", NULL};
    struct vaemark_tensor exact = graph_case_decode(c, &reference_backend, FP64);
    struct vaemark_tensor single = graph_case_decode(c, &reference_backend, NULL);
    double peak;
    const double own = largest_difference(&single, &exact, &peak);
    expect_within(c, WIDE, "precision=bf16", 4.0 * 0x1p16 * own + 0.01 * peak, &exact, name);
    support_image_free(&single);
    support_image_free(&exact);
}

void graph_case_expect_on_isas(const struct graph_case *c, const char *name) {
    static const char *const PORTABLE[] = {"isa=portable", "threads=1", NULL}, *const BEST[] = {"threads=3", NULL};
    graph_case_expect(c, PORTABLE, name);
    if (kernel_set_choose("auto") != kernel_set_choose("portable")) {
        graph_case_expect(c, BEST, name);
    }
    expect_narrow_products(c, name);
}

static void expect_same_on_threads(const struct graph_case *c, const char *isa, const char *precision,
                                   const char *name) {
    static const char *const THREADS[] = {"threads=2", "threads=3", "threads=7"};
    const char *options[] = {isa, precision, "threads=1", NULL};
    struct vaemark_tensor wanted = graph_case_decode(c, &cpu_backend, options);
    for (size_t i = 0; i < sizeof THREADS / sizeof THREADS[0]; i++) {
        options[2] = THREADS[i];
        struct vaemark_tensor image = graph_case_decode(c, &cpu_backend, options);
        cr_assert(support_images_identical(&wanted, &image), "%s, %s, %s, %s", name, isa, precision, options[2]);
        support_image_free(&image);
    }
    support_image_free(&wanted);
}

void graph_case_expect_same_on_threads(const struct graph_case *c, const char *name) {
    size_t count;
    const struct kernel_set *const *sets = kernel_sets(&count);
    for (size_t i = 0; i < count; i++) {
        char isa[64];
        snprintf(isa, sizeof isa, "isa=%s", sets[i]->name);
        if (sets[i]->is_supported()) {
            expect_same_on_threads(c, isa, "precision=fp32", name);
            expect_same_on_threads(c, isa, "precision=fp32-strict", name);
            expect_same_on_threads(c, isa, "precision=bf16", name);
        }
    }
    expect_same_on_threads(c, "isa=wide", "precision=bf16", name);
}
