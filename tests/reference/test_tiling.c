/* Tiled and sliced decode of the reference, held against the framework's own program written out plainly: all tiles are
 * decoded whole and kept, blended with full arrays, cropped and joined. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/reference/support_tiling.h"

/* ---- The framework's programs, plainly ---- */

static void blend_v(const struct picture *a, struct picture *b, int64_t extent) {
    extent = smaller(smaller(a->height, b->height), extent);
    for (int64_t p = 0; p < b->planes; p++) {
        for (int64_t y = 0; y < extent; y++) {
            for (int64_t x = 0; x < b->width; x++) {
                *at(b, p, y, x) = *at(a, p, a->height - extent + y, x) * (1 - (double)y / (double)extent) +
                                  *at(b, p, y, x) * ((double)y / (double)extent);
            }
        }
    }
}

static void blend_h(const struct picture *a, struct picture *b, int64_t extent) {
    extent = smaller(smaller(a->width, b->width), extent);
    for (int64_t p = 0; p < b->planes; p++) {
        for (int64_t y = 0; y < b->height; y++) {
            for (int64_t x = 0; x < extent; x++) {
                *at(b, p, y, x) = *at(a, p, y, a->width - extent + x) * (1 - (double)x / (double)extent) +
                                  *at(b, p, y, x) * ((double)x / (double)extent);
            }
        }
    }
}

/* AutoencoderKL.tiled_decode with its own names. */
static struct picture kl_tiled_decode(const struct trial *whole, int64_t tile_latent_min_size, int64_t overlap_size,
                                      int64_t blend_extent, int64_t row_limit) {
    enum { MOST = 32 };
    struct picture rows[MOST][MOST] = {{{0}}}, dec;
    const int64_t height = whole->input.shape[2], width = whole->input.shape[3];
    int64_t n = 0, m = 0, dec_height = 0, dec_width = 0;
    for (int64_t i = 0; i < height; i += overlap_size, n++) {
        m = 0;
        for (int64_t j = 0; j < width; j += overlap_size, m++) {
            cr_assert(n < MOST && m < MOST);
            rows[n][m] = decode_alone(whole, i, j, smaller(tile_latent_min_size, height - i),
                                      smaller(tile_latent_min_size, width - j));
        }
    }
    for (int64_t i = 0; i < n; i++) {
        dec_height += smaller(rows[i][0].height, row_limit);
    }
    for (int64_t j = 0; j < m; j++) {
        dec_width += smaller(rows[0][j].width, row_limit);
    }
    dec = picture_make(rows[0][0].planes, dec_height, dec_width);
    for (int64_t i = 0, y0 = 0; i < n; y0 += smaller(rows[i][0].height, row_limit), i++) {
        for (int64_t j = 0, x0 = 0; j < m; x0 += smaller(rows[i][j].width, row_limit), j++) {
            struct picture *tile = &rows[i][j];
            if (i > 0) {
                blend_v(&rows[i - 1][j], tile, blend_extent);
            }
            if (j > 0) {
                blend_h(&rows[i][j - 1], tile, blend_extent);
            }
            for (int64_t p = 0; p < tile->planes; p++) {
                for (int64_t y = 0; y < smaller(tile->height, row_limit); y++) {
                    for (int64_t x = 0; x < smaller(tile->width, row_limit); x++) {
                        *at(&dec, p, y0 + y, x0 + x) = *at(tile, p, y, x);
                    }
                }
            }
        }
    }
    for (int64_t i = 0; i < n * m; i++) {
        free(rows[i / m][i % m].data);
    }
    return dec;
}

