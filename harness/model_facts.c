#include "harness/model_facts.h"

#include <math.h>
#include <stdlib.h>

/* Shapes of all values for latents of size x size; data is never read. False where the graph says no. */
static bool infer(const struct vaemark_graph *graph, int64_t size, struct shape *shapes) {
    struct vaemark_tensor tensors[sizeof graph->inputs / sizeof *graph->inputs];
    struct vaemark_tensors list = {.items = tensors};
    for (size_t i = 0; i < graph->input_count; i++) {
        const struct graph_input *input = &graph->inputs[i];
        struct shape shape;
        if (input->optional) {
            continue;
        }
        if (!graph_input_shape(input, 1, size, size, &shape)) {
            return false;
        }
        tensors[list.count++] = tensor_make(input->name, input->rank == 3 ? VAEMARK_I32 : VAEMARK_F32, &shape, NULL);
    }
    return graph_infer_shapes(graph, &list, shapes, NULL) == VAEMARK_OK;
}

double model_flops_at(const struct model *model, int64_t size) {
    enum { PROBE_LATENTS = 16 };
    const struct vaemark_graph *graph = model->graph;
    struct shape *shapes = calloc((size_t)graph->value_count + 1, sizeof *shapes);
    double flops = (double)NAN;
    if (shapes && infer(graph, PROBE_LATENTS, shapes)) {
        const struct shape *image = &shapes[graph->output];
        int64_t scale = image->dims[image->rank - 1] / PROBE_LATENTS;
        if (scale > 0 && size % scale == 0 && infer(graph, size / scale, shapes)) {
            flops = (double)graph_flops(graph, shapes);
        }
    }
    free(shapes);
    return flops;
}

int64_t model_parameter_tensors(const struct model *model) {
    int64_t count = 0;
    for (size_t i = 0; i < model->graph->parameter_count; i++) {
        count += model->graph->parameters[i].origin == PARAMETER_STORED;
    }
    return count;
}

void model_record(struct record *record, const struct run_model *model) {
    struct model_row *row = record_append(record, TABLE_MODELS);
    if (!row) {
        return;
    }
    row->name = record_text(record, model->name);
    row->vae_type = record_text(record, model->model->type->name);
    row->config_sha256 = record_text(record, model->config_sha256);
    row->weights_sha256 = record_text(record, model->weights_sha256);
    row->weights_origin = record_text(record, model->origin);
    row->parameters = (int64_t)graph_parameter_elements(model->model->graph);
    row->parameter_tensors = model_parameter_tensors(model->model);
    row->weights_file_bytes = model->model->weights ? weights_file_bytes(model->model->weights) : -1;
    row->flops_512 = model_flops_at(model->model, 512);
    row->flops_1024 = model_flops_at(model->model, 1024);
    row->attention_modules = model->attention_count;
}
