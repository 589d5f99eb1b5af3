/* The layers, and the numbers that go into one. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "kernels/cpu/bench/conv.h"
#include "kernels/cpu/pages.h"

/* Of the decoders at 512x512 pixels each shape once; then what vector kernels are bad at: channels that fill no
 * panels, few pixels, sizes that no tile divides, strides. */
const struct conv_layer conv_layers[] = {
    {.in = 4, .out = 512, .kernel = 3, .height = 64, .width = 64, .place = "sd15"},
    {.in = 512, .out = 512, .kernel = 3, .height = 64, .width = 64, .place = "sd15"},
    {.in = 512, .out = 512, .kernel = 3, .height = 64, .width = 64, .upsample = 2, .place = "sd15"},
    {.in = 512, .out = 512, .kernel = 3, .height = 128, .width = 128, .place = "sd15"},
    {.in = 512, .out = 512, .kernel = 3, .height = 128, .width = 128, .upsample = 2, .place = "sd15"},
    {.in = 512, .out = 256, .kernel = 3, .height = 256, .width = 256, .place = "sd15"},
    {.in = 256, .out = 256, .kernel = 3, .height = 256, .width = 256, .place = "sd15"},
    {.in = 256, .out = 256, .kernel = 3, .height = 256, .width = 256, .upsample = 2, .place = "sd15"},
    {.in = 256, .out = 128, .kernel = 3, .height = 512, .width = 512, .place = "sd15"},
    {.in = 128, .out = 128, .kernel = 3, .height = 512, .width = 512, .place = "sd15"},
    {.in = 128, .out = 3, .kernel = 3, .height = 512, .width = 512, .place = "sd15"},
    {.in = 512, .out = 512, .kernel = 1, .height = 64, .width = 64, .place = "sd15"},
    {.in = 512, .out = 256, .kernel = 1, .height = 256, .width = 256, .place = "sd15"},
    {.in = 256, .out = 128, .kernel = 1, .height = 512, .width = 512, .place = "sd15"},
    {.in = 4, .out = 64, .kernel = 3, .height = 64, .width = 64, .place = "taesd"},
    {.in = 64, .out = 64, .kernel = 3, .height = 64, .width = 64, .place = "taesd"},
    {.in = 64, .out = 64, .kernel = 3, .height = 64, .width = 64, .upsample = 2, .place = "taesd"},
    {.in = 64, .out = 64, .kernel = 3, .height = 128, .width = 128, .place = "taesd"},
    {.in = 64, .out = 64, .kernel = 3, .height = 128, .width = 128, .upsample = 2, .place = "taesd"},
    {.in = 64, .out = 64, .kernel = 3, .height = 256, .width = 256, .place = "taesd"},
    {.in = 64, .out = 64, .kernel = 3, .height = 256, .width = 256, .upsample = 2, .place = "taesd"},
    {.in = 64, .out = 64, .kernel = 3, .height = 512, .width = 512, .place = "taesd"},
    {.in = 64, .out = 3, .kernel = 3, .height = 512, .width = 512, .place = "taesd"},
    {.in = 96, .out = 96, .kernel = 3, .height = 37, .width = 53, .place = "awkward"},
    {.in = 192, .out = 192, .kernel = 3, .height = 37, .width = 53, .place = "awkward"},
    {.in = 320, .out = 320, .kernel = 3, .height = 37, .width = 53, .place = "awkward"},
    {.in = 100, .out = 52, .kernel = 3, .height = 37, .width = 53, .place = "awkward"},
    {.in = 320, .out = 100, .kernel = 1, .height = 37, .width = 53, .place = "awkward"},
    {.in = 192, .out = 192, .kernel = 3, .height = 4, .width = 4, .place = "awkward"},
    {.in = 512, .out = 512, .kernel = 3, .height = 4, .width = 4, .place = "awkward"},
    {.in = 64, .out = 64, .kernel = 4, .height = 128, .width = 128, .stride = 2, .place = "awkward"},
    {.in = 128, .out = 128, .kernel = 3, .height = 127, .width = 127, .stride = 2, .place = "awkward"},
};
const size_t conv_layer_count = sizeof conv_layers / sizeof conv_layers[0];

struct conv_problem conv_problem_describe(const struct conv_layer *layer, int threads) {
    struct conv_problem p = {.place = layer->place,
                             .in = layer->in,
                             .out = layer->out,
                             .kernel = layer->kernel,
                             .height = layer->height,
                             .width = layer->width,
                             .upsample = layer->upsample > 0 ? layer->upsample : 1,
                             .stride = layer->stride > 0 ? layer->stride : 1,
                             .threads = threads};
    char variant[32] = "";
    p.out_height = (p.upsample * p.height + p.kernel / 2 * 2 - p.kernel) / p.stride + 1;
    p.out_width = (p.upsample * p.width + p.kernel / 2 * 2 - p.kernel) / p.stride + 1;
    p.flops = 2.0 * (double)(p.kernel * p.kernel * p.in * p.out) * (double)(p.out_height * p.out_width);
    if (p.upsample > 1) {
        snprintf(variant, sizeof variant, "-x%d", (int)p.upsample);
    } else if (p.stride > 1) {
        snprintf(variant, sizeof variant, "-stride%d", (int)p.stride);
    }
    snprintf(p.name, sizeof p.name, "conv%dx%d-%d-%d%s@%dx%d", (int)p.kernel, (int)p.kernel, (int)p.in, (int)p.out,
             variant, (int)p.out_height, (int)p.out_width);
    return p;
}

