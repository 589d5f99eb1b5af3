#include "kernels/cpu/bands.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/cpu/conv2d.h"

enum { TASKS_A_THREAD = 8 };

/* ---- rows: from those of an output to those of what it is made of ---- */

/* Stored rows of the convolved input from which output rows from `row` on are made. */
static size_t first_input_row(const struct step *step, size_t row) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t padded = row * c->stride;
    return (padded < c->padding ? 0 : padded - c->padding) / step->inputs[0].upsample;
}

/* ... and the end of those for the rows before `end`. */
static size_t end_input_row(const struct step *step, size_t end) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t padded = (end - 1) * c->stride + c->kernel_height;
    return at_most(step->inputs[0].height, divide_up(padded - at_most(c->padding, padded), step->inputs[0].upsample));
}

static bool reads(const struct operand *operand, int32_t buffer) {
    bool found = false;
    for (int32_t i = 0; i < operand->segment_count; i++) {
        found = found || operand->segments[i].buffer == buffer;
    }
    return found;
}

static int32_t written_buffer(const struct step *step) {
    return step->output.segments[0].buffer;
}

/* Rows of `buffer` that `step` needs to be made before it can make its rows before `end`; 0 where it reads none. */
static size_t rows_needed(const struct step *step, int32_t buffer, size_t end) {
    size_t needed = 0;
    if (reads(&step->inputs[0], buffer)) {
        needed = end_input_row(step, end);
    }
    if (reads(&step->residual, buffer)) {
        const size_t rows = divide_up(end, step->residual.upsample);
        needed = rows > needed ? rows : needed;
    }
    return needed;
}

/* The first row of `buffer` that `step` still needs when it has made the rows before `done`. */
static size_t first_row_needed(const struct step *step, int32_t buffer, size_t done) {
    size_t first = SIZE_MAX;
    if (done < step->output.height && reads(&step->inputs[0], buffer)) {
        first = first_input_row(step, done);
    }
    if (done < step->output.height && reads(&step->residual, buffer)) {
        first = at_most(first, done / step->residual.upsample);
    }
    return first;
}

/* ---- the order of rows ---- */

/* How far each step goes in the next round: the last one by a band, the others as far as that needs, in whole blocks.
 * The round after the last one's end makes what nobody in the group waited for. False when all rows are made. */
static bool next_round(const struct plan *plan, const struct band_group *group, const size_t *done, size_t *target) {
    const struct step *steps = plan->steps + group->first;
    const size_t last = group->count - 1;
    const bool flush = done[last] == steps[last].output.height;
    bool more = false;
    for (size_t i = group->count; i-- > 0;) {
        const size_t height = steps[i].output.height, block = steps[i].conv2d.block_rows;
        size_t wanted = flush ? height : i == last ? done[i] + group->band_rows : done[i];
        for (size_t k = i + 1; k < group->count; k++) {
            if (target[k] > done[k]) {
                const size_t needed = rows_needed(&steps[k], written_buffer(&steps[i]), target[k]);
                wanted = needed > wanted ? needed : wanted;
            }
        }
        target[i] = at_most(height, divide_up(wanted, block) * block);
        more = more || target[i] > done[i];
    }
    return more;
}

/* ---- plan ---- */

/* Rows of the last step a round, so that no step has less to do than keeps all threads busy. */
static size_t choose_band_rows(const struct plan *plan, const struct band_group *group, size_t threads) {
    const struct step *steps = plan->steps + group->first, *last = &steps[group->count - 1];
    size_t band = last->conv2d.block_rows;
    for (size_t i = 0; i < group->count; i++) {
        const struct conv2d_step *c = &steps[i].conv2d;
        const size_t across = divide_up(c->out_width, c->block_columns) *
                              divide_up(panel_count(steps[i].output.channels), c->block_panels);
        const size_t rows = divide_up(TASKS_A_THREAD * threads, across) * c->block_rows;
        const size_t scaled = divide_up(rows * last->output.height, steps[i].output.height);
        band = scaled > band ? scaled : band;
    }
    return divide_up(band, last->conv2d.block_rows) * last->conv2d.block_rows;
}

static bool can_be_banded(const struct step *step) {
    return step->type->run_rows != NULL && (step->type->has_rows == NULL || step->type->has_rows(step)) &&
           step->conv2d.out_height == step->output.height && step->output.height > 1;
}

/* Whether only steps of the group read the value, and each of them the whole of it. */
static bool is_private(const struct plan *plan, const struct band_group *group, int32_t buffer) {
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        const bool inside = i >= group->first && i < group->first + group->count;
        const struct operand *operands[] = {&step->inputs[0], &step->inputs[1], &step->inputs[2], &step->residual};
        for (size_t k = 0; k < sizeof operands / sizeof operands[0]; k++) {
            if (reads(operands[k], buffer) && !(inside && operands[k]->segment_count == 1)) {
                return false;
            }
        }
    }
    return true;
}

static void set_ring(struct plan *plan, int32_t buffer, size_t rows, size_t size_bytes) {
    for (size_t i = 0; i < plan->step_count; i++) {
        struct step *step = &plan->steps[i];
        struct operand *operands[] = {&step->inputs[0], &step->residual, &step->output};
        for (size_t k = 0; k < sizeof operands / sizeof operands[0]; k++) {
            if (reads(operands[k], buffer)) {
                operands[k]->ring_rows = rows;
            }
        }
    }
    plan->buffers[buffer].size_bytes = size_bytes;
}

/* The most rows of each step's value that are in use at a time, found by going through all rounds. `rows` has three
 * numbers a step, zeros; the first of them are the result. */
