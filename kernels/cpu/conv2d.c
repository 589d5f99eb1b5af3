/* Convolutions and linears, direct. A task loads the patch of inputs that its outputs need, once, with everything that
 * the operand carries (normalisation, activation, upsampling, zero padding); the taps of the kernel are then shifted
 * views of the patch, so that the reduction is one product of K = taps x channels. A linear is a 1x1 convolution over
 * one long row of pixels. */
#include <string.h>

#include "kernels/cpu/step.h"

enum {
    BLOCK_COLUMNS = 64,
    BLOCK_PIXELS = 256,   /* outputs a task: enough for the weights to be read from memory seldom */
    CHUNK_BLOCKS = 18,    /* blocks of 16 x 16 weights a call: 18 KiB stay in the first-level cache */
    WANTED_TASKS = 32,    /* small images are divided by output channels as well */
    LEAST_TASK_PANELS = 4 /* but not into less: each part loads the patch anew */
};

/* The largest part when `whole` is cut into equal parts of at most `limit`. */
static size_t even_part(size_t whole, size_t limit) {
    return divide_up(whole, divide_up(whole, limit));
}

/* One long row instead of an image, where nothing looks at neighbours. */
static bool is_pointwise(const struct step *step) {
    const struct conv2d_step *c = &step->conv2d;
    return c->kernel_height == 1 && c->kernel_width == 1 && c->stride == 1 && c->padding == 0 &&
           step->inputs[0].upsample == 1 && (step->residual.segment_count == 0 || step->residual.upsample == 1);
}

static void plan_blocks(struct step *step) {
    struct conv2d_step *c = &step->conv2d;
    const size_t out_panels = panel_count(step->output.channels), taps = c->kernel_height * c->kernel_width;
    c->in_height = step->inputs[0].height * step->inputs[0].upsample;
    c->in_width = step->inputs[0].width * step->inputs[0].upsample;
    c->out_height = step->output.height;
    c->out_width = step->output.width;
    if (is_pointwise(step)) {
        c->in_width *= c->in_height;
        c->in_height = 1;
        c->out_width *= c->out_height;
        c->out_height = 1;
    }
    c->block_columns = even_part(c->out_width, c->out_height == 1 ? BLOCK_PIXELS : BLOCK_COLUMNS);
    c->block_rows = even_part(c->out_height, c->block_columns < BLOCK_PIXELS ? BLOCK_PIXELS / c->block_columns : 1);
    const size_t blocks =
        step->output.images * divide_up(c->out_height, c->block_rows) * divide_up(c->out_width, c->block_columns);
    size_t parts = divide_up(WANTED_TASKS, blocks), most = divide_up(out_panels, LEAST_TASK_PANELS);
    c->block_panels = divide_up(out_panels, parts < most ? parts : most);
    c->chunk_panels = taps < CHUNK_BLOCKS ? CHUNK_BLOCKS / taps : 1;
}

static size_t patch_rows(const struct conv2d_step *c) {
    return (c->block_rows - 1) * c->stride + c->kernel_height;
}

static size_t patch_columns(const struct conv2d_step *c) {
    return (c->block_columns - 1) * c->stride + c->kernel_width;
}

/* Floats of one input panel's patch. */
static size_t patch_floats(const struct conv2d_step *c) {
    return patch_rows(c) * patch_columns(c) * PANEL;
}

static size_t offset_floats(const struct conv2d_step *c) {
    size_t bytes = c->chunk_panels * c->kernel_height * c->kernel_width * sizeof(size_t);
    return divide_up(bytes, LINE_BYTES) * PANEL;
}

static void conv2d_plan(struct step *step, struct step_workspace *workspace) {
    struct conv2d_step *c = &step->conv2d;
    plan_blocks(step);
    const size_t sums = c->block_panels * c->block_rows * c->block_columns * PANEL;
    workspace->thread_bytes =
        (offset_floats(c) + patch_floats(c) * panel_count(step->inputs[0].channels) + sums) * sizeof(float);
}

/* A thread's share: what to compute, and its scratch. */
struct task {
    const struct run *run;
    const struct step *step;
    size_t image, y, x, rows, columns, panel, panels;
    size_t *offsets; /* of the blocks of one chunk within the patch */
    float *patch;    /* (input panels, patch rows, patch columns, 16) */
    float *sums;     /* (panels, rows, columns, 16) */
};

