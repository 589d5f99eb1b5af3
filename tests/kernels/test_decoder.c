/* The verbs: refusals that change nothing, memory that comes back, fusion that can be undone. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "tests/kernels/support_graphs.h"

static void make_case(struct graph_case *c) {
    graph_case_decoder(c, 2);
    graph_case_inputs(c, 2, 6, 5, 0.0f, 6);
}

static const struct vaemark_option FUSE = {.key = "fuse_qkv", .type = VAEMARK_BOOLEAN, .value.boolean = 1};
static const struct vaemark_option UNFUSE = {.key = "fuse_qkv", .type = VAEMARK_BOOLEAN, .value.boolean = 0};

static const struct vaemark_option NARROW = {.key = "precision", .type = VAEMARK_TEXT, .value.text = "bf16"};
static const struct vaemark_option WIDE = {.key = "precision", .type = VAEMARK_TEXT, .value.text = "fp32"};

static int64_t fused_modules(struct vaemark_decoder *decoder) {
    struct vaemark_option property;
    cr_assert_eq(cpu_backend.get_property(decoder, "fuse_qkv.modules", &property, NULL), VAEMARK_OK);
    cr_assert_eq(property.type, VAEMARK_INTEGER);
    return property.value.integer;
}

/* Projections that the last decode launched. */
static size_t linear_count(struct vaemark_decoder *decoder) {
    struct vaemark_trace trace;
    size_t count = 0;
    cpu_backend.trace(decoder, &trace, NULL);
    for (size_t i = 0; i < trace.count; i++) {
        if (strcmp(trace.entries[i].op, "linear") == 0) {
            cr_assert_eq(strncmp(trace.entries[i].kernel, "linear_panel_", 13), 0);
            cr_assert_gt(trace.entries[i].flops, 0);
            count++;
        }
    }
    return count;
}

Test(decoder, fusion_is_exactly_undone) {
    struct graph_case c;
    struct counting_host host;
    make_case(&c);
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    struct vaemark_tensor before = support_decode(&cpu_backend, decoder, &c.inputs);
    const size_t weights = host.current_bytes[VAEMARK_MEMORY_WEIGHTS], all = counting_host_current(&host);
    cr_assert_eq(linear_count(decoder), 4);
    cr_assert_eq(fused_modules(decoder), 0);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(cpu_backend.set_option(decoder, &FUSE, NULL), VAEMARK_OK);
        const size_t fused = host.current_bytes[VAEMARK_MEMORY_WEIGHTS];
        cr_assert_gt(fused, weights, "the fused weights do not show at the allocator");
        cr_assert_eq(cpu_backend.set_option(decoder, &FUSE, NULL), VAEMARK_OK);
        cr_assert_eq(host.current_bytes[VAEMARK_MEMORY_WEIGHTS], fused, "a second fuse changed something");
        cr_assert_eq(fused_modules(decoder), 1);
        struct vaemark_tensor image = support_decode(&cpu_backend, decoder, &c.inputs);
        cr_assert_eq(linear_count(decoder), 2);
        support_image_free(&image);

        cr_assert_eq(cpu_backend.set_option(decoder, &UNFUSE, NULL), VAEMARK_OK);
        cr_assert_eq(counting_host_current(&host), all, "memory did not come back");
        image = support_decode(&cpu_backend, decoder, &c.inputs);
        cr_assert(support_images_identical(&before, &image));
        cr_assert_eq(fused_modules(decoder), 0);
        cr_assert_eq(counting_host_current(&host), all);
        support_image_free(&image);
    }
    support_image_free(&before);
    cpu_backend.close(decoder);
    cr_assert_eq(host.blocks, 0);
    graph_case_free(&c);
}

Test(decoder, model_without_attention_fuses_nothing) {
    static const char *const FUSED[] = {"fuse_qkv=1", NULL};
    struct graph_case c;
    struct counting_host host, plain;
    struct builder b;
    builder_begin(&b);
    const value x = builder_input(&b, "latents", 4, 4, 1);
    graph_case_init(&c, &b, builder_conv2d(&b, x, (struct conv2d_options){.in = 4, .out = 3}, "conv"), 1);
    counting_host_init(&host);
    counting_host_init(&plain);
    struct vaemark_decoder *fused = graph_case_open(&c, &cpu_backend, &host.host, FUSED);
    struct vaemark_decoder *unfused = graph_case_open(&c, &cpu_backend, &plain.host, NULL);
    cr_assert_eq(fused_modules(fused), 0);
    cr_assert_eq(counting_host_current(&host), counting_host_current(&plain));
    cpu_backend.close(unfused);
    cpu_backend.close(fused);
    graph_case_free(&c);
}

