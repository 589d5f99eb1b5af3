/* Writing, binding and reading weights. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "reference/builder.h"
#include "reference/fuse_qkv.h"
#include "reference/model.h"
#include "tests/reference/support_files.h"

static struct shape shape_of(int32_t rank, int64_t a, int64_t b) {
    return (struct shape){.rank = rank, .dims = {a, b}};
}

static struct weights *open_good(const char *path) {
    struct weights *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    cr_assert_eq(weights_open(path, &weights, &error), VAEMARK_OK, "%s: %s", error.where, error.message);
    return weights;
}

static struct vaemark_tensor make(const char *name, enum vaemark_dtype dtype, struct shape shape, void *data) {
    return tensor_make(name, dtype, &shape, data);
}

static void write_good(const char *path, struct vaemark_tensor *items, size_t count) {
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_tensors tensors = {.items = items, .count = count};
    cr_assert_eq(weights_write(path, &tensors, &error), VAEMARK_OK, "%s: %s", error.where, error.message);
}

/* Odd sizes first: without ordering by width the double would lie at an odd address. */
Test(weights, what_is_written_is_read_back_aligned) {
    const char *path = support_path("%s/x.safetensors", support_folder());
    uint16_t halves[3] = {1, 2, 3};
    double doubles[2] = {1.5, -2.5};
    float singles[1] = {0.25f};
    int64_t counter = 7;
    struct vaemark_tensor items[] = {
        make("half", VAEMARK_F16, shape_of(1, 3, 0), halves),
        make("a \"name\"\n", VAEMARK_F32, shape_of(2, 1, 1), singles),
        make("double", VAEMARK_F64, shape_of(2, 2, 1), doubles),
        make("empty", VAEMARK_F32, shape_of(1, 0, 0), singles),
        make("counter", VAEMARK_I64, shape_of(1, 1, 0), &counter),
    };
    write_good(path, items, 5);
    struct weights *weights = open_good(path);
    cr_assert_eq(weights_count(weights), 5);
    for (size_t i = 0; i < 5; i++) {
        const struct vaemark_tensor *found = weights_find(weights, items[i].name);
        cr_assert_not_null(found, "%s", items[i].name);
        struct shape a = tensor_shape(found), b = tensor_shape(&items[i]);
        cr_expect(shape_equal(&a, &b) != 0);
        cr_expect_eq(found->dtype, items[i].dtype);
        cr_expect_eq((uintptr_t)found->data % dtype_size_bytes(found->dtype), 0, "%s", found->name);
        cr_expect_eq(memcmp(found->data, items[i].data, tensor_size_bytes(found)), 0, "%s", found->name);
    }
    weights_free(weights);
}

Test(weights, two_tensors_of_one_name_are_not_written) {
    const char *path = support_path("%s/x.safetensors", support_folder());
    float one = 1;
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_tensor items[] = {make("a", VAEMARK_F32, shape_of(1, 1, 0), &one),
                                     make("a", VAEMARK_F32, shape_of(1, 1, 0), &one)};
    struct vaemark_tensors tensors = {.items = items, .count = 2};
    cr_expect_eq(weights_write(path, &tensors, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_not_null(strstr(error.where, "tensor 'a'"));
    cr_expect_neq(access(path, F_OK), 0);
}

/* A limit on file size stands in for a full disk. The old file must live, and no half file remain. */
Test(weights, a_write_that_fails_leaves_the_old_file) {
    const char *folder = support_folder();
    const char *path = support_path("%s/x.safetensors", folder);
    float *many = calloc(1 << 20, sizeof *many);
    struct vaemark_tensor small = make("a", VAEMARK_F32, shape_of(1, 1, 0), many);
    struct vaemark_tensor large = make("a", VAEMARK_F32, shape_of(1, 1 << 20, 0), many);
    struct vaemark_tensors tensors = {.items = &large, .count = 1};
    struct error error = {.status = VAEMARK_OK};
    write_good(path, &small, 1);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY}), 0);
    enum vaemark_status status = weights_write(path, &tensors, &error);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY}), 0);
    cr_expect_eq(status, VAEMARK_IO_ERROR, "%s", error.message);
    cr_expect_not_null(strstr(error.where, path), "%s", error.where);
    struct weights *weights = open_good(path);
    cr_expect_eq(weights_find(weights, "a")->shape[0], 1);
    weights_free(weights);
    cr_expect_eq(unlink(path), 0);
    cr_expect_eq(rmdir(folder), 0, "something was left in the folder");
    free(many);
}

