/* Synthetic weights and latents: the same bits everywhere, of a size that keeps activations alive, written safely. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "reference/builder.h"
#include "reference/executor.h"
#include "reference/model.h"
#include "tests/reference/support_files.h"
#include "tests/reference/support_goldens.h"

static void synthesize(const struct vaemark_graph *graph, uint64_t seed, const char *path) {
    struct error error = {.status = VAEMARK_OK};
    cr_assert_eq(weights_synthesize(graph, seed, path, &error), VAEMARK_OK, "%s: %s", error.where, error.message);
}

static struct weights *open_good(const char *path) {
    struct weights *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    cr_assert_eq(weights_open(path, &weights, &error), VAEMARK_OK, "%s: %s", error.where, error.message);
    return weights;
}

/* A change here makes every recorded figure on synthetic weights incomparable: raise GENERATOR_VERSION with it. */
Test(synthetic, weights_are_the_same_bits_on_every_machine) {
    static const struct {
        const char *name, *sha256;
    } EXPECTED[] = {
        {"sd15-mini", "f2a46f1761d258f8bb669befe62793eb6cb4b1c9ede9a5335e3300ea1c6b496e"},
        {"flux1-mini", "ae856cd2a5c57c6e1d635424c77c0b1bc113560f7acff70d4d974472630b1e36"},
        {"kl-noattn-mini", "055b3c546b899b0eca7fd26c2392aa5fcafe6a762c0bd74855dbc0e3db220929"},
        {"taesd-mini", "e1a96adff455cdbfc532c7200add7f9d4ecc2c833098f6ad32fba78374675371"},
        {"consistency-mini", "4457dcd34d83381259f037a9364677eafe83315313501d0aabb5dbd8188ea8b7"},
    };
    const char *folder = support_folder();
    for (size_t i = 0; i < sizeof EXPECTED / sizeof EXPECTED[0]; i++) {
        char hex[65];
        struct error error = {.status = VAEMARK_OK};
        struct model *model = support_open_preset(EXPECTED[i].name);
        const char *path = support_path("%s/%s.safetensors", folder, EXPECTED[i].name);
        synthesize(model->graph, 0, path);
        cr_assert_eq(hash_file(path, hex, &error), VAEMARK_OK, "%s", error.message);
        cr_expect_str_eq(hex, EXPECTED[i].sha256, "%s: %s", EXPECTED[i].name, hex);
        model_free(model);
    }
}

struct moments {
    double mean, deviation, largest;
};

static struct moments moments_of(const float *x, size_t count) {
    double sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        largest = fmax(largest, fabs((double)x[i]));
    }
    double mean = sum / (double)count;
    return (struct moments){mean, sqrt(squares / (double)count - mean * mean), largest};
}

/* 2100 x 2100 does not fit one chunk of the writer: what lies behind the border must be new numbers. */
Test(synthetic, weights_have_the_deviation_that_their_fan_in_asks_for) {
    enum { SIDE = 2100, CHUNK = 1 << 22 };
    struct vaemark_graph *graph = NULL;
    struct builder b;
    const char *path = support_path("%s/x.safetensors", support_folder());
    builder_begin(&b);
    value x = builder_input(&b, "latents", 4, SIDE, 1);
    x = builder_group_norm(&b, x, SIDE, 1, 1e-6, "norm");
    cr_assert_eq(builder_finish(&b, builder_linear(&b, x, SIDE, SIDE, "fc"), &graph, NULL), VAEMARK_OK);
    synthesize(graph, 3, path);
    struct weights *weights = open_good(path);
    const float *weight = weights_find(weights, "fc.weight")->data;
    struct moments moments = moments_of(weight, (size_t)SIDE * SIDE);
    cr_expect_lt(fabs(moments.deviation * sqrt(SIDE) - 1), 0.002, "deviation %g", moments.deviation);
    cr_expect_lt(fabs(moments.mean) * sqrt(SIDE), 0.002, "mean %g", moments.mean);
    cr_expect_lt(moments.largest * sqrt(SIDE), 1.7321);
    struct moments rest = moments_of(weight + CHUNK, (size_t)SIDE * SIDE - CHUNK);
    cr_expect_lt(fabs(rest.deviation * sqrt(SIDE) - 1), 0.01, "behind the chunk: deviation %g", rest.deviation);
    cr_expect_neq(memcmp(weight, weight + CHUNK, 4096), 0, "the second chunk repeats the first");
    struct moments scale = moments_of(weights_find(weights, "norm.weight")->data, SIDE);
    cr_expect_lt(fabs(scale.mean - 1), 0.02, "norm scale %g", scale.mean);
    struct moments bias = moments_of(weights_find(weights, "norm.bias")->data, SIDE);
    cr_expect_lt(fabs(bias.mean), 0.01, "norm bias %g", bias.mean);
    cr_expect_gt(bias.deviation, 0.05, "norm bias deviates by %g", bias.deviation);
    cr_expect_neq(memcmp(weights_find(weights, "norm.bias")->data, weights_find(weights, "fc.bias")->data, 4096), 0,
                  "two biases are the same numbers");
    weights_free(weights);
    graph_free(graph);
}