size_t conv_problem_output_elements(const struct conv_problem *problem) {
    return (size_t)(problem->out * problem->out_height * problem->out_width);
}

void *conv_allocate(size_t size_bytes, int threads) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, size_bytes > 0 ? size_bytes : 1) != 0) {
        return NULL;
    }
    pages_touch(memory, size_bytes, threads);
    return memory;
}

/* ---- the model ---- */

static enum vaemark_status write_config(const struct conv_problem *p, const char *path, struct error *error) {
    json_t *config =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "_class_name", MODEL_TYPE_OPERATION, "operation", "conv2d",
                  "in_channels", (json_int_t)p->in, "out_channels", (json_int_t)p->out, "kernel_size",
                  (json_int_t)p->kernel, "stride", (json_int_t)p->stride, "upsample", (json_int_t)p->upsample);
    const int failed = config == NULL || json_dump_file(config, path, 0) != 0;
    json_decref(config);
    return failed ? error_set_at(error, VAEMARK_IO_ERROR, path, "cannot write a layer's configuration") : VAEMARK_OK;
}

static enum vaemark_status open_model_in(struct conv_problem *p, const char *folder, struct error *error) {
    char *config = path_join(folder, "config.json"), *weights = path_join(folder, "layer.safetensors");
    struct model *bare = NULL;
    enum vaemark_status status = config != NULL && weights != NULL
                                     ? write_config(p, config, error)
                                     : error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a path");
    if (status == VAEMARK_OK) {
        status = model_open_config(config, p->name, &bare, error);
    }
    if (status == VAEMARK_OK) {
        status = weights_synthesize(bare->graph, 1, weights, error);
    }
    model_free(bare);
    if (status == VAEMARK_OK) {
        status = model_open(config, weights, p->name, &p->model, error);
    }
    /* An open model needs its files no more: weights are mapped. */
    if (config != NULL && weights != NULL) {
        (void)unlink(config);
        (void)unlink(weights);
    }
    free(config);
    free(weights);
    return status;
}

static enum vaemark_status open_model(struct conv_problem *p, struct error *error) {
    const char *temporary = getenv("TMPDIR");
    char *folder = path_join(temporary != NULL && temporary[0] != '\0' ? temporary : P_tmpdir, "bench_conv-XXXXXX");
    if (folder == NULL || mkdtemp(folder) == NULL) {
        error_set_at(error, VAEMARK_IO_ERROR, folder != NULL ? folder : "", "cannot make a folder; $TMPDIR says where");
        free(folder);
        return VAEMARK_IO_ERROR;
    }
    const enum vaemark_status status = open_model_in(p, folder, error);
    (void)rmdir(folder);
    free(folder);
    return status;
}

static float *read_parameter(const struct vaemark_graph *graph, const char *name) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        if (strcmp(graph->parameters[i].name, name) == 0) {
            float *numbers = malloc((size_t)shape_element_count(&graph->parameters[i].shape) * sizeof *numbers);
            if (numbers != NULL) {
                graph_read_parameter_f32(numbers, graph, (int32_t)i);
            }
            return numbers;
        }
    }
    return NULL;
}

static float *make_input(const struct conv_problem *p) {
    const size_t elements = (size_t)(p->in * p->height * p->width);
    float *input = malloc(elements * sizeof *input);
    for (size_t i = 0; input != NULL && i < elements; i++) {
        input[i] = synthetic_normal(1, "latents", (uint64_t)i);
    }
    return input;
}

enum vaemark_status conv_problem_open(const struct conv_layer *layer, int threads, struct conv_problem *problem,
                                      struct error *error) {
    *problem = conv_problem_describe(layer, threads);
    enum vaemark_status status = open_model(problem, error);
    if (status == VAEMARK_OK) {
        problem->weight = read_parameter(problem->model->graph, "operation.weight");
        problem->bias = read_parameter(problem->model->graph, "operation.bias");
        problem->input = make_input(problem);
        if (problem->weight == NULL || problem->bias == NULL || problem->input == NULL) {
            status = error_set_at(error, VAEMARK_OUT_OF_MEMORY, problem->name, "no memory for the layer's numbers");
        }
    }
    if (status != VAEMARK_OK) {
        conv_problem_close(problem);
    }
    return status;
}

void conv_problem_close(struct conv_problem *problem) {
    free(problem->weight);
    free(problem->bias);
    free(problem->input);
    model_free(problem->model);
    problem->weight = problem->bias = problem->input = NULL;
    problem->model = NULL;
}
