/* Full-size presets against the counts that instantiating the framework's classes gives: a builder that forgets a
 * layer, doubles one or gets a width wrong cannot hit the parameters, the tensors and the FLOPs of two sizes. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "reference/model.h"
#include "tests/reference/support_files.h"
#include "tests/reference/support_goldens.h"

struct published {
    const char *name;
    uint64_t parameters;
    size_t tensors;
    double gflop_512, gflop_1024; /* 3 decimals */
};

static const struct published PUBLISHED[] = {
    {"sd15", 49490199, 140, 2514.519, 10470.393},
    {"sdxl", 49490199, 140, 2514.519, 10470.393},
    {"sd3", 49545475, 138, 2514.972, 10472.204},
    {"flux1", 49545475, 138, 2514.972, 10472.204},
    {"taesd", 1222531, 67, 141.350, 565.401},
    {"taesdxl", 1222531, 67, 141.350, 565.401},
    {"taesd3", 1229443, 67, 141.407, 565.627},
    {"taef1", 1229443, 67, 141.407, 565.627},
    {"taef2", 1338499, 79, 142.288, 569.150},
    {"consistency", 621277702, 407, 67264.379, 269056.640},
    {"dc_sana", 159223171, 196, 2092.153, 8368.612},
    /* 200184076 parameters and 12800 running means and variances; 212 tensors less 15 counts of batches, never read */
    {"dc_in", 200184076 + 12800, 212 - 15, 2769.467, 11077.870},
    {"qwenimage", 73295603, 108, 1100.252, 4710.245},
    {"wan21", 73295603, 108, 1100.252, 4710.245},
    {"wan22", 555051580, 110, 2487.026, 9999.642},
    {"asymmetric_x1_5", 160136855, 182, 6761.076, 27662.778},
    {"asymmetric_x2", 371966487, 246, 16015.564, 64886.890},
    {"movq", 40434711, 303, 1999.526, 9647.369},
    {"amused", 87546947, 159, 1909.423, 7637.693},
    /* and 128 running means and variances each, which the pipeline reads */
    {"flux2", 49620259 + 256, 140 + 2, 2515.584, 10474.653},
    {"flux2_small", 27947235 + 256, 140 + 2, 1422.028, 5997.351},
    {"hunyuanimage", 260567939, 186, 2120.875, 8486.721},
    {"taesana", 8301763, 105, 148.013, 592.051},
};

/* The sum of all nodes for latents of side x side, with a condition or without; *size is the picture's side then. */
static double gflop_at(const struct model *model, int64_t side, bool conditioned, int64_t *size) {
    struct error error = {.status = VAEMARK_OK};
    struct shape *shapes = calloc((size_t)model->graph->value_count, sizeof *shapes);
    struct vaemark_tensor items[sizeof model->graph->inputs / sizeof model->graph->inputs[0]];
    struct vaemark_tensors inputs = {.items = items};
    for (size_t i = 0; i < model->graph->input_count; i++) {
        const struct graph_input *input = &model->graph->inputs[i];
        struct shape shape;
        if (conditioned || !input->optional) {
            cr_assert(graph_input_shape(input, 1, side, side, &shape));
            items[inputs.count++] =
                tensor_make(input->name, input->rank == 3 ? VAEMARK_I32 : VAEMARK_F32, &shape, NULL);
        }
    }
    cr_assert_eq(graph_infer_shapes(model->graph, &inputs, shapes, &error), VAEMARK_OK, "%s", error.message);
    struct shape *image = &shapes[model->graph->output];
    cr_assert_eq(image->dims[1], 3);
    *size = image->dims[2];
    double gflop = (double)graph_flops(model->graph, shapes) * 1e-9;
    free(shapes);
    return gflop;
}

/* For a picture of size x size. */
static double gflop_of(const struct model *model, int64_t size, bool conditioned) {
    int64_t factor = 1, found = 0;
    gflop_at(model, 1, false, &factor);
    double gflop = gflop_at(model, size / factor, conditioned, &found);
    cr_assert_eq(found, size);
    return gflop;
}

static void check_gflop(const char *name, double found, double published) {
    cr_expect(fabs(found - published) <= 0.0005001, "%s: %.6f GFLOP, published %.3f", name, found, published);
}