static ino_t inode_of(const char *path) {
    struct stat facts;
    cr_assert_eq(stat(path, &facts), 0);
    return facts.st_ino;
}

/* A whole file is kept; one that is damaged, or of another shape, is made anew. */
Test(synthetic, files_that_are_there_are_kept_if_they_are_whole) {
    char before[65], after[65];
    struct model *model = support_open_preset("taesd-mini");
    const char *path = support_path("%s/x.safetensors", support_folder());
    synthesize(model->graph, 0, path);
    ino_t inode = inode_of(path);
    hash_file(path, before, NULL);
    synthesize(model->graph, 0, path);
    cr_expect_eq(inode_of(path), inode, "a whole file was written again");
    cr_assert_eq(truncate(path, 5000), 0);
    synthesize(model->graph, 0, path);
    hash_file(path, after, NULL);
    cr_expect_str_eq(after, before);
    struct model *other = support_open_preset("kl-noattn-mini");
    synthesize(other->graph, 0, path);
    hash_file(path, after, NULL);
    cr_expect_str_neq(after, before);
    model_free(other);
    model_free(model);
}

Test(synthetic, several_processes_may_write_at_once) {
    enum { PROCESSES = 4 };
    char wanted[65], found[65];
    pid_t children[PROCESSES];
    struct model *model = support_open_preset("taesd-mini");
    const char *folder = support_folder();
    const char *path = support_path("%s/x.safetensors", folder);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            /* single threaded: OpenMP's threads do not live through a fork, and were not started before it */
            _exit(weights_synthesize(model->graph, 0, path, NULL) == VAEMARK_OK ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_expect_eq(status, 0);
    }
    hash_file(path, found, NULL);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(rmdir(folder), 0, "something was left in the folder");
    cr_assert_eq(mkdir(folder, 0700), 0);
    synthesize(model->graph, 0, path);
    hash_file(path, wanted, NULL);
    cr_expect_str_eq(found, wanted);
    model_free(model);
}

Test(synthetic, a_folder_that_is_not_there_is_an_error_that_names_it) {
    struct model *model = support_open_preset("taesd-mini");
    struct error error = {.status = VAEMARK_OK};
    cr_expect_eq(weights_synthesize(model->graph, 0, "/nowhere/at/all.safetensors", &error), VAEMARK_IO_ERROR);
    cr_expect_not_null(strstr(error.where, "/nowhere/at/all.safetensors"), "%s", error.where);
    model_free(model);
}

/* Whatever changes the numbers must change the name, or an old file is taken for a new one. */
Test(synthetic, cache_names_follow_what_they_stand_for) {
    struct model *model = support_open_preset("taesd-mini"), *other = support_open_preset("taesd");
    struct graph_parameter *parameter = &model->graph->parameters[0];
    char *name = weights_synthetic_name(model->graph, "m", 0);
    char *again = weights_synthetic_name(model->graph, "m", 0);
    char *seed = weights_synthetic_name(model->graph, "m", 1);
    char *shapes = weights_synthetic_name(other->graph, "m", 0);
    parameter->synthetic_gain *= 2;
    char *gain = weights_synthetic_name(model->graph, "m", 0);
    cr_expect_eq(strncmp(name, "m-seed0-", 8), 0, "%s", name);
    cr_expect_str_eq(name, again);
    cr_expect_str_neq(name, seed);
    cr_expect_str_neq(name, shapes);
    cr_expect_str_neq(name, gain);
    free(name), free(again), free(seed), free(shapes), free(gain);
    model_free(other);
    model_free(model);
}