/* AutoencoderTiny._tiled_decode. */
static struct picture tiny_tiled_decode(const struct trial *whole, int64_t factor) {
    const int64_t height = whole->input.shape[2], width = whole->input.shape[3];
    const double last = (double)(8 * factor - 1);
    struct picture out = picture_make(whole->input.shape[0] * PLANES, height * factor, width * factor);
    for (int64_t i = 0; i < height; i += 56) {
        for (int64_t j = 0; j < width; j += 56) {
            struct picture tile = decode_alone(whole, i, j, smaller(64, height - i), smaller(64, width - j));
            for (int64_t p = 0; p < tile.planes; p++) {
                for (int64_t y = 0; y < tile.height; y++) {
                    for (int64_t x = 0; x < tile.width; x++) {
                        double mask =
                            (i == 0 ? 1 : fmin((double)y / last, 1)) * (j == 0 ? 1 : fmin((double)x / last, 1));
                        double *pixel = at(&out, p, i * factor + y, j * factor + x);
                        *pixel = mask * *at(&tile, p, y, x) + (1 - mask) * *pixel;
                    }
                }
            }
            free(tile.data);
        }
    }
    return out;
}

/* ---- Against them ---- */

struct kl_case {
    int64_t sample_size;
    int32_t factor;
    int64_t batch, height, width;
    int64_t image_height, image_width; /* of `on`, worked out by hand */
};

/* Whole tiles, a last tile of one latent, one axis that fits, three tiles, tiles that do not fit together. */
static const struct kl_case kl_cases[] = {
    {16, 2, 1, 13, 11, 26, 22}, {16, 2, 2, 9, 3, 18, 6},     {16, 2, 1, 7, 19, 14, 38},
    {16, 4, 1, 9, 5, 36, 20},   {60, 2, 1, 64, 31, 130, 63}, {20, 2, 2, 17, 12, 36, 25},
    {22, 4, 1, 8, 13, 42, 71},  {8, 4, 1, 4, 3, 22, 16},     {9, 1, 1, 20, 10, 23, 11},
};
enum { KL_CASES = sizeof kl_cases / sizeof kl_cases[0] };

static struct graph_tiling kl_tiling(int64_t sample_size) {
    return (struct graph_tiling){.algorithm = GRAPH_TILING_NEIGHBOURS, .sample_size = sample_size};
}

static void try_kl(const struct kl_case *c, bool corrected) {
    const struct graph_tiling tiling = kl_tiling(c->sample_size);
    struct vaemark_graph *graph = make_graph(c->factor, &tiling);
    const int64_t tile = c->sample_size / c->factor, step = tile * 3 / 4, extent = c->sample_size / 4;
    struct picture found, single, wanted;
    char what[96];
    struct trial t;
    snprintf(what, sizeof what, "S %ld, factor %d, %ldx%ldx%ld%s", (long)c->sample_size, (int)c->factor, (long)c->batch,
             (long)c->height, (long)c->width, corrected ? ", corrected" : "");
    trial_open(&t, graph, "fp64", c->batch, c->height, c->width);
    wanted = corrected ? kl_tiled_decode(&t, tile, step, (tile - step) * c->factor, step * c->factor)
                       : kl_tiled_decode(&t, tile, step, extent, c->sample_size - extent);
    cr_assert_eq(trial_set(&t, corrected ? option_text("tiling", "corrected") : option_boolean("tiling", 1)),
                 VAEMARK_OK);
    cr_assert_eq(trial_decode(&t, &found), VAEMARK_OK, "%s: %s", what, t.message.text);
    cr_expect_eq(found.height, corrected ? c->height * c->factor : c->image_height, "%s: height %ld", what,
                 (long)found.height);
    cr_expect_eq(found.width, corrected ? c->width * c->factor : c->image_width, "%s: width %ld", what,
                 (long)found.width);
    expect_same(&found, &wanted, 1e-14, what);
    cr_assert_eq(trial_set(&t, option_text("precision", "fp32")), VAEMARK_OK);
    cr_assert_eq(trial_decode(&t, &single), VAEMARK_OK);
    expect_same(&single, &wanted, 2e-5, "in single precision");
    free(found.data);
    free(single.data);
    free(wanted.data);
    trial_close(&t);
    graphs_free(graph);
}

Test(tiling, is_the_frameworks_on_autoencoder_kl) {
    for (int i = 0; i < KL_CASES; i++) {
        try_kl(&kl_cases[i], false);
    }
}