/* One line of the patch; `row` and `column` start at its left, and may lie outside the image: zeros there. */
static void load_patch_row(float *out, const struct task *task, size_t panel, size_t row, size_t count) {
    const struct conv2d_step *c = &task->step->conv2d;
    const struct operand *in = &task->step->inputs[0];
    const size_t y = task->y * c->stride + row, x = task->x * c->stride; /* plus padding */
    if (y < c->padding || y - c->padding >= c->in_height || x + count <= c->padding || x >= c->in_width + c->padding) {
        memset(out, 0, count * LINE_BYTES);
        return;
    }
    const size_t left = x < c->padding ? c->padding - x : 0;
    const size_t first = x + left - c->padding;
    const size_t inside = c->in_width - first < count - left ? c->in_width - first : count - left;
    memset(out, 0, left * LINE_BYTES);
    if (row > 0 && (y - c->padding) % in->upsample != 0) {
        /* the same source row as the line above: already changed and upsampled */
        memcpy(out + left * PANEL, out + left * PANEL - patch_columns(c) * PANEL, inside * LINE_BYTES);
    } else {
        operand_load(out + left * PANEL, task->run, in, task->image, panel, y - c->padding, first, inside);
    }
    memset(out + (left + inside) * PANEL, 0, (count - left - inside) * LINE_BYTES);
}

static void load_patch(const struct task *task) {
    const struct conv2d_step *c = &task->step->conv2d;
    const size_t panels = panel_count(task->step->inputs[0].channels);
    const size_t rows = (task->rows - 1) * c->stride + c->kernel_height;
    const size_t columns = (task->columns - 1) * c->stride + c->kernel_width;
    for (size_t panel = 0; panel < panels; panel++) {
        for (size_t row = 0; row < rows; row++) {
            load_patch_row(task->patch + panel * patch_floats(c) + row * patch_columns(c) * PANEL, task, panel, row,
                           columns);
        }
    }
}

static void find_offsets(const struct task *task) {
    const struct conv2d_step *c = &task->step->conv2d;
    size_t *offset = task->offsets;
    for (size_t panel = 0; panel < c->chunk_panels; panel++) {
        for (size_t u = 0; u < c->kernel_height; u++) {
            for (size_t v = 0; v < c->kernel_width; v++) {
                *offset++ = panel * patch_floats(c) + (u * patch_columns(c) + v) * PANEL;
            }
        }
    }
}

/* Sums of one chunk of input panels, for a few output panels whose weights then stay in cache over all rows. */
static void multiply_chunk(const struct task *task, size_t first, size_t chunk, size_t panel, size_t panels) {
    const struct step *step = task->step;
    const struct conv2d_step *c = &step->conv2d;
    const size_t in_panels = panel_count(step->inputs[0].channels), taps = c->kernel_height * c->kernel_width;
    const size_t plane = task->rows * task->columns * PANEL;
    struct gemm gemm = {
        .c_panel_stride = plane,
        .a_offsets = task->offsets,
        .a_pixel_stride = c->stride * PANEL,
        .b_panel_stride = in_panels * taps * PANEL * PANEL,
        .block_count = chunk * taps,
        .depth = step->inputs[0].channels < PANEL ? step->inputs[0].channels : PANEL,
        .pixels = task->columns,
        .panels = panels,
        .accumulate = first > 0,
    };
    gemm.b = step->weight + (task->panel + panel) * gemm.b_panel_stride + first * taps * PANEL * PANEL;
    for (size_t row = 0; row < task->rows; row++) {
        gemm.a = task->patch + first * patch_floats(c) + row * c->stride * patch_columns(c) * PANEL;
        gemm.c = task->sums + panel * plane + row * task->columns * PANEL;
        task->run->kernels->gemm(&gemm);
    }
}

static void multiply(const struct task *task) {
    const struct conv2d_step *c = &task->step->conv2d;
    const size_t in_panels = panel_count(task->step->inputs[0].channels), tile = task->run->kernels->gemm_panels;
    find_offsets(task);
    for (size_t first = 0; first < in_panels; first += c->chunk_panels) {
        size_t chunk = in_panels - first < c->chunk_panels ? in_panels - first : c->chunk_panels;
        for (size_t panel = 0; panel < task->panels; panel += tile) {
            multiply_chunk(task, first, chunk, panel, task->panels - panel < tile ? task->panels - panel : tile);
        }
    }
}

/* One output of a grouped convolution: few channels each, so plainly, and in double since no one waits for it. */
static double grouped_sum(const struct task *task, size_t channel, size_t row, size_t column) {
    const struct step *step = task->step;
    const struct conv2d_step *c = &step->conv2d;
    const size_t group_in = step->inputs[0].channels / c->groups, group_out = step->output.channels / c->groups;
    const size_t taps = c->kernel_height * c->kernel_width;
    const float *weight = step->weight + channel * group_in * taps;
    double sum = 0.0;
    for (size_t i = 0; i < group_in; i++) {
        const size_t in = channel / group_out * group_in + i;
        const float *plane = task->patch + in / PANEL * patch_floats(c) + in % PANEL;
        for (size_t u = 0; u < c->kernel_height; u++) {
            for (size_t v = 0; v < c->kernel_width; v++) {
                size_t line = (row * c->stride + u) * patch_columns(c) + column * c->stride + v;
                sum += (double)plane[line * PANEL] * (double)*weight++;
            }
        }
    }
    return sum;
}

