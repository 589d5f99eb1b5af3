/* 3x3 convolutions of stride 1 with fewer multiplications: Winograd's F(m x m, 3 x 3) (isa/winograd.c), m = 2, 4 or 6.
 *
 * Weights are transformed at each decode, a part of the output channels at a time: 1 to 2 % of the time instead of five
 * to seven times the memory. Where all tiles are one block, each task transforms those of its own output panels, as
 * many at a time as stay in its cache. A task takes a block of tiles and does everything with it alone: the patch of
 * each input panel is loaded once, with all that the operand carries, and transformed; each point is a product of
 * (tiles x input channels) by (input channels x output channels); points of a few output panels are transformed back
 * and stored through the epilogue. Tiles do not see each other, so that blocks and threads change no result. */
#include <string.h>

#include "kernels/cpu/conv2d_winograd.h"
#include "kernels/cpu/moments.h"

/* A task's tiles and scratch. */
struct block {
    const struct conv2d_task *task;
    struct winograd_sizes sizes;
    size_t tile_rows, tile_columns, tiles;
    bool doubled;
    size_t *offsets;                 /* of the input panels of a point */
    float *patch, *inputs, *outputs; /* one panel's lines; (points, panels, tiles, 16) */
    float *own_weights;              /* of a pass and a few input panels, where no other task uses them */
};

static struct block find_block(const struct conv2d_task *task) {
    const struct conv2d_step *c = &task->step->conv2d;
    struct block b = {.task = task, .sizes = conv2d_winograd_sizes(task->step)};
    b.tile_rows = divide_up(task->rows, b.sizes.m);
    b.tile_columns = divide_up(task->columns, b.sizes.m);
    b.tiles = b.tile_rows * b.tile_columns;
    b.doubled = task->step->inputs[0].upsample == 2;
    b.offsets = (size_t *)task->scratch;
    b.patch = task->scratch + conv2d_winograd_offset_floats(task->step);
    b.inputs = b.patch + conv2d_patch_floats(c);
    b.outputs = b.inputs + b.sizes.points * b.sizes.input_stride;
    b.own_weights = b.outputs + b.sizes.points * b.sizes.output_stride;
    for (size_t panel = 0; panel < c->in_panels; panel++) {
        b.offsets[panel] = panel * b.tiles * PANEL;
    }
    return b;
}

/* Tiles [first, end) of a row from lines that begin at the first one's corner; `doubled`: before upsampling. */
static void transform_tiles(const struct block *b, size_t panel, size_t row, size_t first, size_t end,
                            const float *lines, size_t row_stride, bool doubled) {
    const struct winograd_tiles tiles = {
        .m = b->sizes.m,
        .count = end - first,
        .points = b->inputs + (panel * b->tiles + row * b->tile_columns + first) * PANEL,
        .point_stride = b->sizes.input_stride,
        .row_stride = row_stride,
    };
    b->task->run->kernels->winograd_input(&tiles, lines, doubled);
}

/* Tiles [first, end) of a row through the patch, which is loaded for them alone. */
static void transform_patched(const struct block *b, size_t panel, size_t row, size_t first, size_t end) {
    const size_t m = b->sizes.m;
    const struct conv2d_window window = {
        .row = row * m, .rows = m + 2, .column = first * m, .columns = (end - first) * m + 2};
    if (first < end) {
        conv2d_load_patch(b->patch, b->task, panel, &window);
        transform_tiles(b, panel, row, first, end, b->patch, conv2d_patch_columns(&b->task->step->conv2d) * PANEL,
                        false);
    }
}

/* Whether tiles can be made of the value itself: floats, read as they are or doubled. */
static bool is_read_in_place(const struct operand *in) {
    struct operand stored = *in;
    stored.upsample = 1;
    return operand_is_floats(&stored) && in->upsample <= 2;
}

