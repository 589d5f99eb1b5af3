/* Tiles by size and stride, mixed as the framework mixes them: its program written out plainly, with all tiles kept. */
#include <stdio.h>

#include "tests/reference/support_tiling.h"

struct strides_case {
    int64_t tile, stride; /* image pixels */
    int32_t factor;
    int64_t patch, height, width;
    bool crops;
    int64_t image_height, image_width; /* worked out by hand */
};

/* Tiles that fit, that are cut to size, that leave gaps, of which several overlap, that keep more than there is. */
static const struct strides_case strides_cases[] = {
    {16, 12, 2, 1, 13, 9, true, 26, 18}, {16, 8, 4, 1, 9, 7, false, 36, 28},  {6, 12, 2, 1, 13, 5, true, 14, 6},
    {8, 12, 2, 1, 13, 4, false, 18, 8},  {24, 10, 4, 1, 11, 9, true, 44, 36}, {24, 10, 4, 1, 11, 9, false, 54, 44},
    {16, 12, 4, 2, 9, 10, true, 36, 40}, {17, 11, 4, 2, 9, 6, true, 36, 24},
};

static double patch_share(int64_t y, int64_t extent, int64_t patch) {
    return (double)(y / patch) / (double)(extent / patch);
}

/* What blend_v and blend_h do before pixels leave the channels: of one weight within a patch. */
static void blend_strides(const struct picture *above, const struct picture *left, struct picture *b, int64_t extent,
                          int64_t patch) {
    const int64_t rows = above ? smaller(smaller(above->height, b->height), extent) : 0;
    const int64_t columns = left ? smaller(smaller(left->width, b->width), extent) : 0;
    for (int64_t i = 0; i < b->planes * b->height * b->width; i++) {
        const int64_t p = i / (b->height * b->width), y = i / b->width % b->height, x = i % b->width;
        if (y < rows) {
            const double share = patch_share(y, rows, patch);
            b->data[i] = *at(above, p, above->height - rows + y, x) * (1 - share) + b->data[i] * share;
        }
        if (x < columns) {
            const double share = patch_share(x, columns, patch);
            b->data[i] = *at(left, p, y, left->width - columns + x) * (1 - share) + b->data[i] * share;
        }
    }
}

/* AutoencoderKLWan.tiled_decode: all tiles, then mixed, cut, joined and cropped. */
static struct picture strides_tiled_decode(const struct trial *whole, const struct strides_case *c) {
    enum { MOST = 16 };
    struct picture tiles[MOST][MOST] = {{{0}}}, dec = picture_make(PLANES, c->image_height, c->image_width);
    const int64_t size = c->tile / c->factor, step = c->stride / c->factor;
    const int64_t keep = c->stride / c->patch * c->patch, extent = c->tile / c->patch * c->patch - keep;
    int64_t y0 = 0;
    memset(dec.data, 0xff, (size_t)(PLANES * c->image_height * c->image_width) * sizeof(double));
    for (int64_t i = 0; i * step < c->height; i++) {
        int64_t x0 = 0;
        for (int64_t j = 0; j * step < c->width; j++) {
            struct picture *tile = &tiles[i][j];
            cr_assert(i < MOST && j < MOST);
            *tile = decode_alone(whole, i * step, j * step, smaller(size, c->height - i * step),
                                 smaller(size, c->width - j * step));
            blend_strides(i > 0 ? &tiles[i - 1][j] : NULL, j > 0 ? &tiles[i][j - 1] : NULL, tile, extent, c->patch);
            for (int64_t k = 0; k < tile->planes * tile->height * tile->width; k++) {
                const int64_t p = k / (tile->height * tile->width), y = k / tile->width % tile->height;
                const int64_t x = k % tile->width;
                if (y < keep && x < keep && y0 + y < dec.height && x0 + x < dec.width) {
                    *at(&dec, p, y0 + y, x0 + x) = tile->data[k];
                }
            }
            x0 += smaller(keep, tile->width);
        }
        y0 += smaller(keep, tiles[i][0].height);
    }
    for (int64_t i = 0; i < MOST * MOST; i++) {
        free(tiles[i / MOST][i % MOST].data);
    }
    return dec;
}

Test(tiling, is_the_frameworks_by_size_and_stride) {
    for (size_t i = 0; i < sizeof strides_cases / sizeof strides_cases[0]; i++) {
        const struct strides_case *c = &strides_cases[i];
        const struct graph_tiling tiling = {.algorithm = GRAPH_TILING_STRIDES,
                                            .tile = c->tile,
                                            .stride = c->stride,
                                            .patch = c->patch,
                                            .crops = c->crops};
        struct vaemark_graph *graph = make_graph(c->factor, &tiling);
        struct picture found, wanted;
        struct trial t;
        char what[64];
        snprintf(what, sizeof what, "tile %ld, stride %ld, patch %ld", (long)c->tile, (long)c->stride, (long)c->patch);
        trial_open(&t, graph, "fp64", 1, c->height, c->width);
        wanted = strides_tiled_decode(&t, c);
        cr_assert_eq(trial_set(&t, option_boolean("tiling", 1)), VAEMARK_OK);
        cr_assert_eq(trial_decode(&t, &found), VAEMARK_OK, "%s: %s", what, t.message.text);
        expect_same(&found, &wanted, 1e-14, what);
        free(found.data);
        free(wanted.data);
        trial_close(&t);
        graphs_free(graph);
    }
}