/* A VAE type that must not fuse: refused before any work, and the decoder is what it was. */
Test(decoder, refusal_changes_nothing) {
    struct graph_case c;
    struct counting_host host;
    struct vaemark_message message = {""};
    make_case(&c);
    c.model.vae_type = "AutoencoderTiny";
    counting_host_init(&host);

    struct vaemark_decoder *decoder = (struct vaemark_decoder *)&c;
    const struct vaemark_options options = {.items = &FUSE, .count = 1};
    cr_assert_eq(cpu_backend.open(&host.host, &c.model, &options, &decoder, &message), VAEMARK_UNSUPPORTED_OPTION);
    cr_assert_null(decoder);
    cr_assert_eq(host.requests, 0, "work was done before the refusal");
    cr_assert(strstr(message.text, "AutoencoderTiny") && strstr(message.text, "fuse_qkv"), "%s", message.text);

    decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    struct vaemark_tensor before = support_decode(&cpu_backend, decoder, &c.inputs);
    const size_t requests = host.requests, bytes = counting_host_current(&host);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(cpu_backend.set_option(decoder, &FUSE, &message), VAEMARK_UNSUPPORTED_OPTION);
        cr_assert_eq(host.requests, requests);
        cr_assert_eq(counting_host_current(&host), bytes);
        cr_assert_eq(fused_modules(decoder), 0);
    }
    struct vaemark_tensor after = support_decode(&cpu_backend, decoder, &c.inputs);
    cr_assert(support_images_identical(&before, &after));
    cr_assert_eq(host.requests, requests);
    support_image_free(&after);
    support_image_free(&before);
    cpu_backend.close(decoder);
    graph_case_free(&c);
}

struct option_case {
    struct vaemark_option option;
    enum vaemark_status status;
    const char *hint; /* in the message */
};

/* Known or not, lacking or refused: each has its status, and a message that helps. */
Test(decoder, options_are_typed) {
    static const struct option_case CASES[] = {
        {{"precision", VAEMARK_TEXT, {.text = "bf16"}}, VAEMARK_OK, ""},
        {{"precision", VAEMARK_TEXT, {.text = "fp32"}}, VAEMARK_OK, ""},
        {{"precision", VAEMARK_TEXT, {.text = "fp16"}}, VAEMARK_UNSUPPORTED_OPTION, "fp16"},
        {{"precision", VAEMARK_TEXT, {.text = "fp33"}}, VAEMARK_UNKNOWN_OPTION, "did you mean 'fp32'"},
        {{"precision", VAEMARK_INTEGER, {.integer = 32}}, VAEMARK_UNKNOWN_OPTION, "a text"},
        {{"isa", VAEMARK_TEXT, {.text = "auto"}}, VAEMARK_OK, ""},
        {{"isa", VAEMARK_TEXT, {.text = "portable"}}, VAEMARK_OK, ""},
        {{"isa", VAEMARK_TEXT, {.text = "portabel"}}, VAEMARK_UNKNOWN_OPTION, "did you mean 'portable'"},
        {{"threads", VAEMARK_INTEGER, {.integer = 0}}, VAEMARK_OK, ""},
        {{"threads", VAEMARK_INTEGER, {.integer = -1}}, VAEMARK_UNKNOWN_OPTION, "-1"},
        {{"threads", VAEMARK_INTEGER, {.integer = 1000000}}, VAEMARK_UNKNOWN_OPTION, "1000000"},
        {{"tiling", VAEMARK_BOOLEAN, {.boolean = 0}}, VAEMARK_OK, ""},
        {{"tiling", VAEMARK_TEXT, {.text = "correct"}}, VAEMARK_UNKNOWN_OPTION, "'corrected'"},
        {{"slicing", VAEMARK_BOOLEAN, {.boolean = 1}}, VAEMARK_OK, ""},
        {{"slicing", VAEMARK_TEXT, {.text = "on"}}, VAEMARK_UNKNOWN_OPTION, "true or false"},
        {{"fuse_qvk", VAEMARK_BOOLEAN, {.boolean = 1}}, VAEMARK_UNKNOWN_OPTION, "did you mean 'fuse_qkv'"},
        {{"colour", VAEMARK_BOOLEAN, {.boolean = 1}}, VAEMARK_UNKNOWN_OPTION, "colour"},
    };
    struct graph_case c;
    struct counting_host host;
    make_case(&c);
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct vaemark_message message = {""};
        const struct vaemark_options options = {.items = &CASES[i].option, .count = 1};
        struct vaemark_decoder *other = NULL;
        cr_assert_eq(cpu_backend.set_option(decoder, &CASES[i].option, &message), CASES[i].status, "case %zu: %s", i,
                     message.text);
        cr_assert(strstr(message.text, CASES[i].hint), "case %zu: %s", i, message.text);
        cr_assert_eq(cpu_backend.open(&host.host, &c.model, &options, &other, &message), CASES[i].status);
        cr_assert_eq(other != NULL, CASES[i].status == VAEMARK_OK);
        cpu_backend.close(other);
    }
    struct vaemark_option property;
    cr_assert_eq(cpu_backend.get_property(decoder, "isa", &property, NULL), VAEMARK_OK);
    cr_assert_str_eq(property.value.text, "portable");
    cr_assert_eq(cpu_backend.get_property(decoder, "precision", &property, NULL), VAEMARK_OK);
    cr_assert_str_eq(property.value.text, "fp32");
    cr_assert_eq(cpu_backend.get_property(decoder, "threads", &property, NULL), VAEMARK_OK);
    cr_assert_geq(property.value.integer, 1);
    cr_assert_eq(cpu_backend.get_property(decoder, "colour", &property, NULL), VAEMARK_UNKNOWN_OPTION);
    cpu_backend.close(decoder);
    graph_case_free(&c);
}