/* A row of tiles of such a value; where there is padding or a ring begins anew, they go through the patch. */
static void transform_row_in_place(const struct block *b, size_t panel, size_t row) {
    const struct conv2d_task *task = b->task;
    const struct operand *in = &task->step->inputs[0];
    const size_t m = b->sizes.m, y = task->y + row * m, factor = in->upsample;
    size_t first = 0, end = 0;
    if (y >= 1 && y + m + 1 <= in->height * factor &&
        operand_rows_together(in, (y - 1) / factor, (y + m) / factor - (y - 1) / factor + 1)) {
        first = task->x == 0 ? 1 : 0;
        end = at_most(b->tile_columns, (in->width * factor - task->x - 1) / m);
    }
    if (end <= first) {
        transform_patched(b, panel, row, 0, b->tile_columns);
        return;
    }
    transform_patched(b, panel, row, 0, first);
    const float *lines =
        operand_line(task->run, in, task->image, panel, (y - 1) / factor, (task->x + first * m - 1) / factor);
    transform_tiles(b, panel, row, first, end, lines, in->width * PANEL, b->doubled);
    transform_patched(b, panel, row, end, b->tile_columns);
}

static void transform_inputs(const struct block *b) {
    const size_t m = b->sizes.m, row_stride = conv2d_patch_columns(&b->task->step->conv2d) * PANEL;
    const struct conv2d_window whole = {.rows = b->tile_rows * m + 2, .columns = b->tile_columns * m + 2};
    const bool in_place = is_read_in_place(&b->task->step->inputs[0]);
    for (size_t panel = 0; panel < b->sizes.in_panels; panel++) {
        if (!in_place) {
            conv2d_load_patch(b->patch, b->task, panel, &whole);
        }
        for (size_t row = 0; row < b->tile_rows; row++) {
            if (in_place) {
                transform_row_in_place(b, panel, row);
            } else {
                transform_tiles(b, panel, row, 0, b->tile_columns, b->patch + row * m * row_stride, row_stride, false);
            }
        }
    }
}

static bool is_zero(const struct block *b, size_t point) {
    const size_t axis = b->sizes.m + 2;
    return b->doubled && (point / axis == 2 || point % axis == 2);
}

/* The next one whose products are not all zero, or the end. */
static size_t next_point(const struct block *b, size_t point) {
    do {
        point++;
    } while (point < b->sizes.points && is_zero(b, point));
    return point;
}

/* Points of output panels [panel, panel + panels) of the task. */
static void multiply(const struct block *b, size_t panel, size_t panels) {
    const struct winograd_sizes *s = &b->sizes;
    const float *weights = run_shared_workspace(b->task->run);
    struct gemm gemm = {
        .c_panel_stride = b->tiles * PANEL,
        .a_pixel_stride = PANEL,
        .b_panel_stride = s->in_panels * PANEL * PANEL,
        .depth = PANEL,
        .pixels = b->tiles,
        .panels = panels,
    };
    weights += (b->task->panel + panel - b->task->first_panel) * gemm.b_panel_stride;
    for (size_t point = 0, next; point < s->points; point = next) {
        next = next_point(b, point);
        gemm.a = b->inputs + point * s->input_stride;
        gemm.c = b->outputs + point * s->output_stride;
        for (size_t first = 0; first < s->in_panels; first += WINOGRAD_CHUNK_BLOCKS) {
            gemm.block_count = at_most(WINOGRAD_CHUNK_BLOCKS, s->in_panels - first);
            gemm.a_offsets = b->offsets + first;
            gemm.b = weights + point * s->weight_stride + first * PANEL * PANEL;
            gemm.accumulate = first > 0;
            gemm.next_b = gemm.b + WINOGRAD_CHUNK_BLOCKS * PANEL * PANEL;
            if (first + WINOGRAD_CHUNK_BLOCKS >= s->in_panels) {
                gemm.next_b = next < s->points ? weights + next * s->weight_stride : NULL;
            }
            gemm.next_a_lines = next < s->points ? gemm.block_count * b->tiles : 0;
            gemm.next_a = b->inputs + next * s->input_stride + first * b->tiles * PANEL;
            b->task->run->kernels->gemm(&gemm);
        }
    }
}