/* y = W x + b, C = 2, one GroupNorm: parameters fc.weight (2,2), fc.bias (2), norm.weight (2), norm.bias (2). */
static struct vaemark_graph *small_graph(void) {
    struct builder b;
    struct vaemark_graph *graph = NULL;
    builder_begin(&b);
    value x = builder_input(&b, "latents", 4, 2, 1);
    x = builder_group_norm(&b, x, 2, 1, 1e-6, "norm");
    x = builder_linear(&b, x, 2, 2, "fc");
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    return graph;
}

static float NUMBERS[8] = {1, 2, 3, 4, 5, 6, 7, 8};

/* The small graph's tensors; tests bend one. */
static void small_tensors(struct vaemark_tensor items[4]) {
    items[0] = make("fc.weight", VAEMARK_F32, shape_of(2, 2, 2), NUMBERS);
    items[1] = make("fc.bias", VAEMARK_F32, shape_of(1, 2, 0), NUMBERS + 4);
    items[2] = make("norm.weight", VAEMARK_F32, shape_of(1, 2, 0), NUMBERS + 2);
    items[3] = make("norm.bias", VAEMARK_F32, shape_of(1, 2, 0), NUMBERS + 6);
}

static void expect_bind_refused(const struct vaemark_tensor *items, size_t count, const char *tensor,
                                const char *words) {
    const char *path = support_path("%s/x.safetensors", support_folder());
    struct vaemark_graph *graph = small_graph();
    struct vaemark_tensor copy[5];
    struct error error = {.status = VAEMARK_OK};
    for (size_t i = 0; i < count; i++) {
        copy[i] = items[i];
    }
    write_good(path, copy, count);
    struct weights *weights = open_good(path);
    cr_expect_eq(graph_bind_weights(graph, weights, NULL, NULL, &error), VAEMARK_BAD_INPUT);
    cr_expect_not_null(strstr(error.where, path), "%s", error.where);
    cr_expect_not_null(strstr(error.where, tensor), "%s", error.where);
    cr_expect_not_null(strstr(error.message, words), "%s", error.message);
    weights_free(weights);
    graph_free(graph);
}

Test(weights, missing_and_misshapen_tensors_are_named) {
    struct vaemark_tensor items[4];
    small_tensors(items);
    expect_bind_refused(items + 1, 3, "'fc.weight'", "missing (wanted: shape 2x2)");
    expect_bind_refused(items, 0, "'norm.weight'", "holds no tensor");
    items[1] = make("fc.bias", VAEMARK_F32, shape_of(1, 3, 0), NUMBERS);
    expect_bind_refused(items, 4, "'fc.bias'", "has shape 3, wanted 2");
    small_tensors(items);
    items[0] = make("fc.weight", VAEMARK_F32, shape_of(2, 1, 4), NUMBERS);
    expect_bind_refused(items, 4, "'fc.weight'", "has shape 1x4, wanted 2x2");
    small_tensors(items);
    items[3] = make("norm.bias", VAEMARK_I32, shape_of(1, 2, 0), NUMBERS);
    expect_bind_refused(items, 4, "'norm.bias'", "stored as I32");
}

/* A checkpoint quantised to bytes must not look as if a tensor were missing. */
Test(weights, a_tensor_of_a_foreign_dtype_is_named_with_it) {
    const char header[] = "{\"norm.weight\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2]}}     ";
    char bytes[128] = {0};
    const char *path = support_path("%s/x.safetensors", support_folder());
    struct vaemark_graph *graph = small_graph();
    struct error error = {.status = VAEMARK_OK};
    bytes[0] = (char)strlen(header);
    memcpy(bytes + 8, header, strlen(header));
    support_write(path, bytes, 8 + strlen(header) + 2);
    struct weights *weights = open_good(path);
    cr_expect_eq(graph_bind_weights(graph, weights, NULL, NULL, &error), VAEMARK_BAD_INPUT);
    cr_expect_not_null(strstr(error.message, "stored as I8"), "%s", error.message);
    weights_free(weights);
    graph_free(graph);
}

static const char *strip_old(const char *name, int32_t levels, char *canonical, size_t size_bytes) {
    (void)levels;
    bool old = strncmp(name, "old.", 4) == 0;
    snprintf(canonical, size_bytes, "%s", old ? name + 4 : name);
    return old ? "old names" : NULL;
}

static const char *no_key(const char *name, int32_t axis, const json_t *config) {
    (void)name, (void)axis, (void)config;
    return "some_key";
}

static const char *const SMALL_PREFIXES[] = {"fc.", "norm.", NULL};
static const struct naming OLD_NAMING = {
    .canonical_name = strip_old, .decoder_prefixes = SMALL_PREFIXES, .landmark = "fc.weight", .config_key = no_key};

