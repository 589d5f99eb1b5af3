#include "reference/execution.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "reference/ops/ops.h"

static const size_t ALIGNMENT_BYTES = 64;

struct execution {
    const struct vaemark_graph *graph;
    const struct shape *shapes;
    const struct execution_settings *settings;
    const struct vaemark_host *host; /* NULL: planning */
    const struct vaemark_tensors *inputs;
    const struct vaemark_tensor *image;
    struct vaemark_trace_entry *entries;
    const struct op_kernel *kernels;
    size_t real_size_bytes;
    void **data;       /* of each value while it lives */
    int32_t *last_use; /* of each value */
    bool *live;        /* values that hold memory of the host's */
    uint64_t current_bytes[VAEMARK_MEMORY_CLASS_COUNT], peak_bytes[VAEMARK_MEMORY_CLASS_COUNT];
    struct error *error;
};

/* A node's parameters, converted to the precision, and its scratch: one allocation. */
struct workspace {
    size_t parameter_offsets[GRAPH_MAX_NODE_PARAMETERS], scratch_offset, size_bytes;
    unsigned char *memory;
};

static enum vaemark_status execution_allocate(struct execution *execution, size_t size_bytes,
                                              enum vaemark_memory_class memory_class, void **memory) {
    *memory = NULL;
    if (execution->host != NULL) {
        const struct vaemark_host *host = execution->host;
        *memory = host->allocate(host->user, size_bytes, ALIGNMENT_BYTES, memory_class);
        if (*memory == NULL) {
            char text[32];
            return error_set(execution->error, VAEMARK_OUT_OF_MEMORY,
                             "out of memory: %s more were refused; decode a "
                             "smaller image or batch",
                             text_format_bytes((double)size_bytes, text, sizeof text));
        }
    }
    execution->current_bytes[memory_class] += size_bytes;
    if (execution->current_bytes[memory_class] > execution->peak_bytes[memory_class]) {
        execution->peak_bytes[memory_class] = execution->current_bytes[memory_class];
    }
    return VAEMARK_OK;
}

static void execution_release(struct execution *execution, void *memory, size_t size_bytes,
                              enum vaemark_memory_class memory_class) {
    execution->current_bytes[memory_class] -= size_bytes;
    if (execution->host != NULL) {
        execution->host->release(execution->host->user, memory);
    }
}

static size_t value_size_bytes(const struct execution *execution, int32_t value) {
    return (size_t)shape_element_count(&execution->shapes[value]) * execution->real_size_bytes;
}

static enum vaemark_status value_allocate(struct execution *execution, int32_t value) {
    const enum vaemark_status status = execution_allocate(execution, value_size_bytes(execution, value),
                                                          VAEMARK_MEMORY_ACTIVATIONS, &execution->data[value]);

    execution->live[value] = status == VAEMARK_OK;
    return status;
}

static void value_release(struct execution *execution, int32_t value) {
    if (execution->live[value]) {
        execution_release(execution, execution->data[value], value_size_bytes(execution, value),
                          VAEMARK_MEMORY_ACTIVATIONS);
        execution->live[value] = false;
        execution->data[value] = NULL;
    }
}

static void read_reals(const struct execution *execution, void *out, const struct vaemark_tensor *tensor, int64_t first,
                       int64_t count) {
    if (execution->settings->bits == 32) {
        tensor_read_f32(out, tensor, first, count);
    } else {
        tensor_read_f64(out, tensor, first, count);
    }
}

/* A joined parameter's tensor is memory of the decoder's own, as a whole. */
static void read_parameter(const struct execution *execution, void *out, const struct graph_parameter *parameter,
                           int64_t first, int64_t count) {
    if (execution->settings->bits == 32) {
        parameter_read_f32(out, parameter, first, count);
    } else {
        parameter_read_f64(out, parameter, first, count);
    }
}

static bool is_absent(const struct execution *execution, int32_t value) {
    return execution->shapes[value].rank == 0;
}

/* Copies every input that is read into an activation. */
static enum vaemark_status execution_read_inputs(struct execution *execution) {
    enum vaemark_status status = VAEMARK_OK;