/* The same with weights of the task's own: all points of a few input panels at a time. */
static void multiply_own(const struct block *b, size_t panel, size_t panels) {
    const struct winograd_sizes *s = &b->sizes;
    struct gemm gemm = {.c_panel_stride = b->tiles * PANEL,
                        .a_pixel_stride = PANEL,
                        .depth = PANEL,
                        .pixels = b->tiles,
                        .panels = panels};
    for (size_t first = 0; first < s->in_panels; first += WINOGRAD_CHUNK_BLOCKS) {
        gemm.block_count = at_most(WINOGRAD_CHUNK_BLOCKS, s->in_panels - first);
        gemm.b_panel_stride = gemm.block_count * PANEL * PANEL;
        gemm.a_offsets = b->offsets + first;
        gemm.accumulate = first > 0;
        conv2d_winograd_transform_own_weights(b->own_weights, b->task->run, b->task->step, b->task->panel + panel,
                                              panels, first, gemm.block_count);
        for (size_t point = 0, next; point < s->points; point = next) {
            next = next_point(b, point);
            gemm.a = b->inputs + point * s->input_stride;
            gemm.b = b->own_weights + point * s->weight_stride;
            gemm.c = b->outputs + point * s->output_stride;
            gemm.next_a = b->inputs + next * s->input_stride + first * b->tiles * PANEL;
            gemm.next_a_lines = next < s->points ? gemm.block_count * b->tiles : 0;
            b->task->run->kernels->gemm(&gemm);
        }
    }
}

/* Whether a row of tiles can be stored where it belongs: all its rows are there, one behind the other, and the residual
 * lies as they do. */
static bool is_stored_at_once(const struct block *b, size_t row) {
    const struct conv2d_task *task = b->task;
    const struct operand *residual = &task->step->residual;
    const size_t m = b->sizes.m, y = task->y + row * m;
    return row * m + m <= task->rows && task->step->activation != ACTIVATION_SILU &&
           operand_is_floats(&task->step->output) && operand_rows_together(&task->step->output, y, m) &&
           (residual->segment_count == 0 || (operand_is_floats(residual) && operand_rows_together(residual, y, m)));
}

/* Tiles of a row all of whose columns are there. `panel` is the task's. */
static void store_tiles(const struct block *b, struct winograd_tiles tiles, size_t panel, size_t row) {
    const struct conv2d_task *task = b->task;
    const struct step *step = task->step;
    const size_t y = task->y + row * b->sizes.m, out_panel = task->panel + panel;
    float *out = operand_line(task->run, &step->output, task->image, out_panel, y, task->x);
    struct epilogue epilogue = conv2d_epilogue(task, panel);
    if (step->residual.segment_count > 0) {
        epilogue.residual = operand_line(task->run, &step->residual, task->image, out_panel, y, task->x);
    }
    tiles.row_stride = step->output.width * PANEL;
    task->run->kernels->winograd_output(&tiles, out, b->doubled, &epilogue);
}

/* Tiles that cannot be stored at once go through the patch, which is free by now, row by row. */
static void store_tiles_by_row(const struct block *b, struct winograd_tiles tiles, size_t panel, size_t row,
                               size_t column) {
    const size_t m = b->sizes.m;
    tiles.row_stride = tiles.count * m * PANEL;
    b->task->run->kernels->winograd_output(&tiles, b->patch, b->doubled, NULL);
    for (size_t y = 0; y < m && row * m + y < b->task->rows; y++) {
        conv2d_store_row(b->task, panel, row * m + y, column, b->patch + y * tiles.row_stride);
    }
}

/* Parts of the sums of channels: a row of tiles of a block, which no number of threads changes. */
static size_t conv2d_winograd_moments_parts(const struct step *step) {
    const struct conv2d_step *c = &step->conv2d;
    return divide_up(c->out_height, c->winograd) * divide_up(c->out_width, c->block_columns);
}