Test(presets, hold_the_published_parameters_and_flops) {
    for (size_t i = 0; i < sizeof PUBLISHED / sizeof PUBLISHED[0]; i++) {
        const struct published *p = &PUBLISHED[i];
        struct model *model = support_open_preset(p->name);
        cr_expect_eq(graph_parameter_elements(model->graph), p->parameters, "%s: %" PRIu64 " parameters", p->name,
                     graph_parameter_elements(model->graph));
        cr_expect_eq(model->graph->parameter_count, p->tensors, "%s: %zu tensors", p->name,
                     model->graph->parameter_count);
        check_gflop(p->name, gflop_of(model, 512, false), p->gflop_512);
        check_gflop(p->name, gflop_of(model, 1024, false), p->gflop_1024);
        model_free(model);
    }
}

/* The condition's encoder runs for an image and a mask alone, and adds this much. */
Test(presets, of_conditions_run_their_encoder_once) {
    static const struct {
        const char *name;
        double gflop_512, gflop_1024; /* 2 decimals */
    } ADDED[] = {{"asymmetric_x1_5", 1355.63, 5422.53}, {"asymmetric_x2", 2408.81, 9635.22}};
    for (size_t i = 0; i < sizeof ADDED / sizeof ADDED[0]; i++) {
        struct model *model = support_open_preset(ADDED[i].name);
        const double small = gflop_of(model, 512, true) - gflop_of(model, 512, false);
        const double large = gflop_of(model, 1024, true) - gflop_of(model, 1024, false);
        cr_expect(fabs(small - ADDED[i].gflop_512) <= 0.005001, "%s: %.6f GFLOP more", ADDED[i].name, small);
        cr_expect(fabs(large - ADDED[i].gflop_1024) <= 0.005001, "%s: %.6f GFLOP more", ADDED[i].name, large);
        model_free(model);
    }
}

/* Numbers in the parameters that nodes read: of kernels over frames one tap. */
static uint64_t count_used(const struct vaemark_graph *graph, size_t *tensors) {
    bool *seen = calloc(graph->parameter_count, sizeof *seen);
    uint64_t elements = 0;
    *tensors = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        for (int32_t j = 0; j < graph->nodes[i].parameter_count; j++) {
            int32_t parameter = graph->nodes[i].parameters[j];
            if (!seen[parameter]) {
                seen[parameter] = true;
                elements += (uint64_t)shape_element_count(&graph->parameters[parameter].shape);
                *tensors += 1;
            }
        }
    }
    free(seen);
    return elements;
}

Test(presets, of_films_use_what_one_frame_needs) {
    static const struct {
        const char *name;
        uint64_t elements;
        size_t tensors;
    } USED[] = {{"qwenimage", 25291955, 104}, {"wan21", 25291955, 104}, {"wan22", 198246972, 106}};
    for (size_t i = 0; i < sizeof USED / sizeof USED[0]; i++) {
        size_t tensors = 0;
        struct model *model = support_open_preset(USED[i].name);
        cr_expect_eq(count_used(model->graph, &tensors), USED[i].elements, "%s", USED[i].name);
        cr_expect_eq(tensors, USED[i].tensors, "%s: %zu tensors", USED[i].name, tensors);
        model_free(model);
    }
}

/* A mini that cannot be opened would be missed by every quick test at once. */
Test(presets, minis_open) {
    static const char *const MINIS[] = {
        "sd15-mini",         "flux1-mini",     "kl-noattn-mini", "taesd-mini", "consistency-mini", "asymmetric-mini",
        "movq-mini",         "amused-mini",    "dc-mini",        "dc_in-mini", "flux2-mini",       "flux2_small-mini",
        "hunyuanimage-mini", "qwenimage-mini", "wan21-mini",     "wan22-mini", "taesana-mini",
    };
    for (size_t i = 0; i < sizeof MINIS / sizeof MINIS[0]; i++) {
        model_free(support_open_preset(MINIS[i]));
    }
}

/* The one preset that ships with weights: all of them must fit, from the original layout of names. */
Test(presets, taef2_binds_its_weights) {
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    char *config = NULL, *weights = NULL;
    const char *folder = support_path("%s/models/taef2", support_source());
    cr_assert_eq(model_find_files(folder, &config, &weights, NULL, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(model_open(config, weights, "taef2", &model, &error), VAEMARK_OK, "%s: %s", error.where,
                 error.message);
    cr_expect_eq(weights_count(model->weights), model->graph->parameter_count);
    model_free(model);
    free(config);
    free(weights);
}