/* What open refuses as unsupported must have been declared (or be the capability table's), and the other way round. */
Test(decoder, declarations_are_true) {
    struct vaemark_probe probe;
    struct graph_case c;
    struct counting_host host;
    make_case(&c);
    counting_host_init(&host);
    cr_assert_eq(cpu_backend.probe(&probe, NULL), VAEMARK_OK);
    cr_assert(probe.available && probe.deterministic);
    cr_assert_gt(probe.unsupported_count, 0);
    for (size_t i = 0; i < probe.unsupported_count; i++) {
        struct vaemark_option option = {.type = VAEMARK_BOOLEAN, .value.boolean = 1};
        struct vaemark_decoder *decoder = NULL;
        char key[64];
        snprintf(key, sizeof key, "%s", probe.unsupported[i].option);
        option.key = key;
        char *equals = strchr(key, '=');
        if (equals != NULL) {
            *equals = '\0';
            option.type = VAEMARK_TEXT;
            option.value.text = equals + 1;
        }
        c.model.vae_type = probe.unsupported[i].vae_type ? probe.unsupported[i].vae_type : "AutoencoderKL";
        const struct vaemark_options options = {.items = &option, .count = 1};
        cr_assert_eq(cpu_backend.open(&host.host, &c.model, &options, &decoder, NULL), VAEMARK_UNSUPPORTED_OPTION, "%s",
                     probe.unsupported[i].option);
    }
    graph_case_free(&c);
}

/* Weights packed anew, in the other form, beside a plan: done, or everything as before. */
static bool narrows_and_back(struct vaemark_decoder *decoder, const struct counting_host *host) {
    const size_t before = counting_host_current(host);
    enum vaemark_status status = cpu_backend.set_option(decoder, &NARROW, NULL);
    if (status != VAEMARK_OK) {
        cr_assert_eq(status, VAEMARK_OUT_OF_MEMORY);
        cr_assert_eq(counting_host_current(host), before);
        return false;
    }
    const size_t narrow = counting_host_current(host);
    cr_assert_lt(narrow, before);
    status = cpu_backend.set_option(decoder, &WIDE, NULL);
    if (status != VAEMARK_OK) {
        cr_assert_eq(status, VAEMARK_OUT_OF_MEMORY);
        cr_assert_eq(counting_host_current(host), narrow);
        cr_assert_eq(cpu_backend.set_option(decoder, &WIDE, NULL), VAEMARK_OK);
        return false;
    }
    cr_assert_eq(counting_host_current(host), before);
    return true;
}

/* Every request for memory refused in turn, through open, decode, fuse, another precision and shape: a typed error,
 * nothing kept, and a decoder that goes on as before. */