/* Sums what was just stored of a row of tiles, while it is in cache. The patch is free by now. */
static void sum_stored(const struct block *b, size_t panel, size_t row) {
    const struct conv2d_task *task = b->task;
    const struct conv2d_step *c = &task->step->conv2d;
    const struct operand *out = &task->step->output;
    const size_t y = task->y + row * b->sizes.m, rows = at_most(b->sizes.m, task->rows - row * b->sizes.m);
    const size_t part = y / b->sizes.m * divide_up(c->out_width, c->block_columns) + task->x / c->block_columns;
    const size_t panels = task->image * panel_count(out->channels) + task->panel + panel;
    const float *lines = operand_line(task->run, out, task->image, task->panel + panel, y, task->x);
    size_t row_stride = out->width * PANEL;
    if (!operand_is_floats(out)) {
        lines = b->patch;
        row_stride = task->columns * PANEL;
        for (size_t i = 0; i < rows; i++) {
            operand_read(b->patch + i * row_stride, task->run, out, task->image, task->panel + panel,
                         (y + i) * out->width + task->x, task->columns);
        }
    }
    moments_of_lines((struct moments *)task->run->moments + (panels * task->step->moments_parts + part) * PANEL,
                     task->run->kernels, lines, rows, task->columns, row_stride);
}

/* `panel` is the task's, `place` where its points are. */
static void transform_outputs(const struct block *b, size_t panel, size_t place) {
    for (size_t row = 0; row < b->tile_rows; row++) {
        struct winograd_tiles tiles = {.m = b->sizes.m, .point_stride = b->sizes.output_stride};
        const bool together = b->sizes.m > 0 && is_stored_at_once(b, row);
        const size_t at_once = together ? b->task->columns / b->sizes.m : 0;
        tiles.points = b->outputs + (place * b->tiles + row * b->tile_columns) * PANEL;
        tiles.count = at_once;
        if (at_once > 0) {
            store_tiles(b, tiles, panel, row);
        }
        tiles.points += at_once * PANEL;
        tiles.count = b->tile_columns - at_once;
        if (tiles.count > 0) {
            store_tiles_by_row(b, tiles, panel, row, at_once * b->sizes.m);
        }
        if (b->sizes.m > 0 && b->task->run->moments != NULL) {
            sum_stored(b, panel, row);
        }
    }
}

static void work(struct conv2d_task *task) {
    const struct block b = find_block(task);
    const size_t pass = task->step->conv2d.pass_panels;
    transform_inputs(&b);
    for (size_t panel = 0; panel < task->panels; panel += pass) {
        const size_t panels = at_most(pass, task->panels - panel);
        if (task->step->conv2d.own_weights) {
            multiply_own(&b, panel, panels);
        } else {
            multiply(&b, panel, panels);
        }
        for (size_t i = 0; i < panels; i++) {
            transform_outputs(&b, panel + i, i);
        }
    }
}

static void conv2d_winograd_run(const struct run *run, const struct step *step) {
    const size_t out_panels = panel_count(step->output.channels), most = conv2d_winograd_sizes(step).part_panels;
    struct conv2d_part part = conv2d_whole(step);
    for (; part.first_panel < out_panels; part.first_panel += most) {
        part.panels = at_most(most, out_panels - part.first_panel);
        if (!step->conv2d.own_weights) {
            conv2d_winograd_transform_weights(run, step, part.first_panel, part.panels);
        }
        conv2d_run_tasks(run, step, &part);
    }
}

/* Rows at a time: weights stay transformed, so there must be one part. */
static bool conv2d_winograd_has_rows(const struct step *step) {
    return conv2d_winograd_sizes(step).part_panels == panel_count(step->output.channels);
}

static void conv2d_winograd_begin(const struct run *run, const struct step *step) {
    if (!step->conv2d.own_weights) {
        conv2d_winograd_transform_weights(run, step, 0, panel_count(step->output.channels));
    }
}

const struct step_type step_conv2d_winograd = {.kernel = "winograd",
                                               .reduces = true,
                                               .residual_inside = true,
                                               .plan = conv2d_winograd_plan,
                                               .moments_parts = conv2d_winograd_moments_parts,
                                               .run = conv2d_winograd_run,
                                               .begin = conv2d_winograd_begin,
                                               .has_rows = conv2d_winograd_has_rows,
                                               .run_rows = conv2d_run_rows,
                                               .work = work};