Test(tiling, corrected_has_the_size_of_the_whole_decode) {
    for (int i = 0; i < KL_CASES; i++) {
        try_kl(&kl_cases[i], true);
    }
}

static void try_tiny(int32_t factor, int64_t batch, int64_t height, int64_t width) {
    const struct graph_tiling tiling = {.algorithm = GRAPH_TILING_CANVAS};
    struct vaemark_graph *graph = make_graph(factor, &tiling);
    struct picture found, wanted, corrected;
    struct trial t;
    char what[64];
    snprintf(what, sizeof what, "tiny x%d, %ldx%ldx%ld", (int)factor, (long)batch, (long)height, (long)width);
    trial_open(&t, graph, "fp64", batch, height, width);
    wanted = tiny_tiled_decode(&t, factor);
    cr_assert_eq(trial_set(&t, option_text("tiling", "corrected")), VAEMARK_OK);
    cr_assert_eq(trial_decode(&t, &corrected), VAEMARK_OK);
    expect_same(&corrected, &wanted, 1e-14, what);
    if (factor == 8) {
        cr_assert_eq(trial_set(&t, option_boolean("tiling", 1)), VAEMARK_OK);
        cr_assert_eq(trial_decode(&t, &found), VAEMARK_OK);
        expect_same(&found, &corrected, 0, what);
        free(found.data);
    } else {
        cr_expect_eq(trial_set(&t, option_boolean("tiling", 1)), VAEMARK_UNSUPPORTED_OPTION);
        cr_expect(strstr(t.message.text, "--tiling=corrected") != NULL, "%s", t.message.text);
    }
    free(wanted.data);
    free(corrected.data);
    trial_close(&t);
    graphs_free(graph);
}

Test(tiling, is_the_frameworks_on_autoencoder_tiny) {
    try_tiny(8, 1, 57, 3);
    try_tiny(8, 2, 2, 113);
    try_tiny(2, 1, 70, 58);
    try_tiny(1, 1, 57, 64);
}

/* ---- One tile, slices ---- */

static struct picture decode_with(struct vaemark_graph *graph, int64_t batch, int64_t height, int64_t width,
                                  const struct vaemark_option *options, size_t count) {
    struct trial t;
    struct picture picture;
    trial_open(&t, graph, "fp64", batch, height, width);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(trial_set(&t, options[i]), VAEMARK_OK);
    }
    cr_assert_eq(trial_decode(&t, &picture), VAEMARK_OK);
    trial_close(&t);
    return picture;
}

Test(tiling, changes_nothing_where_one_tile_holds_everything) {
    const struct graph_tiling models[] = {kl_tiling(16), {.algorithm = GRAPH_TILING_CANVAS}};
    const int64_t sizes[] = {2, 7}; /* S / factor = 2 at least one tile; 7 < 56 */
    const struct vaemark_option tiling = option_boolean("tiling", 1);
    for (int i = 0; i < 2; i++) {
        struct vaemark_graph *graph = make_graph(8, &models[i]);
        struct picture plain = decode_with(graph, 1, sizes[i], sizes[i], NULL, 0);
        struct picture tiled = decode_with(graph, 1, sizes[i], sizes[i], &tiling, 1);
        expect_same(&tiled, &plain, 0, "one tile");
        free(plain.data);
        free(tiled.data);
        graphs_free(graph);
    }
}

Test(tiling, slices_change_no_bit_tiled_or_not) {
    const struct graph_tiling model = kl_tiling(16);
    struct vaemark_graph *graph = make_graph(2, &model);
    const struct vaemark_option options[] = {option_boolean("slicing", 1), option_boolean("tiling", 1)};
    for (size_t tiled = 0; tiled < 2; tiled++) {
        struct picture whole = decode_with(graph, 3, 11, 5, options + 1, tiled);
        struct picture sliced = decode_with(graph, 3, 11, 5, options, 1 + tiled);
        expect_same(&sliced, &whole, 0, "slices");
        free(whole.data);
        free(sliced.data);
    }
    graphs_free(graph);
}

/* ---- Memory, costs, refusals ---- */

