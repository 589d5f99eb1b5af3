/* Convolutions and linears, direct, and what other forms share. A task loads the patch of inputs that its outputs need,
 * once, with everything that the operand carries (normalisation, activation, upsampling, zero padding); the taps of the
 * kernel are then shifted views of the patch, so that the reduction is one product of K = taps x channels. A linear is
 * a 1x1 convolution over one long row of pixels; groups of whole panels are convolutions side by side. */
#include <string.h>

#include "kernels/cpu/conv2d.h"

enum {
    BLOCK_COLUMNS = 64,
    BLOCK_PIXELS = 256,    /* outputs a task: enough for the weights to be read from memory seldom */
    ROW_LINES = 2048,      /* 128 KiB */
    CHUNK_BLOCKS = 18,     /* blocks of 16 x 16 weights a call: 18 KiB stay in the first-level cache */
    WANTED_TASKS = 32,     /* small images are divided by output channels as well */
    LEAST_TASK_PANELS = 4, /* but not into less: each part loads the patch anew */
    WIDENED_PANELS = 2     /* outputs whose weights are widened at a time, where they are stored in 16 bits */
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

void conv2d_plan_image(struct step *step) {
    struct conv2d_step *c = &step->conv2d;
    c->in_panels = panel_count(step->inputs[0].channels);
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
}

/* Pixels of one long row whose input channels together stay in the second-level cache. */
static size_t row_pixels(size_t in_panels) {
    const size_t pixels = ROW_LINES / in_panels;
    return pixels < 48 ? 48 : pixels < BLOCK_PIXELS ? pixels : BLOCK_PIXELS;
}

static void plan_blocks(struct step *step) {
    struct conv2d_step *c = &step->conv2d;
    const size_t out_panels = panel_count(step->output.channels), taps = c->kernel_height * c->kernel_width;
    c->block_columns = even_part(c->out_width, c->out_height == 1 ? row_pixels(c->in_panels) : BLOCK_COLUMNS);
    c->block_rows = even_part(c->out_height, c->block_columns < BLOCK_PIXELS ? BLOCK_PIXELS / c->block_columns : 1);
    const size_t blocks =
        step->output.images * divide_up(c->out_height, c->block_rows) * divide_up(c->out_width, c->block_columns);
    size_t parts = divide_up(WANTED_TASKS, blocks), most = divide_up(out_panels, LEAST_TASK_PANELS);
    c->block_panels = divide_up(out_panels, parts < most ? parts : most);
    if (step->type == &step_conv2d_depthwise) {
        c->block_panels = c->in_panels = 1;
    } else if (step->type == &step_conv2d && c->groups > 1) {
        c->block_panels = out_panels / c->groups;
        c->in_panels /= c->groups;
    }
    c->chunk_panels = taps < CHUNK_BLOCKS ? CHUNK_BLOCKS / taps : 1;
    if (step->type == &step_conv2d_narrow) {
        c->chunk_panels = c->in_panels; /* its weights are few: all at once */
    }
}

/* Floats of the weights of one chunk of input panels, for one output panel. */
static size_t chunk_floats(const struct conv2d_step *c, size_t chunk_panels) {
    return chunk_panels * c->kernel_height * c->kernel_width * PANEL * PANEL;
}

static size_t offset_floats(const struct conv2d_step *c) {
    size_t bytes = c->chunk_panels * c->kernel_height * c->kernel_width * sizeof(size_t);
    return divide_up(bytes, LINE_BYTES) * PANEL;
}

void conv2d_plan(struct step *step, int threads, struct step_workspace *workspace) {
    struct conv2d_step *c = &step->conv2d;
    (void)threads;
    conv2d_plan_image(step);
    plan_blocks(step);
    const size_t sums = c->block_panels * c->block_rows * c->block_columns * PANEL;
    const size_t widened = step->weight_bf16 ? WIDENED_PANELS * chunk_floats(c, c->chunk_panels) : 0;
    workspace->thread_bytes =
        (offset_floats(c) + conv2d_patch_floats(c) * c->in_panels + sums + widened) * sizeof(float);
}

/* Row `row` of the window; it may lie outside the image, and begin or end outside: zeros there. */
static void load_patch_row(float *out, const struct conv2d_task *task, size_t panel, const struct conv2d_window *window,
                           size_t row) {
    const struct conv2d_step *c = &task->step->conv2d;
    const struct operand *in = &task->step->inputs[0];
    const size_t y = task->y * c->stride + window->row + row,
                 x = task->x * c->stride + window->column; /* plus padding */
    const size_t count = window->columns;
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
        memcpy(out + left * PANEL, out + left * PANEL - conv2d_patch_columns(c) * PANEL, inside * LINE_BYTES);
    } else {
        operand_load(out + left * PANEL, task->run, in, task->image, task->in_panel + panel, y - c->padding, first,
                     inside);
    }
    memset(out + (left + inside) * PANEL, 0, (count - left - inside) * LINE_BYTES);
}

