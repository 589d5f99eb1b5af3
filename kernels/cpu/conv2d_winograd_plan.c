/* How a Winograd convolution is cut into blocks of tiles, and what scratch it takes. */
#include "kernels/cpu/conv2d_winograd.h"

/* Tiles a block. A row of tiles is written line by line, so it is not too short. Weights are read once a block: from
 * 512 input channels on blocks are large, but for m = 6, whose points are so many that 64 tiles do as well in half of
 * the memory; up to 64 channels they are small, to stay in cache. */
enum { BLOCK_TILE_COLUMNS = 16, TILES = 64, WIDE_PANELS = 32, WIDE_TILES = 128, NARROW_PANELS = 4, NARROW_TILES = 32 };

/* Output panels whose points are in flight at a time: few, to stay in cache, until from 256 input channels on the
 * inputs do not and had better be read once. */
enum { PASS_PANELS = 4, PASS_ALL_PANELS = 16 };

/* Between points: an odd number of lines, or all of them share a cache set. */
enum { PAD_FLOATS = 3 * PANEL };

#define PART_WEIGHT_BYTES ((size_t)36 << 20) /* of transformed weights at a time; half where storage is */
#define BLOCK_BYTES       ((size_t)16 << 20) /* of a block's transformed inputs at most: each thread has them */

static size_t part_panels(const struct step *step, size_t m) {
    const size_t out_panels = panel_count(step->output.channels);
    const size_t panel_bytes = (m + 2) * (m + 2) * step->conv2d.in_panels * PANEL * LINE_BYTES;
    const size_t part_bytes = step->weight_bf16 ? PART_WEIGHT_BYTES / 2 : PART_WEIGHT_BYTES;
    const size_t most = part_bytes / panel_bytes > 0 ? part_bytes / panel_bytes : 1;
    return divide_up(out_panels, divide_up(out_panels, most));
}

struct winograd_sizes conv2d_winograd_sizes(const struct step *step) {
    const struct conv2d_step *c = &step->conv2d;
    const size_t m = c->winograd > 0 ? c->winograd : 2; /* never 0 here, but tools cannot know */
    struct winograd_sizes s = {.m = m, .points = (m + 2) * (m + 2), .in_panels = c->in_panels};
    s.part_panels = c->own_weights ? panel_count(step->output.channels) : part_panels(step, m);
    s.block_tiles = c->block_rows / m * (c->block_columns / m);
    s.weight_stride = s.part_panels * c->in_panels * PANEL * PANEL + PAD_FLOATS;
    if (c->own_weights) {
        s.weight_stride = c->pass_panels * at_most(WINOGRAD_CHUNK_BLOCKS, c->in_panels) * PANEL * PANEL + PAD_FLOATS;
    }
    s.input_stride = c->in_panels * s.block_tiles * PANEL + PAD_FLOATS;
    s.output_stride = c->pass_panels * s.block_tiles * PANEL + PAD_FLOATS;
    return s;
}

/* Rows of tiles a block: as many as fit `most`, fewer where threads would wait for the last block. */
static size_t choose_block_rows(size_t tile_rows, size_t most, size_t other_blocks, size_t threads) {
    size_t best = 1, least = SIZE_MAX;
    for (size_t rows = at_most(tile_rows, most); rows >= 1; rows--) {
        /* a row more for the halo and the weights that each block reads */
        const size_t turns = divide_up(divide_up(tile_rows, rows) * other_blocks, threads) * (rows + 1);
        if (turns < least) {
            least = turns;
            best = rows;
        }
    }
    return best;
}

static size_t choose_tiles(size_t m, size_t in_panels) {
    const size_t fit = BLOCK_BYTES / ((m + 2) * (m + 2) * in_panels * LINE_BYTES);
    size_t tiles = in_panels > NARROW_PANELS ? TILES : NARROW_TILES;
    if (in_panels >= WIDE_PANELS && m < 6) {
        tiles = WIDE_TILES;
    }
    return at_most(m == 2 ? 2 * tiles : tiles, fit > 0 ? fit : 1);
}

/* Whether one task can have all tiles, so that each weight is used once. */
static bool is_one_block(const struct step *step) {
    const size_t m = step->conv2d.winograd;
    const size_t rows = divide_up(step->output.height, m), columns = divide_up(step->output.width, m);
    return step->output.images == 1 && columns <= BLOCK_TILE_COLUMNS &&
           rows * columns <= choose_tiles(m, panel_count(step->inputs[0].channels));
}

/* Each thread has all tiles, and its share of the output panels. */
static void plan_one_block(struct step *step, size_t threads) {
    struct conv2d_step *c = &step->conv2d;
    c->own_weights = true;
    c->block_columns = divide_up(c->out_width, c->winograd) * c->winograd;
    c->block_rows = divide_up(c->out_height, c->winograd) * c->winograd;
    c->block_panels = divide_up(panel_count(step->output.channels), threads);
    c->pass_panels = at_most(c->tile_panels, c->block_panels);
}

static void plan_blocks(struct step *step, size_t threads) {
    struct conv2d_step *c = &step->conv2d;
    const size_t m = c->winograd;
    const size_t tile_rows = divide_up(c->out_height, m), tile_columns = divide_up(c->out_width, m);
    const size_t part = part_panels(step, m);
    const size_t tiles = choose_tiles(m, c->in_panels);
    const size_t columns = divide_up(tile_columns, divide_up(tile_columns, BLOCK_TILE_COLUMNS));
    const size_t across = step->output.images * divide_up(tile_columns, columns);
    const size_t rows = choose_block_rows(tile_rows, tiles / columns > 0 ? tiles / columns : 1, across, threads);
    const size_t blocks = across * divide_up(tile_rows, rows);
    c->block_columns = columns * m;
    c->block_rows = rows * m;
    c->block_panels =
        divide_up(part, at_most(divide_up(threads, blocks > 0 ? blocks : 1), divide_up(part, PASS_PANELS)));
    c->pass_panels = c->in_panels >= PASS_ALL_PANELS ? c->block_panels : at_most(PASS_PANELS, c->block_panels);
}

size_t conv2d_winograd_offset_floats(const struct step *step) {
    return divide_up(step->conv2d.in_panels * sizeof(size_t), LINE_BYTES) * PANEL;
}

void conv2d_winograd_plan(struct step *step, int threads, struct step_workspace *workspace) {
    struct conv2d_step *c = &step->conv2d;
    conv2d_plan_image(step);
    if (is_one_block(step)) {
        plan_one_block(step, (size_t)threads);
    } else {
        plan_blocks(step, (size_t)threads);
    }
    const struct winograd_sizes s = conv2d_winograd_sizes(step);
    const size_t task_floats =
        conv2d_winograd_offset_floats(step) + conv2d_patch_floats(c) + s.points * (s.input_stride + s.output_stride);
    const size_t weight_floats = s.points * s.weight_stride;
    workspace->shared_bytes = (c->own_weights ? 0 : weight_floats) * sizeof(float);
    workspace->thread_bytes = (task_floats + (c->own_weights ? weight_floats : 0)) * sizeof(float);
}