Test(decoder, refused_memory_leaves_everything_as_it_was) {
    struct graph_case c, larger;
    make_case(&c);
    make_case(&larger);
    graph_case_inputs(&larger, 1, 9, 11, 0.0f, 3);
    struct vaemark_tensor wanted = graph_case_decode(&c, &cpu_backend, NULL);
    size_t failures = 0;
    for (size_t fail_at = 1; fail_at < 40; fail_at++) {
        struct counting_host host;
        struct vaemark_decoder *decoder = NULL;
        struct vaemark_tensor unused;
        counting_host_init(&host);
        host.fail_at = fail_at;
        enum vaemark_status status = cpu_backend.open(&host.host, &c.model, NULL, &decoder, NULL);
        if (status != VAEMARK_OK) {
            cr_assert_eq(status, VAEMARK_OUT_OF_MEMORY);
            cr_assert_null(decoder);
            cr_assert_eq(host.blocks, 0);
            failures++;
            continue;
        }
        const size_t weights = counting_host_current(&host);
        status = cpu_backend.prepare(decoder, &c.inputs, &unused, NULL);
        if (status != VAEMARK_OK) {
            cr_assert_eq(status, VAEMARK_OUT_OF_MEMORY);
            cr_assert_eq(counting_host_current(&host), weights);
            failures++;
        }
        const size_t prepared = counting_host_current(&host);
        status = cpu_backend.set_option(decoder, &FUSE, NULL);
        if (status != VAEMARK_OK) {
            cr_assert_eq(status, VAEMARK_OUT_OF_MEMORY);
            cr_assert_eq(fused_modules(decoder), 0);
            cr_assert_eq(counting_host_current(&host), prepared);
            failures++;
        } else {
            status = cpu_backend.set_option(decoder, &UNFUSE, NULL);
            failures += status != VAEMARK_OK;
            cr_assert(status == VAEMARK_OK || fused_modules(decoder) == 1);
            cr_assert_eq(cpu_backend.set_option(decoder, &UNFUSE, NULL), VAEMARK_OK);
        }
        failures += !narrows_and_back(decoder, &host);
        status = cpu_backend.prepare(decoder, &larger.inputs, &unused, NULL);
        failures += status != VAEMARK_OK;
        cr_assert(status == VAEMARK_OK || status == VAEMARK_OUT_OF_MEMORY);
        host.fail_at = 0;
        struct vaemark_tensor image = support_decode(&cpu_backend, decoder, &c.inputs);
        cr_assert(support_images_identical(&wanted, &image), "request %zu", fail_at);
        support_image_free(&image);
        cpu_backend.close(decoder);
        cr_assert_eq(host.blocks, 0, "request %zu: %zu blocks left", fail_at, host.blocks);
    }
    /* weights, arena, fused weights, the larger arena, weights and arena of the narrow form, and back: one request each
     */
    cr_assert_geq(failures, 8, "too few requests were refused for this to say anything");
    support_image_free(&wanted);
    graph_case_free(&larger);
    graph_case_free(&c);
}

/* Shapes, threads and precisions back and forth: no state leaks from one decode to the next. */
Test(decoder, goes_back_to_what_it_was) {
    struct graph_case c, larger;
    struct counting_host host;
    make_case(&c);
    make_case(&larger);
    graph_case_inputs(&larger, 1, 9, 11, 0.0f, 3);
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    struct vaemark_tensor first = support_decode(&cpu_backend, decoder, &c.inputs);
    const size_t bytes = counting_host_current(&host);
    struct vaemark_tensor other = support_decode(&cpu_backend, decoder, &larger.inputs);
    struct vaemark_option threads = {"threads", VAEMARK_INTEGER, {.integer = 5}};
    cr_assert_eq(cpu_backend.set_option(decoder, &threads, NULL), VAEMARK_OK);
    struct vaemark_tensor more_threads = support_decode(&cpu_backend, decoder, &larger.inputs);
    cr_assert(support_images_identical(&other, &more_threads));
    threads.value.integer = 0;
    cr_assert_eq(cpu_backend.set_option(decoder, &threads, NULL), VAEMARK_OK);
    cr_assert_eq(cpu_backend.set_option(decoder, &NARROW, NULL), VAEMARK_OK);
    cr_assert_eq(cpu_backend.set_option(decoder, &FUSE, NULL), VAEMARK_OK);
    struct vaemark_tensor narrow = support_decode(&cpu_backend, decoder, &c.inputs);
    cr_assert(!support_images_identical(&first, &narrow), "bf16 that is as exact as fp32 is not bf16");
    cr_assert_eq(cpu_backend.set_option(decoder, &WIDE, NULL), VAEMARK_OK);
    cr_assert_eq(fused_modules(decoder), 1);
    cr_assert_eq(cpu_backend.set_option(decoder, &UNFUSE, NULL), VAEMARK_OK);
    struct vaemark_tensor again = support_decode(&cpu_backend, decoder, &c.inputs);
    cr_assert(support_images_identical(&first, &again));
    cr_assert_eq(counting_host_current(&host), bytes);
    support_image_free(&again);
    support_image_free(&narrow);
    support_image_free(&more_threads);
    support_image_free(&other);
    support_image_free(&first);
    cpu_backend.close(decoder);
    cr_assert_eq(host.blocks, 0);
    graph_case_free(&larger);
    graph_case_free(&c);
}