struct conv2d_window conv2d_whole_window(const struct conv2d_task *task) {
    const struct conv2d_step *c = &task->step->conv2d;
    return (struct conv2d_window){.rows = (task->rows - 1) * c->stride + c->kernel_height,
                                  .columns = (task->columns - 1) * c->stride + c->kernel_width};
}

void conv2d_load_patch(float *patch, const struct conv2d_task *task, size_t panel, const struct conv2d_window *window) {
    for (size_t row = 0; row < window->rows; row++) {
        load_patch_row(patch + row * conv2d_patch_columns(&task->step->conv2d) * PANEL, task, panel, window, row);
    }
}

void conv2d_find_offsets(size_t *offsets, const struct conv2d_step *c, size_t panels, size_t line) {
    const size_t columns = conv2d_patch_columns(c);
    for (size_t panel = 0; panel < panels; panel++) {
        for (size_t u = 0; u < c->kernel_height; u++) {
            for (size_t v = 0; v < c->kernel_width; v++) {
                *offsets++ = ((panel * conv2d_patch_rows(c) + u) * columns + v) * line;
            }
        }
    }
}

void conv2d_widen_weights(float *out, const struct kernel_set *kernels, const struct step *step, size_t out_panel,
                          size_t in_panel) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t taps = c->kernel_height * c->kernel_width;
    const uint16_t *weights = step->weight_bf16 + out_panel * conv2d_bf16_panel(c) + in_panel / 2 * taps * PAIR_BLOCK +
                              in_panel % 2 * PANEL * PANEL;
    for (size_t tap = 0; tap < taps; tap++) {
        kernels->widen_pairs(out + tap * PANEL * PANEL, weights + tap * PAIR_BLOCK, PANEL / 2);
    }
}

/* Weights of `chunk` input panels and a few of the task's output panels, as floats. */
static void widen_chunk(const struct conv2d_task *task, size_t first, size_t chunk, size_t panel, size_t panels) {
    const struct conv2d_step *c = &task->step->conv2d;
    for (size_t i = 0; i < panels * chunk; i++) {
        conv2d_widen_weights(task->widened + i * chunk_floats(c, 1), task->run->kernels, task->step,
                             task->panel + panel + i / chunk, first + i % chunk);
    }
}

/* Sums of one chunk of input panels, for a few output panels whose weights then stay in cache over all rows. */
static void multiply_chunk(const struct conv2d_task *task, size_t first, size_t chunk, size_t panel, size_t panels) {
    const struct step *step = task->step;
    const struct conv2d_step *c = &step->conv2d;
    const size_t in_panels = c->in_panels, taps = c->kernel_height * c->kernel_width;
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
    if (step->weight_bf16) {
        widen_chunk(task, first, chunk, panel, panels);
        gemm.b = task->widened;
        gemm.b_panel_stride = chunk_floats(c, chunk);
    } else {
        gemm.b = step->weight + (task->panel + panel) * gemm.b_panel_stride + chunk_floats(c, first);
    }
    for (size_t row = 0; row < task->rows; row++) {
        gemm.a = task->patch + first * conv2d_patch_floats(c) + row * c->stride * conv2d_patch_columns(c) * PANEL;
        gemm.c = task->sums + panel * plane + row * task->columns * PANEL;
        task->run->kernels->gemm(&gemm);
    }
}

static void multiply(const struct conv2d_task *task) {
    const struct conv2d_step *c = &task->step->conv2d;
    const size_t in_panels = c->in_panels;
    size_t tile = task->rows == 1 ? task->panels : task->run->kernels->gemm_panels;
    if (task->step->weight_bf16) {
        tile = at_most(tile, WIDENED_PANELS);
    }
    for (size_t first = 0; first < in_panels; first += c->chunk_panels) {
        size_t chunk = in_panels - first < c->chunk_panels ? in_panels - first : c->chunk_panels;
        for (size_t panel = 0; panel < task->panels; panel += tile) {
            multiply_chunk(task, first, chunk, panel, task->panels - panel < tile ? task->panels - panel : tile);
        }
    }
}

struct epilogue conv2d_epilogue(const struct conv2d_task *task, size_t panel) {
    const struct step *step = task->step;
    return (struct epilogue){.bias = step->bias ? step->bias + (task->panel + panel) * PANEL : NULL,
                             .alpha = step->alpha,
                             .beta = step->beta,
                             .activation = step->activation,
                             .storage = operand_storage(&step->output, task->panel + panel)};
}

