#include "kernels/cpu/passes.h"

#include <stdlib.h>
#include <string.h>

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static enum vaemark_status create_plans(struct passes *passes, const struct vaemark_graph *graph,
                                        const struct packed *packed, const struct vaemark_tensors *inputs,
                                        const struct passes_settings *settings, struct error *error) {
    struct vaemark_tensor items[sizeof graph->inputs / sizeof graph->inputs[0]];
    const struct vaemark_graph tile = graph_of_tile(graph);
    enum vaemark_status status = VAEMARK_OK;
    for (int32_t i = 0; status == VAEMARK_OK && i < tiling_shape_count(&passes->tiling); i++) {
        const struct vaemark_tensors pass = tiling_shape_inputs(&passes->tiling, inputs, i, items);
        status =
            plan_create(passes->tiling.tiled ? &tile : graph, packed, &pass, &settings->plan, &passes->plans[i], error);
        if (status == VAEMARK_OK) {
            passes->arena_bytes = larger(passes->arena_bytes, passes->plans[i]->arena_bytes);
            passes->trace_count += passes->plans[i]->step_count * (size_t)tiling_shape_uses(&passes->tiling, i);
        }
    }
    return status;
}

static void append_trace(struct passes *passes, const struct plan *plan) {
    memcpy(passes->trace + passes->trace_count, plan->trace, plan->step_count * sizeof *plan->trace);
    passes->trace_count += plan->step_count;
}

/* The trace as it will be, with times of 0. */
static void fill_trace(struct passes *passes) {
    const struct tiling *tiling = &passes->tiling;
    passes->trace_count = 0;
    for (int64_t s = 0; s < tiling->slices; s++) {
        if (!tiling->tiled) {
            append_trace(passes, passes->plans[0]);
        }
        for (int64_t i = 0; tiling->tiled && i < tiling->rows.count * tiling->columns.count; i++) {
            const struct tiling_span row = tiling_span(&tiling->rows, i / tiling->columns.count);
            const struct tiling_span column = tiling_span(&tiling->columns, i % tiling->columns.count);
            append_trace(passes, passes->plans[row.size_index * tiling->columns.size_count + column.size_index]);
        }
    }
}

enum vaemark_status passes_create(const struct vaemark_graph *graph, const struct packed *packed,
                                  const struct vaemark_tensors *inputs, const struct passes_settings *settings,
                                  struct passes **result, struct error *error) {
    struct passes *passes = calloc(1, sizeof *passes);
    *result = NULL;
    if (passes == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the plan");
    }
    enum vaemark_status status = tiling_plan(graph, inputs, &settings->tiling, &passes->tiling, error);
    if (status == VAEMARK_OK) {
        status = create_plans(passes, graph, packed, inputs, settings, error);
    }
    if (status == VAEMARK_OK) {
        passes->trace = calloc(passes->trace_count + 1, sizeof *passes->trace);
        status =
            passes->trace != NULL ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the trace");
    }
    if (status != VAEMARK_OK) {
        passes_free(passes);
        return status;
    }
    fill_trace(passes);
    if (passes->tiling.tiled) {
        passes->scratch_offset_bytes = divide_up(passes->arena_bytes, LINE_BYTES) * LINE_BYTES;
        passes->arena_bytes = passes->scratch_offset_bytes + tiling_scratch_bytes(&passes->tiling, inputs, VAEMARK_F32);
    }
    *result = passes;
    return VAEMARK_OK;
}

void passes_free(struct passes *passes) {
    if (passes == NULL) {
        return;
    }
    for (int i = 0; i < TILING_MAX_SHAPES; i++) {
        plan_free(passes->plans[i]);
    }
    free(passes->trace);
    free(passes);
}

struct pass {
    struct passes *passes;
    const struct run *run;
};

static enum vaemark_status run_pass(void *context, int32_t shape, const struct vaemark_tensors *inputs,
                                    const struct vaemark_tensor *image, struct error *error) {
    const struct pass *pass = context;
    struct run run = *pass->run;
    (void)error;
    run.inputs = inputs;
    run.image = image->data;
    plan_run(pass->passes->plans[shape], &run);
    append_trace(pass->passes, pass->passes->plans[shape]);
    return VAEMARK_OK;
}

void passes_run(struct passes *passes, const struct run *run) {
    struct pass pass = {.passes = passes, .run = run};
    const struct vaemark_tensor image = tensor_make("image", VAEMARK_F32, &passes->tiling.image, run->image);
    struct tiling_run all = {.tiling = &passes->tiling,
                             .inputs = run->inputs,
                             .image = &image,
                             .threads = run->threads,
                             .decode = run_pass,
                             .context = &pass};
    if (passes->tiling.tiled) {
        all.scratch = run->arena + passes->scratch_offset_bytes;
    }
    passes->trace_count = 0;
    (void)tiling_run(&all, NULL); /* passes cannot fail */
    if (passes->tiling.tiled) {
        passes->trace[passes->trace_count++] = tiling_trace_entry(&all);
    }
}
