/* A decoded tile becomes part of the image, as diffusers mixes it: AutoencoderKL.tiled_decode with blend_v, blend_h
 * (neighbours), AutoencoderTiny._tiled_decode (canvas).
 *
 * Neighbours: over the first e rows of a tile b below a tile a, e = min(rows(a), rows(b), E):
 *     b[y] = a[rows(a) - e + y] (1 - y / e) + b[y] (y / e)
 * then the same over columns with the tile to the left; both neighbours as they were after their own mixing. Of the
 * result the top left corner, keep x keep, goes into the image.
 *
 * Strides (AutoencoderDC, AutoencoderKLQwenImage, AutoencoderKLWan.tiled_decode): the same with other E and keep.
 *
 * Canvas: image = w tile + (1 - w) image over all of the tile, on an image of zeros at first, with
 *     w[y,x] = (m(y) unless the row is the first) (m(x) unless the column is the first), m(k) = min(k / (E - 1), 1)
 */
#include <string.h>

#include "reference/ops/real.h"
#include "reference/tiling.h"

static int64_t at_most(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Of the tile itself, at pixel k of e. Where a tile is mixed before its channels become patches, the pixels of a patch
 * share their weight. */
static double share_of(int64_t k, int64_t e, int64_t patch) {
    const int64_t place = k / patch, places = e / patch;
    return (double)place / (double)places;
}

static void mix_above(const struct tile_blend *blend, real *tile, int64_t plane) {
    const int64_t width = blend->column.image_size, e = blend->row.blend;
    const real *above = (const real *)blend->above + plane * blend->rows->blend * width;

    above += (blend->rows->blend - e) * width;
    for (int64_t y = 0; y < e; y++) {
        const double share = share_of(y, e, blend->rows->patch);
        const real old = (real)(1 - share), new = (real)share;
        for (int64_t x = 0; x < width; x++) {
            tile[y * width + x] = above[y * width + x] * old + tile[y * width + x] * new;
        }
    }
}

static void mix_left(const struct tile_blend *blend, real *tile, int64_t plane) {
    const int64_t height = blend->row.image_size, width = blend->column.image_size, e = blend->column.blend;
    const int64_t stride = blend->columns->blend;
    const real *left = (const real *)blend->left + plane * height * stride;

    left += stride - e;
    for (int64_t y = 0; y < height; y++) {
        for (int64_t x = 0; x < e; x++) {
            const double share = share_of(x, e, blend->columns->patch);
            tile[y * width + x] = left[y * stride + x] * (real)(1 - share) + tile[y * width + x] * (real)share;
        }
    }
}

/* The ends of this tile, for the neighbours to come. A tile smaller than a strip fills the strip's own end. */
static void keep_ends(const struct tile_blend *blend, const real *tile, int64_t plane) {
    const int64_t height = blend->row.image_size, width = blend->column.image_size;
    const int64_t rows = at_most(blend->rows->blend, height), columns = at_most(blend->columns->blend, width);
    const int64_t stride = blend->columns->blend;
    real *above = (real *)blend->above + ((plane + 1) * blend->rows->blend - rows) * width;
    real *left = (real *)blend->left + plane * height * stride + stride - columns;

    memcpy(above, tile + (height - rows) * width, (size_t)(rows * width) * sizeof *tile);
    for (int64_t y = 0; y < height; y++) {
        memcpy(left + y * stride, tile + (y + 1) * width - columns, (size_t)columns * sizeof *tile);
    }
}

static void place_beside_neighbours(const struct tile_blend *blend, real *tile, real *image, int64_t plane) {
    const int64_t stride = blend->columns->image_length;

    mix_above(blend, tile, plane);
    mix_left(blend, tile, plane);
    keep_ends(blend, tile, plane);
    for (int64_t y = 0; y < blend->row.kept; y++) {
        memcpy(image + y * stride, tile + y * blend->column.image_size, (size_t)blend->column.kept * sizeof *tile);
    }
}

static real canvas_weight(const struct tiling_axis *axis, const struct tiling_span *span, int64_t k) {
    return span->index == 0 || k >= axis->blend - 1 ? 1 : (real)k / (real)(axis->blend - 1);
}

static void place_on_canvas(const struct tile_blend *blend, const real *tile, real *image) {
    const int64_t width = blend->column.image_size, stride = blend->columns->image_length;

    for (int64_t y = 0; y < blend->row.image_size; y++) {
        const real row_weight = canvas_weight(blend->rows, &blend->row, y);
        for (int64_t x = 0; x < width; x++) {
            const real w = row_weight * canvas_weight(blend->columns, &blend->column, x);
            image[y * stride + x] = w * tile[y * width + x] + (1 - w) * image[y * stride + x];
        }
    }
}

void REAL_NAME(tile_blend)(const struct tile_blend *blend) {
    const int64_t size = blend->row.image_size * blend->column.image_size, stride = blend->columns->image_length;
    const int64_t corner = blend->row.image_start * stride + blend->column.image_start;

#pragma omp parallel for num_threads(blend->threads) schedule(static)
    for (int64_t plane = 0; plane < blend->planes; plane++) {
        real *tile = (real *)blend->tile + plane * size;
        real *image = (real *)blend->image + plane * blend->rows->image_length * stride + corner;
        if (blend->algorithm == GRAPH_TILING_CANVAS) {
            place_on_canvas(blend, tile, image);
        } else {
            place_beside_neighbours(blend, tile, image, plane);
        }
    }
}