static uint64_t trace_flops(struct trial *t, size_t *count) {
    struct vaemark_trace trace;
    uint64_t flops = 0;
    cr_assert_eq(reference_backend.trace(t->decoder, &trace, NULL), VAEMARK_OK);
    for (size_t i = 0; i < trace.count; i++) {
        flops += trace.entries[i].flops;
    }
    *count = trace.count;
    return flops;
}

Test(tiling, plans_its_memory_and_counts_every_tile) {
    const struct graph_tiling model = kl_tiling(16);
    struct vaemark_graph *graph = make_graph(2, &model);
    const struct tiling_request requests[] = {
        {.mode = TILING_OFF}, {.slicing = true}, {.mode = TILING_ON}, {.mode = TILING_ON, .slicing = true}};
    uint64_t planned[4], flops = 0;
    for (int i = 0; i < 4; i++) {
        struct trial t;
        struct picture picture;
        struct vaemark_memory memory;
        struct tiling tiling;
        struct vaemark_tensors inputs = {.count = 1};
        size_t entries;
        trial_open(&t, graph, "fp64", 2, 13, 11);
        inputs.items = &t.input;
        cr_assert_eq(trial_set(&t, option_boolean("tiling", requests[i].mode == TILING_ON)), VAEMARK_OK);
        cr_assert_eq(trial_set(&t, option_boolean("slicing", requests[i].slicing)), VAEMARK_OK);
        graphs_host_reset(&t.host, -1);
        cr_assert_eq(trial_decode(&t, &picture), VAEMARK_OK);
        cr_assert_eq(reference_backend.memory(t.decoder, &memory, NULL), VAEMARK_OK);
        for (int c = VAEMARK_MEMORY_ACTIVATIONS; c <= VAEMARK_MEMORY_WORKSPACE; c++) {
            cr_expect_eq(memory.planned_bytes[c], t.host.peak[c], "class %d: planned %lu, peak %lu", c,
                         (unsigned long)memory.planned_bytes[c], (unsigned long)t.host.peak[c]);
        }
        planned[i] = memory.planned_bytes[VAEMARK_MEMORY_ACTIVATIONS];
        cr_assert_eq(tiling_plan(graph, &inputs, &requests[i], &tiling, NULL), VAEMARK_OK);
        cr_assert_eq(tiling_flops(graph, &tiling, &inputs, &flops, NULL), VAEMARK_OK);
        cr_expect_eq(trace_flops(&t, &entries), flops);
        cr_expect_eq(entries, (size_t)tiling_pass_count(&tiling) * graph->node_count + (size_t)tiling.tiled);
        free(picture.data);
        trial_close(&t);
    }
    cr_expect_lt(planned[1], planned[0], "slices of a batch of two take less");
    cr_expect_lt(planned[3], planned[2]);
    cr_expect_eq(tiling_pass_count(&(struct tiling){.slices = 5}), 5);
    graphs_free(graph);
}

Test(tiling, gives_every_byte_back_where_memory_ends) {
    const struct graph_tiling model = kl_tiling(16);
    struct vaemark_graph *graph = make_graph(2, &model);
    enum vaemark_status status = VAEMARK_OUT_OF_MEMORY;
    for (int64_t fail_at = 0; status == VAEMARK_OUT_OF_MEMORY; fail_at++) {
        struct trial t;
        struct picture picture = {0};
        cr_assert_lt(fail_at, 500);
        trial_open(&t, graph, "fp64", 1, 9, 9);
        cr_assert_eq(trial_set(&t, option_boolean("tiling", 1)), VAEMARK_OK);
        graphs_host_reset(&t.host, fail_at);
        status = trial_decode(&t, &picture);
        cr_expect(status == VAEMARK_OK || fail_at > 0 || t.message.text[0] != '\0');
        free(picture.data);
        trial_close(&t);
    }
    cr_expect_eq(status, VAEMARK_OK);
    graphs_free(graph);
}