static void multiply_grouped(const struct task *task) {
    const size_t channels = task->step->output.channels;
    for (size_t panel = 0; panel < task->panels; panel++) {
        for (size_t i = 0; i < task->rows * task->columns; i++) {
            float *line = task->sums + (panel * task->rows * task->columns + i) * PANEL;
            for (size_t lane = 0; lane < PANEL; lane++) {
                size_t channel = (task->panel + panel) * PANEL + lane;
                line[lane] =
                    channel < channels ? (float)grouped_sum(task, channel, i / task->columns, i % task->columns) : 0.0f;
            }
        }
    }
}

static void store(const struct task *task) {
    const struct step *step = task->step;
    const struct conv2d_step *c = &step->conv2d;
    const struct operand *residual = step->residual.segment_count > 0 ? &step->residual : NULL;
    const size_t factor = residual ? residual->upsample : 1;
    struct epilogue epilogue = {.alpha = step->alpha, .beta = step->beta, .activation = step->activation};
    for (size_t panel = 0; panel < task->panels; panel++) {
        const size_t out_panel = task->panel + panel;
        float *out = operand_panel(task->run, &step->output, task->image, out_panel);
        const float *lines = residual ? operand_panel(task->run, residual, task->image, out_panel) : NULL;
        epilogue.bias = step->bias ? step->bias + out_panel * PANEL : NULL;
        for (size_t row = 0; row < task->rows; row++) {
            const size_t y = task->y + row, x = task->x;
            if (residual) {
                /* a pointwise step sees one row: y is 0, and x alone finds the line */
                epilogue.residual = lines + (y / factor * residual->width + x / factor) * PANEL;
            }
            task->run->kernels->store_lines(out + (y * c->out_width + x) * PANEL,
                                            task->sums + (panel * task->rows + row) * task->columns * PANEL,
                                            task->columns, factor, x % factor, &epilogue);
        }
    }
}

static size_t at_most(size_t limit, size_t rest) {
    return rest < limit ? rest : limit;
}

static struct task make_task(const struct run *run, const struct step *step, size_t index) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t out_panels = panel_count(step->output.channels);
    const size_t by_panel = divide_up(out_panels, c->block_panels),
                 by_column = divide_up(c->out_width, c->block_columns);
    const size_t by_row = divide_up(c->out_height, c->block_rows);
    struct task task = {.run = run, .step = step};

    task.panel = index % by_panel * c->block_panels;
    index /= by_panel;
    task.x = index % by_column * c->block_columns;
    index /= by_column;
    task.y = index % by_row * c->block_rows;
    task.image = index / by_row;
    task.panels = at_most(c->block_panels, out_panels - task.panel);
    task.columns = at_most(c->block_columns, c->out_width - task.x);
    task.rows = at_most(c->block_rows, c->out_height - task.y);

    float *scratch = run_thread_workspace(run, step);
    task.offsets = (size_t *)scratch;
    task.patch = scratch + offset_floats(c);
    task.sums = task.patch + patch_floats(c) * panel_count(step->inputs[0].channels);
    return task;
}

static void run_tasks(const struct run *run, const struct step *step, void (*compute)(const struct task *task)) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t tasks = step->output.images * divide_up(c->out_height, c->block_rows) *
                         divide_up(c->out_width, c->block_columns) *
                         divide_up(panel_count(step->output.channels), c->block_panels);
#pragma omp parallel for num_threads(run->threads) schedule(dynamic)
    for (size_t i = 0; i < tasks; i++) {
        struct task task = make_task(run, step, i);
        load_patch(&task);
        compute(&task);
        store(&task);
    }
}

static void conv2d_run(const struct run *run, const struct step *step) {
    run_tasks(run, step, multiply);
}

static void conv2d_grouped_run(const struct run *run, const struct step *step) {
    run_tasks(run, step, multiply_grouped);
}

const struct step_type step_conv2d = {
    .kernel = "conv_panel", .residual_inside = true, .plan = conv2d_plan, .run = conv2d_run};
const struct step_type step_conv2d_grouped = {
    .kernel = "conv_grouped", .residual_inside = true, .plan = conv2d_plan, .run = conv2d_grouped_run};