    for (size_t i = 0; status == VAEMARK_OK && i < execution->graph->input_count; i++) {
        const struct graph_input *input = &execution->graph->inputs[i];
        if (execution->last_use[input->value] < 0 || is_absent(execution, input->value)) {
            continue;
        }
        status = value_allocate(execution, input->value);
        if (status == VAEMARK_OK && execution->host != NULL) {
            read_reals(execution, execution->data[input->value], tensors_find(execution->inputs, input->name), 0,
                       shape_element_count(&execution->shapes[input->value]));
        }
    }
    return status;
}

/* An embedding reads one row of its table; others the whole parameter. */
static int64_t parameter_count_read(const struct execution *execution, const struct graph_node *node, int32_t index) {
    const struct shape *shape = &execution->graph->parameters[node->parameters[index]].shape;

    return node->op == OP_EMBEDDING ? shape->dims[1] : shape_element_count(shape);
}

static size_t align_up(size_t size_bytes) {
    return (size_bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
}

static struct op_call node_call(const struct execution *execution, const struct graph_node *node) {
    struct op_call call = {.attributes = &node->attributes,
                           .in_count = node->input_count,
                           .out_shape = execution->shapes[node->output],
                           .threads = execution->settings->threads};

    for (int32_t i = 0; i < node->input_count; i++) {
        call.in[i] = execution->data[node->inputs[i]];
        call.in_shapes[i] = execution->shapes[node->inputs[i]];
    }
    for (int32_t i = 0; i < node->parameter_count; i++) {
        call.parameter_shapes[i] = execution->graph->parameters[node->parameters[i]].shape;
    }
    return call;
}

/* Makes the workspace and, when running, fills in the parameters and points the call at them. */
static enum vaemark_status workspace_open(struct execution *execution, const struct graph_node *node,
                                          struct op_call *call, struct workspace *workspace) {
    const struct op_kernel *kernel = &execution->kernels[node->op];
    enum vaemark_status status;
    void *memory;

    *workspace = (struct workspace){0};
    for (int32_t i = 0; i < node->parameter_count; i++) {
        workspace->parameter_offsets[i] = workspace->size_bytes;
        workspace->size_bytes +=
            align_up((size_t)parameter_count_read(execution, node, i) * execution->real_size_bytes);
    }
    workspace->scratch_offset = workspace->size_bytes;
    workspace->size_bytes += kernel->scratch_size_bytes == NULL ? 0 : align_up(kernel->scratch_size_bytes(call));
    if (workspace->size_bytes == 0) {
        return VAEMARK_OK;
    }
    status = execution_allocate(execution, workspace->size_bytes, VAEMARK_MEMORY_WORKSPACE, &memory);
    if (status != VAEMARK_OK) {
        workspace->size_bytes = 0;
        return status;
    }
    workspace->memory = memory;
    for (int32_t i = 0; execution->host != NULL && i < node->parameter_count; i++) {
        const int64_t count = parameter_count_read(execution, node, i);
        const int64_t first = node->op == OP_EMBEDDING ? node->attributes.embedding.row * count : 0;
        void *out = workspace->memory + workspace->parameter_offsets[i];
        read_parameter(execution, out, &execution->graph->parameters[node->parameters[i]], first, count);
        call->parameters[i] = out;
    }
    call->scratch = execution->host == NULL ? NULL : workspace->memory + workspace->scratch_offset;
    return VAEMARK_OK;
}

static void workspace_close(struct execution *execution, struct workspace *workspace) {
    if (workspace->size_bytes > 0) {
        execution_release(execution, workspace->memory, workspace->size_bytes, VAEMARK_MEMORY_WORKSPACE);
    }
}

static enum vaemark_status execution_node(struct execution *execution, size_t index) {
    const struct graph_node *node = &execution->graph->nodes[index];
    struct op_call call = node_call(execution, node);
    struct workspace workspace = {0};
    enum vaemark_status status = VAEMARK_OK;

    if (is_absent(execution, node->output)) {
        return VAEMARK_OK;
    }
    status = workspace_open(execution, node, &call, &workspace);

    if (status == VAEMARK_OK && node->output == execution->graph->output) {
        /* The last value is made where the caller wants it. */
        execution->data[node->output] = execution->host == NULL ? NULL : execution->image->data;
    } else if (status == VAEMARK_OK) {
        status = value_allocate(execution, node->output);
    }
    if (status == VAEMARK_OK && execution->host != NULL) {
        call.out = execution->data[node->output];
        execution->kernels[node->op].run(&call);
    }
    workspace_close(execution, &workspace);
    for (int32_t i = 0; status == VAEMARK_OK && i < node->input_count; i++) {
        if (execution->last_use[node->inputs[i]] == (int32_t)index) {
            value_release(execution, node->inputs[i]);
        }
    }
    if (execution->last_use[node->output] < 0) {
        value_release(execution, node->output);
    }
    return status;
}

static void execution_record(struct execution *execution, size_t index, int64_t time_ns) {
    const struct graph_node *node = &execution->graph->nodes[index];

    execution->entries[index] = (struct vaemark_trace_entry){
        .module = node->module,
        .op = op_name(node->op),
        .kernel = execution->kernels[node->op].name,
        .time_ns = time_ns < 0 ? 0 : (uint64_t)time_ns,
        .flops = graph_node_flops(execution->graph, node, execution->shapes),
        .bytes = graph_node_bytes(execution->graph, node, execution->shapes, execution->real_size_bytes),
    };
}

/* A graph whose output is one of its inputs. */
static void execution_copy_image(struct execution *execution) {
    for (size_t i = 0; i < execution->graph->input_count; i++) {
        const struct graph_input *input = &execution->graph->inputs[i];
        if (input->value == execution->graph->output) {
            read_reals(execution, execution->image->data, tensors_find(execution->inputs, input->name), 0,
                       shape_element_count(&execution->shapes[input->value]));
        }
    }
}

static enum vaemark_status execution_walk(struct execution *execution) {
    const struct vaemark_graph *graph = execution->graph;
    const size_t values = (size_t)graph->value_count;
    int64_t before_ns = clock_monotonic_ns();
    enum vaemark_status status;

    execution->kernels = execution->settings->bits == 32 ? op_kernels_fp32 : op_kernels_fp64;
    execution->real_size_bytes = (size_t)execution->settings->bits / 8;
    execution->data = calloc(values + 1, sizeof *execution->data);
    execution->last_use = calloc(values + 1, sizeof *execution->last_use);
    execution->live = calloc(values + 1, sizeof *execution->live);
    if (execution->data == NULL || execution->last_use == NULL || execution->live == NULL) {
        status = error_set(execution->error, VAEMARK_OUT_OF_MEMORY, "out of memory before the first node");
        goto cleanup;
    }
    graph_last_uses(graph, execution->last_use);
    status = execution_read_inputs(execution);
    /* A node's time is from the end of the one before to its own end, so that they add up to the whole decode. */
    for (size_t i = 0; status == VAEMARK_OK && i < graph->node_count; i++) {
        status = execution_node(execution, i);
        if (status == VAEMARK_OK && execution->host != NULL) {
            const int64_t now_ns = clock_monotonic_ns();
            execution_record(execution, i, now_ns - before_ns);
            before_ns = now_ns;
        }
    }
    if (status == VAEMARK_OK && execution->host != NULL) {
        execution_copy_image(execution);
    }
    for (int32_t value = 0; value < graph->value_count; value++) {
        value_release(execution, value);
    }
cleanup:
    free(execution->data);
    free(execution->last_use);
    free(execution->live);
    return status;
}

enum vaemark_status execution_plan(const struct vaemark_graph *graph, const struct shape *shapes,
                                   const struct execution_settings *settings,
                                   uint64_t peak_bytes[VAEMARK_MEMORY_CLASS_COUNT], struct error *error) {
    struct execution execution = {.graph = graph, .shapes = shapes, .settings = settings, .error = error};
    const enum vaemark_status status = execution_walk(&execution);

    for (int i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++) {
        peak_bytes[i] = execution.peak_bytes[i];
    }
    return status;
}

enum vaemark_status execution_run(const struct vaemark_graph *graph, const struct shape *shapes,
                                  const struct execution_settings *settings, const struct vaemark_host *host,
                                  const struct vaemark_tensors *inputs, const struct vaemark_tensor *image,
                                  struct vaemark_trace_entry *entries, struct error *error) {
    struct execution execution = {.graph = graph,
                                  .shapes = shapes,
                                  .settings = settings,
                                  .host = host,
                                  .inputs = inputs,
                                  .image = image,
                                  .entries = entries,
                                  .error = error};

    return execution_walk(&execution);
}
