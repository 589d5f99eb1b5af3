#include "kernels/cpu/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/cpu/bands.h"
#include "kernels/cpu/conv2d.h"
#include "kernels/cpu/moments.h"
#include "kernels/cpu/shortcuts.h"
#include "kernels/cpu/storage.h"

/* ---- places: lifetimes, in-place steps, offsets ---- */

static void note_read(struct plan *plan, const struct operand *operand, int32_t step) {
    for (int32_t i = 0; i < operand->segment_count; i++) {
        plan->buffers[operand->segments[i].buffer].last_step = step;
    }
    if (operand->segment_count > 0 && operand->coefficients >= 0) {
        plan->buffers[operand->coefficients].last_step = step;
    }
}

static void note_scratch(struct plan *plan, int32_t buffer, int32_t step) {
    if (buffer >= 0) {
        plan->buffers[buffer].first_step = plan->buffers[buffer].last_step = step;
    }
}

/* Steps of a group run at the same time: what is alive at one of them is alive at all. */
static void extend_lifetimes(struct plan *plan, int32_t first, int32_t last) {
    for (size_t i = 0; i < plan->buffer_count; i++) {
        struct arena_block *block = &plan->buffers[i];
        if (block->first_step <= last && block->last_step >= first) {
            block->first_step = block->first_step < first ? block->first_step : first;
            block->last_step = block->last_step > last ? block->last_step : last;
        }
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
        if (step->moments_buffer >= 0) { /* the convolution comes first, whichever norms follow */
            struct arena_block *moments = &plan->buffers[step->moments_buffer];
            moments->first_step = step->type == &step_group_norm ? moments->first_step : (int32_t)i;
            moments->last_step = (int32_t)i;
        }
        note_scratch(plan, step->shared_buffer, (int32_t)i);
        note_scratch(plan, step->thread_buffer, (int32_t)i);
    }
    for (size_t i = 0; i < plan->group_count; i++) {
        extend_lifetimes(plan, (int32_t)plan->groups[i].first,
                         (int32_t)(plan->groups[i].first + plan->groups[i].count - 1));
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
    if (!is_whole(dying) || dying->segments[0].storage != step->output.segments[0].storage) {
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
        if (step->banded) {
            continue; /* others of its group have not read the rows yet */
        }
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
    uint64_t channel_bytes = 0, left = operand->channels;
    for (int32_t i = 0; i < operand->segment_count; i++) {
        const uint64_t channels = at_most(operand->segments[i].panels * PANEL, left);
        channel_bytes += channels * storage_bytes(operand->segments[i].storage);
        left -= channels;
    }
    return (uint64_t)operand->images * operand_pixels(operand) * channel_bytes;
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
        const uint64_t lanes = (uint64_t)output->images * panel_count(output->channels) * PANEL;
        return coefficients + (step->moments_buffer < 0 ? bytes : lanes * step->moments_parts * sizeof(struct moments));
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
                           step->type == &step_conv2d_bf16 || step->type == &step_conv2d_narrow ||
                           step->type == &step_conv2d_grouped || step->type == &step_conv2d_depthwise;
    if (!convolves) {
        snprintf(step->kernel, sizeof step->kernel, "%s_%s", step->type->kernel, isa);
    } else if (strcmp(step->op, op_name(OP_LINEAR)) == 0) {
        snprintf(step->kernel, sizeof step->kernel, "linear_%s_%s", step->type->kernel, isa);
    } else if (step->type == &step_conv2d_winograd) {
        snprintf(step->kernel, sizeof step->kernel, "conv3x3_winograd%zu_%s", step->conv2d.winograd, isa);
    } else {
        snprintf(step->kernel, sizeof step->kernel, "conv%zux%zu_%s_%s", step->conv2d.kernel_height,
                 step->conv2d.kernel_width, step->type->kernel, isa);
    }
}

/* ... and how its value is kept, where it is one of those that run depth first. */
static void add_banding(struct step *step) {
    const size_t used = strlen(step->why);
    if (step->banded && step->output.ring_rows > 0) {
        snprintf(step->why + used, sizeof step->why - used, "; in bands, keeps %zu of %zu rows", step->output.ring_rows,
                 step->output.height);
    } else if (step->banded) {
        snprintf(step->why + used, sizeof step->why - used, "; in bands");
    }
}

static int32_t add_scratch(struct plan *plan, size_t size_bytes) {
    if (size_bytes == 0) {
        return -1;
    }
    plan->buffers[plan->buffer_count] = (struct arena_block){.size_bytes = size_bytes};
    return (int32_t)plan->buffer_count++;
}

/* Blocks, and scratch as buffers that only their step needs. */
static enum vaemark_status plan_steps(struct plan *plan, const struct plan_settings *settings, struct error *error) {
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        size_t threads_bytes;
        if (step->type->plan != NULL) {
            step->type->plan(step, settings->threads, &step->workspace);
        }
        if (__builtin_mul_overflow(step->workspace.thread_bytes, (size_t)settings->threads, &threads_bytes)) {
            return error_set_at(error, VAEMARK_OUT_OF_MEMORY, step->module, "the scratch does not fit any memory");
        }
        step->shared_buffer = add_scratch(plan, step->workspace.shared_bytes);
        step->thread_buffer = add_scratch(plan, threads_bytes);
    }
    return VAEMARK_OK;
}

/* One step of a group runs at a time: the threads' scratch of the largest serves all. */
static void share_scratch(struct plan *plan, const struct band_group *group) {
    const struct step *steps = plan->steps + group->first;
    int32_t largest = steps[0].thread_buffer;
    for (size_t i = 1; i < group->count; i++) {
        const int32_t buffer = steps[i].thread_buffer;
        if (largest < 0 || (buffer >= 0 && plan->buffers[buffer].size_bytes > plan->buffers[largest].size_bytes)) {
            largest = buffer;
        }
    }
    for (size_t i = 0; i < group->count; i++) {
        struct step *step = &plan->steps[group->first + i];
        if (step->thread_buffer >= 0 && step->thread_buffer != largest) {
            plan->buffers[step->thread_buffer].size_bytes = 0;
            step->thread_buffer = largest;
        }
    }
}

static enum vaemark_status form_bands(struct plan *plan, const struct plan_settings *settings, struct error *error) {
    size_t most = 0;
    bool formed = bands_form(plan, settings->threads);
    for (size_t i = 0; formed && i < plan->group_count; i++) {
        share_scratch(plan, &plan->groups[i]);
        most = plan->groups[i].count > most ? plan->groups[i].count : most;
    }
    plan->band_progress = calloc(2 * most + 1, sizeof *plan->band_progress);
    return formed && plan->band_progress != NULL
               ? VAEMARK_OK
               : error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the plan of %zu steps", plan->step_count);
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
        add_banding(step);
        plan->trace[i] = (struct vaemark_trace_entry){.module = step->module,
                                                      .op = step->op,
                                                      .kernel = step->kernel,
                                                      .flops = step->flops,
                                                      .bytes = step->bytes,
                                                      .why = step->why};
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
    if (status == VAEMARK_OK) {
        shortcuts_hoist(plan);
    }
    if (status == VAEMARK_OK && settings->storage == STORAGE_BF16 && !storage_narrow(plan)) {
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the plan");
    }
    for (size_t i = 0; status == VAEMARK_OK && i < plan->step_count; i++) {
        conv2d_choose(&plan->steps[i], settings->kernels, settings->direct);
    }
    if (status == VAEMARK_OK) {
        status = plan_steps(plan, settings, error);
    }
    if (status == VAEMARK_OK) {
        moments_fuse(plan);
        status = form_bands(plan, settings, error);
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
    free(plan->band_progress);
    free(plan->groups);
    free(plan->trace);
    free(plan->buffers);
    free(plan->steps);
    free(plan);
}

static char *place_of(const struct plan *plan, const struct run *run, int32_t buffer) {
    return buffer < 0 ? NULL : run->arena + plan->buffers[buffer].offset_bytes;
}

struct run plan_place(const struct plan *plan, const struct run *run, const struct step *step) {
    struct run placed = *run;
    placed.buffers = plan->buffers;
    placed.shared_workspace = place_of(plan, run, step->shared_buffer);
    placed.thread_workspace = place_of(plan, run, step->thread_buffer);
    placed.moments = place_of(plan, run, step->moments_buffer);
    return placed;
}

void plan_run(struct plan *plan, const struct run *run) {
    const struct band_group *group = plan->groups;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->banded) {
            bands_run(plan, group, run);
            i += group->count - 1;
            group++;
            continue;
        }
        const int64_t start_ns = clock_monotonic_ns();
        const struct run placed = plan_place(plan, run, step);
        step->type->run(&placed, step);
        plan->trace[i].time_ns = (uint64_t)(clock_monotonic_ns() - start_ns);
    }
}