Test(synthetic, latents_are_close_to_normal) {
    enum { COUNT = 100000 };
    float *x = malloc(COUNT * sizeof *x);
    size_t within_one = 0;
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = synthetic_normal(1, "latents", i);
        within_one += fabsf(x[i]) < 1;
    }
    struct moments moments = moments_of(x, COUNT);
    cr_expect_lt(fabs(moments.mean), 0.01, "mean %g", moments.mean);
    cr_expect_lt(fabs(moments.deviation - 1), 0.01, "deviation %g", moments.deviation);
    cr_expect_lt(moments.largest, 6);
    cr_expect_lt(fabs((double)within_one / COUNT - 0.6827), 0.01, "%zu within one deviation", within_one);
    cr_expect_neq(synthetic_normal(1, "latents", 7), synthetic_normal(2, "latents", 7));
    cr_expect_neq(synthetic_normal(1, "latents", 7), synthetic_normal(1, "noise.0", 7));
    /* The bits that every machine must give. */
    cr_expect_eq(synthetic_normal(0, "latents", 0), 0x1.297418p+0f, "%a", (double)synthetic_normal(0, "latents", 0));
    cr_expect_eq(synthetic_normal(7, "noise.1", 123456789), 0x1.1be4ep+0f, "%a",
                 (double)synthetic_normal(7, "noise.1", 123456789));
    free(x);
}

/* Latents of 8x8 and what noise the graph asks for; the caller frees the data. */
static struct vaemark_tensors make_inputs(struct vaemark_tensor items[4], const struct vaemark_graph *graph) {
    for (size_t i = 0; i < graph->input_count; i++) {
        const struct graph_input *input = &graph->inputs[i];
        struct shape shape = {.rank = 4, .dims = {1, input->channels, 8 * input->scale, 8 * input->scale}};
        size_t count = (size_t)shape_element_count(&shape);
        float *data = malloc(count * sizeof *data);
        for (size_t k = 0; k < count; k++) {
            data[k] = synthetic_normal(1, input->name, k);
        }
        items[i] = tensor_make(input->name, VAEMARK_F32, &shape, data);
    }
    return (struct vaemark_tensors){.items = items, .count = graph->input_count};
}

/* The picture of a synthetic model; the caller frees it. */
static float *decode(const struct model *model, struct vaemark_tensor *image) {
    struct vaemark_model abi = model_abi(model);
    struct vaemark_options options = {.items = NULL, .count = 0};
    struct vaemark_decoder *decoder = NULL;
    struct vaemark_message message = {""};
    struct vaemark_tensor items[4];
    struct vaemark_tensors inputs = make_inputs(items, model->graph), outputs = {.items = image, .count = 1};
    cr_assert_eq(reference_backend.open(&SUPPORT_HOST, &abi, &options, &decoder, &message), VAEMARK_OK, "%s",
                 message.text);
    cr_assert_eq(reference_backend.prepare(decoder, &inputs, image, &message), VAEMARK_OK, "%s", message.text);
    image->name = "image";
    image->data = malloc(tensor_size_bytes(image));
    cr_assert_eq(reference_backend.decode(decoder, &inputs, &outputs, &message), VAEMARK_OK, "%s", message.text);
    reference_backend.close(decoder);
    for (size_t i = 0; i < inputs.count; i++) {
        free(items[i].data);
    }
    return image->data;
}

/* A flat picture hides errors, a huge one drowns them: what the checks see must look like a picture. */
Test(synthetic, pictures_have_contrast) {
    static const char *const NAMES[] = {"sd15-mini",        "flux1-mini", "kl-noattn-mini", "taesd-mini",
                                        "consistency-mini", "taesd",      "taef2"};
    const char *folder = support_folder();
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct model *model = support_open_preset(NAMES[i]);
        struct error error = {.status = VAEMARK_OK};
        struct vaemark_tensor image = {.name = "image"};
        const char *path = support_path("%s/%s.safetensors", folder, NAMES[i]);
        const char *config = support_path("%s/models/%s/config.json", support_source(), NAMES[i]);
        synthesize(model->graph, 0, path);
        model_free(model);
        cr_assert_eq(model_open(config, path, NAMES[i], &model, &error), VAEMARK_OK, "%s", error.message);
        float *picture = decode(model, &image);
        size_t pixels = (size_t)(image.shape[2] * image.shape[3]);
        struct moments whole = moments_of(picture, 3 * pixels);
        cr_expect(whole.deviation >= 0.2 && whole.deviation <= 0.8, "%s: deviation %g", NAMES[i], whole.deviation);
        cr_expect_lt(fabs(whole.mean), 0.5, "%s: mean %g", NAMES[i], whole.mean);
        for (size_t c = 0; c < 3; c++) {
            struct moments channel = moments_of(picture + c * pixels, pixels);
            cr_expect_gt(channel.deviation, 0.1, "%s: channel %zu deviates by %g", NAMES[i], c, channel.deviation);
        }
        free(picture);
        model_free(model);
    }
}