/* The members of a batch are decoded as if alone. */
Test(decoder, batch_is_its_members) {
    struct graph_case c;
    make_case(&c);
    struct vaemark_tensor batch = graph_case_decode(&c, &cpu_backend, NULL);
    struct vaemark_tensor *latents = &c.input_items[0];
    const size_t input_bytes = tensor_size_bytes(latents) / 2, image_bytes = tensor_size_bytes(&batch) / 2;
    for (size_t i = 0; i < 2; i++) {
        struct graph_case one = c;
        struct shape shape = tensor_shape(latents);
        shape.dims[0] = 1;
        one.inputs.items = one.input_items;
        one.input_items[0] = tensor_make("latents", VAEMARK_F32, &shape, (char *)latents->data + i * input_bytes);
        struct vaemark_tensor image = graph_case_decode(&one, &cpu_backend, NULL);
        cr_assert_arr_eq((char *)image.data, (char *)batch.data + i * image_bytes, image_bytes);
        support_image_free(&image);
    }
    support_image_free(&batch);
    graph_case_free(&c);
}

static void keep_upper_halves(void *numbers, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, (char *)numbers + i * 4, sizeof bits);
        bits &= 0xffff0000u;
        memcpy((char *)numbers + i * 4, &bits, sizeof bits);
    }
}

/* By how much bf16 differs from fp32 where rounding of weights does nothing, in parts of the largest value. */
static double cost_of_narrow_values(int64_t pixels) {
    /* of whose kernels none multiplies 16 bits */
    static const char *const BF16[] = {"isa=portable", "precision=bf16", NULL}, *const FP32[] = {"isa=portable", NULL};
    struct builder b;
    struct graph_case c;
    double largest = 0.0, peak = 0.0;
    builder_begin(&b);
    const struct conv2d_options pointwise = {.in = 40, .out = 40, .kernel = 1};
    value x = builder_silu(&b, builder_conv2d(&b, builder_input(&b, "latents", 4, 40, 1), pointwise, "first"));
    graph_case_init(&c, &b, builder_conv2d(&b, x, pointwise, "second"), 7);
    graph_case_inputs(&c, 1, 1, pixels, 0.0f, 8);
    for (size_t i = 0; i < c.graph->parameter_count; i++) {
        const struct vaemark_tensor *tensor = &c.graph->parameters[i].tensor;
        const struct shape shape = tensor_shape(tensor);
        cr_assert_eq(tensor->dtype, VAEMARK_F32);
        keep_upper_halves(tensor->data, shape_element_count(&shape));
    }
    struct vaemark_tensor wide = graph_case_decode(&c, &cpu_backend, FP32);
    struct vaemark_tensor narrow = graph_case_decode(&c, &cpu_backend, BF16);
    const struct shape shape = tensor_shape(&wide);
    for (int64_t i = 0; i < shape_element_count(&shape); i++) {
        const double x32 = (double)((const float *)wide.data)[i], x16 = (double)((const float *)narrow.data)[i];
        largest = fmax(largest, fabs(x32 - x16));
        peak = fmax(peak, fabs(x32));
    }
    support_image_free(&narrow);
    support_image_free(&wide);
    graph_case_free(&c);
    return largest / peak;
}

/* A value of one pixel, such as the embedding of a time step, has nothing to save and much to spoil. */
Test(decoder, values_of_one_pixel_stay_floats) {
    const double one = cost_of_narrow_values(1), three = cost_of_narrow_values(3);
    cr_assert(one <= 1e-6, "%g of one pixel", one);
    cr_assert(three > 1e-4, "%g of three pixels", three);
}