void conv2d_store_row(const struct conv2d_task *task, size_t panel, size_t row, size_t column, const float *sums) {
    const struct step *step = task->step;
    const struct operand *residual = step->residual.segment_count > 0 ? &step->residual : NULL;
    const size_t factor = residual ? residual->upsample : 1, out_panel = task->panel + panel;
    const size_t y = task->y + row, x = task->x + column;
    struct epilogue epilogue = conv2d_epilogue(task, panel);
    if (residual) {
        epilogue.residual = operand_line(task->run, residual, task->image, out_panel, y / factor, x / factor);
        epilogue.residual_storage = operand_storage(residual, out_panel);
    }
    task->run->kernels->store_lines(operand_line(task->run, &step->output, task->image, out_panel, y, x), sums,
                                    task->columns - column, factor, x % factor, &epilogue);
}

void conv2d_store_sums(const struct conv2d_task *task, const float *sums, size_t row_floats) {
    for (size_t i = 0; i < task->panels * task->rows; i++) {
        conv2d_store_row(task, i / task->rows, i % task->rows, 0, sums + i * row_floats);
    }
}

static struct conv2d_task make_task(const struct run *run, const struct step *step, const struct conv2d_part *part,
                                    size_t index) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t by_panel = divide_up(part->panels, c->block_panels);
    const size_t by_column = divide_up(c->out_width, c->block_columns);
    const size_t by_row = divide_up(part->end_row - part->first_row, c->block_rows);
    struct conv2d_task task = {.run = run, .step = step, .first_panel = part->first_panel};

    task.panels = at_most(c->block_panels, part->panels - index % by_panel * c->block_panels);
    task.panel = part->first_panel + index % by_panel * c->block_panels;
    index /= by_panel;
    task.x = index % by_column * c->block_columns;
    index /= by_column;
    task.y = part->first_row + index % by_row * c->block_rows;
    task.image = part->first_image + index / by_row;
    task.in_panel =
        c->in_panels < panel_count(step->inputs[0].channels) ? task.panel / c->block_panels * c->in_panels : 0;
    task.columns = at_most(c->block_columns, c->out_width - task.x);
    task.rows = at_most(c->block_rows, part->end_row - task.y);
    task.scratch = run_thread_workspace(run, step);
    return task;
}

struct conv2d_part conv2d_whole(const struct step *step) {
    return (struct conv2d_part){.images = step->output.images,
                                .end_row = step->conv2d.out_height,
                                .panels = panel_count(step->output.channels)};
}

struct conv2d_part conv2d_rows(const struct step *step, size_t image, size_t first_row, size_t end_row) {
    return (struct conv2d_part){.first_image = image,
                                .images = 1,
                                .first_row = first_row,
                                .end_row = end_row,
                                .panels = panel_count(step->output.channels)};
}

void conv2d_run_tasks(const struct run *run, const struct step *step, const struct conv2d_part *part) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t tasks = part->images * divide_up(part->end_row - part->first_row, c->block_rows) *
                         divide_up(c->out_width, c->block_columns) * divide_up(part->panels, c->block_panels);
#pragma omp parallel for num_threads(run->threads) schedule(dynamic)
    for (size_t i = 0; i < tasks; i++) {
        struct conv2d_task task = make_task(run, step, part, i);
        step->type->work(&task);
    }
}

void conv2d_run_direct(struct conv2d_task *task, conv2d_compute *compute) {
    const struct conv2d_step *c = &task->step->conv2d;
    const struct conv2d_window window = conv2d_whole_window(task);
    task->offsets = (size_t *)task->scratch;
    task->patch = task->scratch + offset_floats(c);
    task->sums = task->patch + conv2d_patch_floats(c) * c->in_panels;
    task->widened = task->sums + c->block_panels * c->block_rows * c->block_columns * PANEL;
    for (size_t panel = 0; panel < c->in_panels; panel++) {
        conv2d_load_patch(task->patch + panel * conv2d_patch_floats(c), task, panel, &window);
    }
    conv2d_find_offsets(task->offsets, c, c->chunk_panels, PANEL);
    compute(task);
    conv2d_store_sums(task, task->sums, task->columns * PANEL);
}

static void work(struct conv2d_task *task) {
    conv2d_run_direct(task, multiply);
}

void conv2d_run(const struct run *run, const struct step *step) {
    const struct conv2d_part part = conv2d_whole(step);
    conv2d_run_tasks(run, step, &part);
}

void conv2d_run_rows(const struct run *run, const struct step *step, size_t image, size_t first, size_t end) {
    const struct conv2d_part part = conv2d_rows(step, image, first, end);
    conv2d_run_tasks(run, step, &part);
}

/* A task that computes all output channels of its pixels has read them all. Images lie at other places where they have
 * fewer channels. */
bool conv2d_pixel_inside(const struct step *step) {
    return is_pointwise(step) && step->conv2d.groups == 1 && step->output.images == 1 &&
           step->conv2d.block_panels == panel_count(step->output.channels);
}

const struct step_type step_conv2d = {.kernel = "panel",
                                      .reduces = true,
                                      .residual_inside = true,
                                      .pixel_inside = conv2d_pixel_inside,
                                      .plan = conv2d_plan,
                                      .run = conv2d_run,
                                      .run_rows = conv2d_run_rows,
                                      .work = work};