static void find_rings(const struct plan *plan, const struct band_group *group, size_t *rows) {
    const struct step *steps = plan->steps + group->first;
    size_t *done = rows + group->count, *target = done + group->count;
    while (next_round(plan, group, done, target)) {
        for (size_t i = 0; i < group->count; i++) {
            size_t first = target[i];
            for (size_t k = i + 1; k < group->count; k++) {
                first = at_most(first, first_row_needed(&steps[k], written_buffer(&steps[i]), done[k]));
            }
            rows[i] = target[i] - first > rows[i] ? target[i] - first : rows[i];
        }
        memcpy(done, target, group->count * sizeof *done);
    }
}

/* Rows that a step's value is kept in: whole blocks, so that none begins anew inside; all of them where others read it.
 */
static size_t kept_rows(const struct plan *plan, const struct band_group *group, size_t index, size_t used) {
    const struct step *step = &plan->steps[group->first + index];
    const size_t ring = divide_up(used > 0 ? used : 1, step->conv2d.block_rows) * step->conv2d.block_rows;
    return is_private(plan, group, written_buffer(step)) ? ring : step->output.height;
}

static size_t row_bytes(const struct operand *value) {
    return panel_count(value->channels) * value->width * PANEL * storage_bytes(value->segments[0].storage);
}

/* Whether the values inside take no more than the largest of them would; two are kept whole, before and behind the
 * group, where steps that run one after the other hold three. `rows` are in use of each. */
static bool saves(const struct plan *plan, const struct band_group *group, const size_t *rows) {
    size_t total = 0, unbanded = 0, largest = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct operand *value = &plan->steps[group->first + i].output;
        const bool last = i + 1 == group->count;
        const size_t whole = row_bytes(value) * value->height, kept = kept_rows(plan, group, i, rows[i]);
        largest = whole > largest ? whole : largest;
        unbanded += last ? 0 : whole;
        total += last && kept == value->height ? 0 : row_bytes(value) * kept;
    }
    return total <= largest && total < unbanded;
}

static void set_rings(struct plan *plan, const struct band_group *group, const size_t *rows) {
    for (size_t i = 0; i < group->count; i++) {
        const struct operand *value = &plan->steps[group->first + i].output;
        const size_t kept = kept_rows(plan, group, i, rows[i]);
        if (kept < value->height) {
            set_ring(plan, value->segments[0].buffer, kept, row_bytes(value) * kept);
        }
    }
}

/* The longest group from `first` on whose rings are small; count 0 where there is none of two. */
static bool find_group(struct plan *plan, size_t first, size_t end, size_t threads, struct band_group *found) {
    size_t *rows = calloc(3 * (end - first) + 1, sizeof *rows);
    *found = (struct band_group){.first = first};
    for (size_t count = 2; rows != NULL && count <= end - first; count++) {
        struct band_group group = {.first = first, .count = count};
        group.band_rows = choose_band_rows(plan, &group, threads);
        memset(rows, 0, 3 * count * sizeof *rows);
        find_rings(plan, &group, rows);
        /* a longer one may save again: a residual's reader may be the last to come in */
        *found = saves(plan, &group, rows) ? group : *found;
    }
    if (rows != NULL && found->count > 0) {
        memset(rows, 0, 3 * found->count * sizeof *rows);
        find_rings(plan, found, rows);
        set_rings(plan, found, rows);
    }
    free(rows);
    return rows != NULL;
}

bool bands_form(struct plan *plan, int threads) {
    plan->groups = calloc(plan->step_count + 1, sizeof *plan->groups);
    if (plan->groups == NULL) {
        return false;
    }
    for (size_t i = 0; i < plan->step_count;) {
        struct band_group group;
        size_t end = i;
        while (end < plan->step_count && can_be_banded(&plan->steps[end]) &&
               (end == i || plan->steps[end].inputs[0].upsample == 1)) {
            end++; /* what is upsampled is better kept whole while it is small */
        }
        if (!find_group(plan, i, end, (size_t)threads, &group)) {
            return false;
        }
        for (size_t k = 0; k < group.count; k++) {
            plan->steps[i + k].banded = true;
        }
        if (group.count > 0) {
            plan->groups[plan->group_count++] = group;
        }
        i += group.count > 0 ? group.count : 1;
    }
    return true;
}

/* ---- run ---- */

static void run_image(struct plan *plan, const struct band_group *group, const struct run *run, size_t image) {
    size_t *done = plan->band_progress, *target = done + group->count;
    memset(done, 0, group->count * sizeof *done);
    while (next_round(plan, group, done, target)) {
        for (size_t i = 0; i < group->count; i++) {
            const struct step *step = &plan->steps[group->first + i];
            if (target[i] == done[i]) {
                continue;
            }
            const int64_t start_ns = clock_monotonic_ns();
            const struct run placed = plan_place(plan, run, step);
            step->type->run_rows(&placed, step, image, done[i], target[i]);
            done[i] = target[i];
            plan->trace[group->first + i].time_ns += (uint64_t)(clock_monotonic_ns() - start_ns);
        }
    }
}

void bands_run(struct plan *plan, const struct band_group *group, const struct run *run) {
    for (size_t i = group->first; i < group->first + group->count; i++) {
        const struct step *step = &plan->steps[i];
        const int64_t start_ns = clock_monotonic_ns();
        if (step->type->begin != NULL) {
            const struct run placed = plan_place(plan, run, step);
            step->type->begin(&placed, step);
        }
        plan->trace[i].time_ns = (uint64_t)(clock_monotonic_ns() - start_ns);
    }
    for (size_t image = 0; image < plan->steps[group->first].output.images; image++) {
        run_image(plan, group, run, image);
    }
}