/* Trailing ones come and go (1x1 convolutions as matrices), other names are mapped, strangers ignored. */
Test(weights, binding_maps_names_and_forgives_trailing_ones) {
    const char *path = support_path("%s/x.safetensors", support_folder());
    struct vaemark_graph *graph = small_graph();
    struct vaemark_tensor items[5];
    struct error error = {.status = VAEMARK_OK};
    small_tensors(items);
    items[0] = tensor_make("old.fc.weight", VAEMARK_F32, &(struct shape){.rank = 4, .dims = {2, 2, 1, 1}}, NUMBERS);
    items[2] = make("norm.weight", VAEMARK_F32, shape_of(2, 2, 1), NUMBERS + 2);
    items[4] = make("encoder.stranger", VAEMARK_I64, shape_of(1, 1, 0), NUMBERS);
    write_good(path, items, 5);
    struct weights *weights = open_good(path);
    cr_expect_str_eq(weights_layout(weights), "");
    cr_assert_eq(weights_adopt_names(weights, &OLD_NAMING, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_str_eq(weights_layout(weights), "old names");
    cr_assert_eq(graph_bind_weights(graph, weights, NULL, NULL, &error), VAEMARK_OK, "%s", error.message);
    for (size_t i = 0; i < graph->parameter_count; i++) {
        float single[4];
        double twice[4];
        const struct graph_parameter *parameter = &graph->parameters[i];
        bool matrix = strcmp(parameter->name, "fc.weight") == 0;
        size_t first = matrix                                      ? 0
                       : strcmp(parameter->name, "fc.bias") == 0   ? 4
                       : strcmp(parameter->name, "norm.bias") == 0 ? 6
                                                                   : 2;
        graph_read_parameter_f32(single, graph, (int32_t)i);
        graph_read_parameter_f64(twice, graph, (int32_t)i);
        for (size_t k = 0; k < (matrix ? 4u : 2u); k++) {
            cr_expect_eq(single[k], NUMBERS[first + k], "%s[%zu]", parameter->name, k);
            cr_expect_eq(twice[k], (double)NUMBERS[first + k], "%s[%zu]", parameter->name, k);
        }
    }
    weights_free(weights);
    graph_free(graph);
}

/* Which of the two would be taken would be a matter of luck. */
Test(weights, one_parameter_under_two_names_is_refused) {
    const char *path = support_path("%s/x.safetensors", support_folder());
    struct vaemark_graph *graph = small_graph();
    struct vaemark_tensor items[5];
    struct error error = {.status = VAEMARK_OK};
    small_tensors(items);
    items[4] = make("old.fc.bias", VAEMARK_F32, shape_of(1, 2, 0), NUMBERS);
    write_good(path, items, 5);
    struct weights *weights = open_good(path);
    cr_expect_eq(weights_adopt_names(weights, &OLD_NAMING, &error), VAEMARK_BAD_INPUT);
    cr_expect_not_null(strstr(error.message, "'old.fc.bias'"), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "'fc.bias'"), "%s", error.message);
    weights_free(weights);
    graph_free(graph);
}

/* Rows of q, then k, then v: the order that fusing depends on. */
Test(weights, joined_parameters_are_their_sources_rows) {
    struct vaemark_graph *graph = NULL, *fused = NULL;
    struct builder b;
    struct error error = {.status = VAEMARK_OK};
    int64_t modules = 0;
    float data[3][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
    builder_begin(&b);
    value x = builder_input(&b, "latents", 4, 2, 1);
    value q = builder_linear_no_bias(&b, x, 2, 2, "a.to_q");
    value k = builder_linear_no_bias(&b, x, 2, 2, "a.to_k");
    value v = builder_linear_no_bias(&b, x, 2, 2, "a.to_v");
    cr_assert_eq(builder_finish(&b, builder_attention(&b, q, k, v, "a"), &graph, &error), VAEMARK_OK);
    for (size_t i = 0; i < 3; i++) {
        graph->parameters[i].tensor = make(graph->parameters[i].name, VAEMARK_F32, shape_of(2, 2, 2), data[i]);
    }
    cr_assert_eq(fuse_qkv(graph, &fused, &modules, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(modules, 1);
    for (size_t i = 0; i < fused->parameter_count; i++) {
        if (fused->parameters[i].origin == PARAMETER_JOINED) {
            float single[12];
            double twice[12];
            graph_read_parameter_f32(single, fused, (int32_t)i);
            graph_read_parameter_f64(twice, fused, (int32_t)i);
            for (int e = 0; e < 12; e++) {
                cr_expect_eq(single[e], (float)(e + 1), "element %d is %g", e, (double)single[e]);
                cr_expect_eq(twice[e], (double)(e + 1), "element %d is %g", e, twice[e]);
            }
        }
    }
    graph_free(fused);
    graph_free(graph);
}
