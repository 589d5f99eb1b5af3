#include "kernels/cpu/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/cpu/conv2d.h"

/* ---- places: lifetimes, in-place steps, offsets ---- */

static void note_read(struct plan *plan, const struct operand *operand, int32_t step) {
    for (int32_t i = 0; i < operand->segment_count; i++) {
        plan->buffers[operand->segments[i].buffer].last_step = step;
    }
    if (operand->segment_count > 0 && operand->coefficients >= 0) {
        plan->buffers[operand->coefficients].last_step = step;
    }
}

static void find_lifetimes(struct plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->output.segment_count > 0) {
            struct arena_block *written = &plan->buffers[step->output.segments[0].buffer];
            written->first_step = written->last_step = (int32_t)i;
        }
        for (int32_t k = 0; k < step->input_count; k++) {
            note_read(plan, &step->inputs[k], (int32_t)i);
        }
        note_read(plan, &step->residual, (int32_t)i);
        if (step->workspace_buffer >= 0) {
            struct arena_block *scratch = &plan->buffers[step->workspace_buffer];
            scratch->first_step = scratch->last_step = (int32_t)i;
        }
    }
}

/* Read line by line as written: all of one buffer, nothing upsampled. */
static bool is_whole(const struct operand *operand) {
    const struct segment *segment = &operand->segments[0];
    return operand->segment_count == 1 && segment->first_panel == 0 && segment->panels == segment->image_panels &&
           operand->upsample == 1;
}

static bool reads_place(const struct operand *operand, const int32_t *alias, int32_t place) {
    for (int32_t i = 0; i < operand->segment_count; i++) {
        if (alias[operand->segments[i].buffer] == place) {
            return true;
        }
    }
    return operand->segment_count > 0 && operand->coefficients >= 0 && alias[operand->coefficients] == place;
}

/* Another operand may read the place that is overwritten only where it reads the very line that is written. */
static bool is_harmless(const struct step *step, const struct operand *other, const int32_t *alias, int32_t place) {
    return !reads_place(other, alias, place) || (step->type->input_inside && is_whole(other));
}

/* Puts the step's output into the place of an operand that dies here and that the step reads line by line, or `larger`
 * than the output and pixel by pixel. */
static bool take_place(struct plan *plan, int32_t *alias, int32_t index, const struct operand *dying, bool larger) {
    const struct step *step = &plan->steps[index];
    const int32_t output = step->output.segments[0].buffer;
    if (!is_whole(dying)) {
        return false;
    }
    const int32_t place = alias[dying->segments[0].buffer];
    const size_t size = plan->buffers[dying->segments[0].buffer].size_bytes, wanted = plan->buffers[output].size_bytes;
    if (plan->buffers[place].last_step != index || !(size == wanted || (larger && size > wanted))) {
        return false;
    }
    bool harmless = dying == &step->residual || is_harmless(step, &step->residual, alias, place);
    for (int32_t i = 0; i < step->input_count; i++) {
        harmless = harmless && (dying == &step->inputs[i] || is_harmless(step, &step->inputs[i], alias, place));
    }
    if (harmless) {
        alias[output] = place;
        plan->buffers[place].last_step = plan->buffers[output].last_step;
    }
    return harmless;
}

static void find_places(struct plan *plan, int32_t *alias) {
    for (size_t i = 0; i < plan->buffer_count; i++) {
        alias[i] = (int32_t)i;
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        bool taken = step->type->residual_inside && step->residual.segment_count > 0 &&
                     take_place(plan, alias, (int32_t)i, &step->residual, false);
        const bool larger = step->type->pixel_inside != NULL && step->type->pixel_inside(step);
        for (int32_t k = 0; !taken && (step->type->input_inside || larger) && k < step->input_count; k++) {
            taken = take_place(plan, alias, (int32_t)i, &step->inputs[k], larger);
        }
    }
}

static enum vaemark_status assign_places(struct plan *plan, struct error *error) {
    int32_t *alias = calloc(plan->buffer_count + 1, sizeof *alias);
    if (alias == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the plan");
    }
    find_lifetimes(plan);
    find_places(plan, alias);
    for (size_t i = 0; i < plan->buffer_count; i++) {
        if (alias[i] != (int32_t)i) {
            plan->buffers[i].size_bytes = 0;
        }
    }
    bool assigned = arena_assign(plan->buffers, plan->buffer_count, LINE_BYTES, &plan->arena_bytes);
    for (size_t i = 0; i < plan->buffer_count; i++) {
        plan->buffers[i].offset_bytes = plan->buffers[alias[i]].offset_bytes;
    }
    free(alias);
    return assigned ? VAEMARK_OK
                    : error_set(error, VAEMARK_OUT_OF_MEMORY, "the values between the nodes do not fit any memory");
}

/* ---- what a step costs and is called ---- */

static uint64_t stored_bytes(const struct operand *operand) {
    if (operand->segment_count == 0) {
        return 0;
    }
    return (uint64_t)operand->images * operand->channels * operand_pixels(operand) * sizeof(float);
}