/* Latents as doubles or halves are the same latents. */
Test(decoder, inputs_of_other_types) {
    struct graph_case c;
    make_case(&c);
    struct vaemark_tensor *latents = &c.input_items[0];
    const struct shape shape = tensor_shape(latents);
    const int64_t count = shape_element_count(&shape);
    float *numbers = latents->data;
    double *doubles = malloc((size_t)count * sizeof *doubles);
    uint16_t *brains = malloc((size_t)count * sizeof *brains);
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        bits &= 0xffff0000u; /* what BF16 can hold */
        memcpy(&numbers[i], &bits, sizeof bits);
        doubles[i] = (double)numbers[i];
        brains[i] = (uint16_t)(bits >> 16);
    }
    struct vaemark_tensor wanted = graph_case_decode(&c, &cpu_backend, NULL);
    *latents = tensor_make("latents", VAEMARK_F64, &shape, doubles);
    struct vaemark_tensor image = graph_case_decode(&c, &cpu_backend, NULL);
    cr_assert(support_images_identical(&wanted, &image));
    support_image_free(&image);
    *latents = tensor_make("latents", VAEMARK_BF16, &shape, brains);
    image = graph_case_decode(&c, &cpu_backend, NULL);
    cr_assert(support_images_identical(&wanted, &image));
    support_image_free(&image);
    support_image_free(&wanted);
    *latents = tensor_make("latents", VAEMARK_F32, &shape, numbers);
    free(brains);
    free(doubles);
    graph_case_free(&c);
}

static uint64_t checksum(const struct vaemark_tensor *tensor, uint64_t hash) {
    const unsigned char *bytes = tensor->data;
    for (size_t i = 0; i < tensor_size_bytes(tensor); i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

static uint64_t checksum_all(const struct graph_case *c) {
    uint64_t hash = checksum(&c->input_items[0], 0xcbf29ce484222325u);
    for (size_t i = 0; i < c->graph->parameter_count; i++) {
        hash = checksum(&c->graph->parameters[i].tensor, hash);
    }
    return hash;
}

Test(decoder, inputs_and_weights_are_only_read) {
    struct graph_case c;
    make_case(&c);
    const uint64_t before = checksum_all(&c);
    struct vaemark_tensor image = graph_case_decode(&c, &cpu_backend, NULL);
    cr_assert_eq(checksum_all(&c), before);
    support_image_free(&image);
    graph_case_free(&c);
}

/* A NaN among the latents must show in its picture, and only there. */
Test(decoder, nan_in_nan_out) {
    struct graph_case c;
    make_case(&c);
    ((float *)c.input_items[0].data)[0] = NAN;
    struct vaemark_tensor image = graph_case_decode(&c, &cpu_backend, NULL);
    const struct shape shape = tensor_shape(&image);
    const int64_t half = shape_element_count(&shape) / 2;
    for (int64_t i = 0; i < half; i++) {
        cr_assert(isnan(((float *)image.data)[i]));
        cr_assert(!isnan(((float *)image.data)[half + i]));
    }
    support_image_free(&image);
    graph_case_free(&c);
}

Test(decoder, wrong_tensors_are_named) {
    struct graph_case c;
    struct counting_host host;
    struct vaemark_message message = {""};
    struct vaemark_tensor image;
    struct vaemark_tensors outputs = {.items = &image, .count = 1}, none = {.items = NULL, .count = 0};
    make_case(&c);
    counting_host_init(&host);
    struct vaemark_decoder *decoder = graph_case_open(&c, &cpu_backend, &host.host, NULL);
    cr_assert_eq(cpu_backend.prepare(decoder, &none, &image, &message), VAEMARK_BAD_INPUT);
    cr_assert(strstr(message.text, "latents"), "%s", message.text);
    cr_assert_eq(cpu_backend.prepare(decoder, &c.inputs, &image, &message), VAEMARK_OK);
    cr_assert_eq(cpu_backend.decode(decoder, &c.inputs, &outputs, &message), VAEMARK_INVALID_ARGUMENT, "no memory");
    cr_assert_eq(cpu_backend.decode(decoder, &c.inputs, &none, &message), VAEMARK_INVALID_ARGUMENT, "no image");
    float number = 0.0f;
    image.data = &number;
    image.shape[3]++;
    cr_assert_eq(cpu_backend.decode(decoder, &c.inputs, &outputs, &message), VAEMARK_INVALID_ARGUMENT, "wrong width");
    cr_assert(strstr(message.text, "2x3x12x10"), "%s", message.text);
    c.input_items[0].shape[1] = 5;
    cr_assert_eq(cpu_backend.decode(decoder, &c.inputs, &outputs, &message), VAEMARK_BAD_INPUT);
    c.input_items[0].shape[1] = 4;
    cpu_backend.close(decoder);
    cpu_backend.close(NULL);
    graph_case_free(&c);
}
