/* Direct convolutions whose products are of bfloat16, where the processor has tiles for them (isa/tiles.c): 16 times
 * the multiply-adds in a cycle, of which Winograd's form saves four fifths at most. The patch is rounded as it is
 * loaded, two input panels side by side; sums are floats. */
#include <string.h>

#include "kernels/cpu/conv2d.h"

enum {
    CHUNK_BLOCKS = 18, /* blocks of 32 x 16 weights a call: of two output panels they are 36 KiB */
    TILE_PANELS = 2
};

/* A thread's scratch. */
struct scratch {
    size_t *offsets;
    uint16_t *pairs; /* (input panels / 2, patch rows, patch columns, 32) and what the last tile reads behind */
    float *patch;    /* of one input panel */
    float *sums;     /* (panels, rows, columns in whole tiles, 16) */
};

static size_t tiled_columns(size_t columns) {
    return divide_up(columns, GEMM_BF16_PIXELS) * GEMM_BF16_PIXELS;
}

static size_t chunk_pairs(const struct conv2d_step *c) {
    const size_t taps = c->kernel_height * c->kernel_width;
    return taps < CHUNK_BLOCKS ? CHUNK_BLOCKS / taps : 1;
}

/* Numbers of a pair's patch. */
static size_t pair_numbers(const struct conv2d_step *c) {
    return conv2d_patch_rows(c) * conv2d_patch_columns(c) * PAIR_LINE;
}

/* Where the parts of the scratch begin, in bytes, and where they end. */
static size_t find_scratch(size_t at[4], const struct conv2d_step *c) {
    const size_t behind = GEMM_BF16_PIXELS * c->stride * PAIR_LINE;
    const size_t sizes[4] = {
        divide_up(chunk_pairs(c) * c->kernel_height * c->kernel_width * sizeof(size_t), LINE_BYTES) * LINE_BYTES,
        (divide_up(c->in_panels, 2) * pair_numbers(c) + behind) * sizeof(uint16_t),
        conv2d_patch_floats(c) * sizeof(float),
        c->block_panels * c->block_rows * tiled_columns(c->block_columns) * LINE_BYTES};
    size_t end = 0;
    for (size_t i = 0; i < 4; i++) {
        at[i] = end;
        end += sizes[i];
    }
    return end;
}

static struct scratch place_scratch(const struct conv2d_task *task) {
    char *memory = (char *)task->scratch;
    size_t at[4];
    find_scratch(at, &task->step->conv2d);
    return (struct scratch){.offsets = (size_t *)(memory + at[0]),
                            .pairs = (uint16_t *)(memory + at[1]),
                            .patch = (float *)(memory + at[2]),
                            .sums = (float *)(memory + at[3])};
}

static void conv2d_bf16_plan(struct step *step, int threads, struct step_workspace *workspace) {
    size_t at[4];
    conv2d_plan(step, threads, workspace);
    workspace->thread_bytes = find_scratch(at, &step->conv2d);
}

static void load_pairs(const struct conv2d_task *task, const struct scratch *s) {
    const struct conv2d_step *c = &task->step->conv2d;
    const struct conv2d_window window = conv2d_whole_window(task);
    const size_t lines = window.rows * conv2d_patch_columns(c);
    for (size_t panel = 0; panel < divide_up(c->in_panels, 2) * 2; panel++) {
        if (panel < c->in_panels) {
            conv2d_load_patch(s->patch, task, panel, &window);
        } else {
            memset(s->patch, 0, lines * LINE_BYTES);
        }
        task->run->kernels->round_lines(s->pairs + panel / 2 * pair_numbers(c) + panel % 2 * PANEL, s->patch, lines);
    }
}

static void multiply(const struct conv2d_task *task, const struct scratch *s) {
    const struct conv2d_step *c = &task->step->conv2d;
    const size_t taps = c->kernel_height * c->kernel_width, pairs = divide_up(c->in_panels, 2);
    struct gemm_bf16 gemm = {
        .c_panel_stride = task->rows * tiled_columns(task->columns) * PANEL,
        .c_row_stride = tiled_columns(task->columns) * PANEL,
        .a_offsets = s->offsets,
        .a_pixel_stride = c->stride * PAIR_LINE,
        .a_row_stride = c->stride * conv2d_patch_columns(c) * PAIR_LINE,
        .b_panel_stride = conv2d_bf16_panel(c),
        .rows = task->rows,
        .pixels = task->columns,
    };
    for (size_t first = 0; first < pairs; first += chunk_pairs(c)) {
        gemm.block_count = at_most(chunk_pairs(c), pairs - first) * taps;
        gemm.a = s->pairs + first * pair_numbers(c);
        gemm.accumulate = first > 0;
        for (size_t panel = 0; panel < task->panels; panel += TILE_PANELS) {
            gemm.panels = at_most(TILE_PANELS, task->panels - panel);
            gemm.b = task->step->weight_bf16 + (task->panel + panel) * gemm.b_panel_stride + first * taps * PAIR_BLOCK;
            gemm.c = s->sums + panel * gemm.c_panel_stride;
            task->run->kernels->gemm_bf16(&gemm);
        }
    }
}

static void work(struct conv2d_task *task) {
    const struct conv2d_step *c = &task->step->conv2d;
    const struct scratch s = place_scratch(task);
    conv2d_find_offsets(s.offsets, c, chunk_pairs(c), PAIR_LINE);
    load_pairs(task, &s);
    multiply(task, &s);
    conv2d_store_sums(task, s.sums, tiled_columns(task->columns) * PANEL);
}

const struct step_type step_conv2d_bf16 = {.kernel = "bf16",
                                           .reduces = true,
                                           .residual_inside = true,
                                           .pixel_inside = conv2d_pixel_inside,
                                           .plan = conv2d_bf16_plan,
                                           .run = conv2d_run,
                                           .run_rows = conv2d_run_rows,
                                           .work = work};