/* The least traffic beside parameters: what is read, as it is stored, and what is written, once each. */
static uint64_t traffic_bytes(const struct step *step) {
    const struct operand *output = &step->output;
    const uint64_t coefficients = (uint64_t)output->images * output->channels * 3 * sizeof(float);
    if (step->type == &step_affine || step->type == &step_scale_shift || step->type == &step_batch_norm) {
        return 2 * coefficients + (step->input_count > 1 ? stored_bytes(&step->inputs[1]) : 0);
    }
    uint64_t bytes = stored_bytes(&step->residual);
    for (int32_t i = 0; i < step->input_count; i++) {
        bytes += stored_bytes(&step->inputs[i]);
    }
    if (step->type == &step_group_norm) {
        return bytes + coefficients;
    }
    if (step->type == &step_rms_norm) {
        return bytes + coefficients + (uint64_t)output->images * operand_pixels(output) * sizeof(float);
    }
    if (step->type == &step_pack || step->type == &step_unpack) {
        return 2 * (uint64_t)output->images * output->channels * operand_pixels(output) * sizeof(float);
    }
    return bytes + stored_bytes(output);
}

/* "conv3x3_panel_avx2", "conv3x3_winograd6_avx2", "linear_panel_avx2", "group_norm_moments_avx2". */
static void name_kernel(struct step *step, const char *isa) {
    const bool convolves = step->type == &step_conv2d || step->type == &step_conv2d_winograd ||
                           step->type == &step_conv2d_narrow || step->type == &step_conv2d_grouped ||
                           step->type == &step_conv2d_depthwise;
    if (!convolves) {
        snprintf(step->kernel, sizeof step->kernel, "%s_%s", step->type->kernel, isa);
    } else if (strcmp(step->op, op_name(OP_LINEAR)) == 0) {
        snprintf(step->kernel, sizeof step->kernel, "linear_panel_%s", isa);
    } else if (step->type == &step_conv2d_winograd) {
        snprintf(step->kernel, sizeof step->kernel, "conv3x3_winograd%zu_%s", step->conv2d.winograd, isa);
    } else {
        snprintf(step->kernel, sizeof step->kernel, "conv%zux%zu_%s_%s", step->conv2d.kernel_height,
                 step->conv2d.kernel_width, step->type->kernel, isa);
    }
}

/* Dense 3x3 convolutions may take fewer multiplications. */
static void choose_algorithms(struct plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        if (step->type == &step_conv2d) {
            step->conv2d.winograd = conv2d_winograd_choose(step);
            step->type = step->conv2d.winograd > 0 ? &step_conv2d_winograd : &step_conv2d;
        }
    }
}

/* Blocks, and scratch as a buffer that only its step needs. */
static enum vaemark_status plan_steps(struct plan *plan, const struct plan_settings *settings, struct error *error) {
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        size_t wanted;
        step->workspace_buffer = -1;
        if (step->type->plan == NULL) {
            continue;
        }
        step->type->plan(step, settings->threads, &step->workspace);
        if (__builtin_mul_overflow(step->workspace.thread_bytes, (size_t)settings->threads, &wanted) ||
            __builtin_add_overflow(wanted, step->workspace.shared_bytes, &wanted)) {
            return error_set_at(error, VAEMARK_OUT_OF_MEMORY, step->module, "the scratch does not fit any memory");
        }
        if (wanted > 0) {
            step->workspace_buffer = (int32_t)plan->buffer_count;
            plan->buffers[plan->buffer_count++] = (struct arena_block){.size_bytes = wanted};
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status finish_steps(struct plan *plan, const struct plan_settings *settings, struct error *error) {
    plan->trace = calloc(plan->step_count, sizeof *plan->trace);
    if (plan->trace == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the trace");
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        step->bytes += traffic_bytes(step);
        name_kernel(step, settings->kernels->name);
        plan->trace[i] = (struct vaemark_trace_entry){
            .module = step->module, .op = step->op, .kernel = step->kernel, .flops = step->flops, .bytes = step->bytes};
    }
    return VAEMARK_OK;
}

enum vaemark_status plan_create(const struct vaemark_graph *graph, const struct packed *packed,
                                const struct vaemark_tensors *inputs, const struct plan_settings *settings,
                                struct plan **result, struct error *error) {
    struct shape *shapes = calloc((size_t)graph->value_count + 1, sizeof *shapes);
    struct plan *plan = calloc(1, sizeof *plan);
    enum vaemark_status status;

    *result = NULL;
    if (shapes == NULL || plan == NULL) {
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the plan");
        goto cleanup;
    }
    status = graph_infer_shapes(graph, inputs, shapes, error);
    if (status == VAEMARK_OK) {
        status = plan_lower(plan, graph, packed, shapes, error);
    }
    if (status == VAEMARK_OK && !settings->direct) {
        choose_algorithms(plan);
    }
    if (status == VAEMARK_OK) {
        status = plan_steps(plan, settings, error);
    }
    if (status == VAEMARK_OK) {
        status = assign_places(plan, error);
    }
    if (status == VAEMARK_OK) {
        status = finish_steps(plan, settings, error);
    }
cleanup:
    free(shapes);
    if (status != VAEMARK_OK) {
        plan_free(plan);
        return status;
    }
    *result = plan;
    return VAEMARK_OK;
}

void plan_free(struct plan *plan) {
    if (plan == NULL) {
        return;
    }
    free(plan->trace);
    free(plan->buffers);
    free(plan->steps);
    free(plan);
}

void plan_run(struct plan *plan, const struct run *run) {
    struct run placed = *run;
    placed.buffers = plan->buffers;
    for (size_t i = 0; i < plan->step_count; i++) {
        const int64_t start_ns = clock_monotonic_ns();
        const int32_t scratch = plan->steps[i].workspace_buffer;
        placed.workspace = scratch < 0 ? NULL : run->arena + plan->buffers[scratch].offset_bytes;
        plan->steps[i].type->run(&placed, &plan->steps[i]);
        plan->trace[i].time_ns = (uint64_t)(clock_monotonic_ns() - start_ns);
    }
}
