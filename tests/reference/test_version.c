/* Holds REFERENCE_VERSION to what the reference computes: kept oracles are found by that number, so images must not
 * change while it stays. When this fails and the change is meant, raise REFERENCE_VERSION, and record it here with the
 * figures that the test prints. When it is not meant, the reference is broken. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/executor.h"
#include "reference/model.h"
#include "tests/reference/support_files.h"
#include "tests/reference/support_goldens.h"

enum { RECORDED_VERSION = 1, MAX_INPUTS = 4 };

/* Of the FP64 image, the sum of its values times a fixed random sign and size, over the square root of their number; of
 * the FP32 image, the root mean square of what it is off by: sums kept in another precision move that. */
static const struct recorded {
    const char *model, *latents;
    bool tiling;
    double projection, own_error;
} RECORDED[] = {
    {"flux1-mini", "square", false, 0.404694557947, 2.37e-07},
    {"flux1-mini", "tiled", true, 0.155050695851, 2.4e-07},
    {"taesd-mini", "square", false, -0.269812124698, 3.51e-07},
    {"consistency-mini", "square", false, -0.171515274546, 1.11e-07},
};

static struct model *open_model(const char *name) {
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    char *config = NULL, *weights = NULL;
    const char *folder = support_path("%s/tests/data/%s", support_source(), name);
    cr_assert_eq(model_find_files(folder, &config, &weights, NULL, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(model_open(config, weights, name, &model, &error), VAEMARK_OK, "%s", error.message);
    free(config);
    free(weights);
    return model;
}

/* The image as doubles; the caller frees. */
static double *decode(const struct model *model, struct vaemark_tensors *inputs, const char *precision, bool tiling,
                      int64_t *count) {
    const struct vaemark_model abi = model_abi(model);
    struct vaemark_option items[] = {{.key = "precision", .type = VAEMARK_TEXT, .value.text = precision},
                                     {.key = "tiling", .type = VAEMARK_BOOLEAN, .value.boolean = tiling}};
    const struct vaemark_options options = {.items = items, .count = 2};
    struct vaemark_decoder *decoder = NULL;
    struct vaemark_message message = {.text = ""};
    struct vaemark_tensor image;
    cr_assert_eq(reference_backend.open(&SUPPORT_HOST, &abi, &options, &decoder, &message), VAEMARK_OK, "%s",
                 message.text);
    cr_assert_eq(reference_backend.prepare(decoder, inputs, &image, &message), VAEMARK_OK, "%s", message.text);
    image.data = malloc(tensor_size_bytes(&image));
    struct vaemark_tensors outputs = {.items = &image, .count = 1};
    cr_assert_eq(reference_backend.decode(decoder, inputs, &outputs, &message), VAEMARK_OK, "%s", message.text);
    struct shape shape = tensor_shape(&image);
    *count = shape_element_count(&shape);
    double *values = calloc((size_t)*count, sizeof *values);
    tensor_read_f64(values, &image, 0, *count);
    free(image.data);
    reference_backend.close(decoder);
    return values;
}

static void measure(const struct recorded *recorded, double *projection, double *own_error) {
    struct model *model = open_model(recorded->model);
    struct weights *file = NULL;
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_tensor items[MAX_INPUTS];
    const char *path =
        support_path("%s/tests/data/%s/%s.safetensors", support_source(), recorded->model, recorded->latents);
    cr_assert_eq(weights_open(path, &file, &error), VAEMARK_OK, "%s", error.message);
    struct vaemark_tensors inputs = {.items = items, .count = model->graph->input_count};
    for (size_t i = 0; i < inputs.count; i++) {
        items[i] = *weights_find(file, model->graph->inputs[i].name);
    }
    int64_t count = 0;
    double *single = decode(model, &inputs, "fp32", recorded->tiling, &count);
    double *twofold = decode(model, &inputs, "fp64", recorded->tiling, &count);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += twofold[i] * (double)synthetic_normal(0, "projection", (uint64_t)i);
        squares += (single[i] - twofold[i]) * (single[i] - twofold[i]);
    }
    *projection = sum / sqrt((double)count);
    *own_error = sqrt(squares / (double)count);
    free(single);
    free(twofold);
    weights_free(file);
    model_free(model);
}

Test(version, stands_for_these_images) {
    cr_assert_eq(REFERENCE_VERSION, RECORDED_VERSION, "record the figures of the new version here");
    for (size_t i = 0; i < sizeof RECORDED / sizeof *RECORDED; i++) {
        const struct recorded *recorded = &RECORDED[i];
        double projection = NAN, own_error = NAN;
        measure(recorded, &projection, &own_error);
        bool same =
            fabs(projection - recorded->projection) <= 1e-9 && fabs(log(own_error / recorded->own_error)) <= log(1.5);
        cr_expect(same, "%s/%s: {\"%s\", \"%s\", %s, %.12f, %.3g}, recorded %.12f, %.3g", recorded->model,
                  recorded->latents, recorded->model, recorded->latents, recorded->tiling ? "true" : "false",
                  projection, own_error, recorded->projection, recorded->own_error);
    }
}