/* Where the framework raises, `on` has nothing to agree with; `corrected` decodes. */
Test(tiling, says_what_the_framework_cannot_do) {
    const struct {
        struct graph_tiling model;
        int32_t factor;
        const char *word;
    } cases[] = {{{.algorithm = GRAPH_TILING_NEIGHBOURS, .sample_size = 16, .sample_size_is_list = true}, 2, "list"},
                 {{.algorithm = GRAPH_TILING_NEIGHBOURS, .sample_size = 8}, 8, "1 latent"},
                 {{.algorithm = GRAPH_TILING_NEIGHBOURS, .sample_size = 4}, 8, "0 latent"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vaemark_graph *graph = make_graph(cases[i].factor, &cases[i].model);
        struct picture picture;
        struct trial t;
        trial_open(&t, graph, "fp64", 1, 9, 3);
        cr_assert_eq(trial_set(&t, option_boolean("tiling", 1)), VAEMARK_OK);
        cr_expect_eq(trial_decode(&t, &picture), VAEMARK_UNSUPPORTED_OPTION);
        cr_expect(strstr(t.message.text, cases[i].word) && strstr(t.message.text, "--tiling=corrected"), "%s",
                  t.message.text);
        cr_assert_eq(trial_set(&t, option_text("tiling", "corrected")), VAEMARK_OK);
        cr_assert_eq(trial_decode(&t, &picture), VAEMARK_OK, "%s", t.message.text);
        cr_expect(picture.height == 9 * cases[i].factor && picture.width == 3 * cases[i].factor);
        free(picture.data);
        trial_close(&t);
        graphs_free(graph);
    }
}

Test(tiling, needs_a_sample_size) {
    const struct graph_tiling model = kl_tiling(0);
    struct vaemark_graph *graph = make_graph(2, &model);
    struct trial t;
    trial_open(&t, graph, "fp64", 1, 9, 3);
    cr_expect_eq(trial_set(&t, option_boolean("tiling", 1)), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect(strstr(t.message.text, "sample_size") != NULL);
    cr_expect_eq(trial_set(&t, option_text("tiling", "corrected")), VAEMARK_UNSUPPORTED_OPTION);
    trial_close(&t);
    graphs_free(graph);
}

Test(tiling, options_are_checked_and_read_back) {
    const struct graph_tiling model = kl_tiling(16);
    struct vaemark_graph *graph = make_graph(2, &model);
    struct vaemark_option found;
    struct trial t;
    trial_open(&t, graph, "fp32", 1, 3, 3);
    const struct vaemark_option wrong[] = {option_text("tiling", "on"),
                                           option_text("slicing", "corrected"),
                                           {.key = "tiling", .type = VAEMARK_INTEGER, .value.integer = 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_expect_eq(trial_set(&t, wrong[i]), VAEMARK_UNKNOWN_OPTION);
    }
    cr_assert_eq(reference_backend.get_property(t.decoder, "tiling", &found, NULL), VAEMARK_OK);
    cr_expect(found.type == VAEMARK_BOOLEAN && found.value.boolean == 0);
    cr_assert_eq(trial_set(&t, option_text("tiling", "corrected")), VAEMARK_OK);
    cr_assert_eq(reference_backend.get_property(t.decoder, "tiling", &found, NULL), VAEMARK_OK);
    cr_expect(found.type == VAEMARK_TEXT && strcmp(found.value.text, "corrected") == 0);
    cr_assert_eq(trial_set(&t, option_boolean("tiling", 1)), VAEMARK_OK);
    cr_assert_eq(trial_set(&t, option_boolean("slicing", 1)), VAEMARK_OK);
    cr_assert_eq(reference_backend.get_property(t.decoder, "tiling", &found, NULL), VAEMARK_OK);
    cr_expect(found.type == VAEMARK_BOOLEAN && found.value.boolean == 1);
    cr_assert_eq(reference_backend.get_property(t.decoder, "slicing", &found, NULL), VAEMARK_OK);
    cr_expect(found.type == VAEMARK_BOOLEAN && found.value.boolean == 1);
    trial_close(&t);
    graphs_free(graph);
}
