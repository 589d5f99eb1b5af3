/* Tiles by size and stride (AutoencoderDC, Qwen-Image, Wan): places and sizes as the framework's program has them, gaps
 * included. The numbers are the specification's or counted by hand; what images look like, goldens ask. */
#include <criterion/criterion.h>
#include <string.h>

#include "reference/builder.h"
#include "reference/model.h"
#include "reference/tiling.h"

static struct vaemark_graph *make_graph(int32_t factor, struct graph_tiling tiling) {
    struct builder b;
    struct vaemark_graph *graph = NULL;
    builder_begin(&b);
    value x = builder_upsample_nearest(&b, builder_input(&b, "latents", 4, 3, 1), factor);
    cr_assert_eq(builder_finish(&b, builder_clamp(&b, x, -1, 1), &graph, NULL), VAEMARK_OK);
    tiling.algorithm = GRAPH_TILING_STRIDES;
    tiling.factor = factor;
    tiling.out_channels = 3;
    tiling.ends_in_clamp = true;
    graph->tiling = tiling;
    return graph;
}

static enum vaemark_status plan(const struct vaemark_graph *graph, struct tiling_request request, int64_t height,
                                int64_t width, struct tiling *tiling, struct error *error) {
    const struct shape shape = {.rank = 4, .dims = {1, 3, height, width}};
    struct vaemark_tensor latents = tensor_make("latents", VAEMARK_F32, &shape, NULL);
    const struct vaemark_tensors inputs = {.items = &latents, .count = 1};
    return tiling_plan(graph, &inputs, &request, tiling, error);
}

static const struct graph_tiling DC = {.tile = 512, .stride = 448, .clamps = true};
static const struct graph_tiling QWEN = {.tile = 256, .stride = 192, .crops = true};
static const struct graph_tiling WAN22 = {.tile = 256, .stride = 192, .crops = true, .patch = 2, .clamps = true};

static const struct geometry {
    const char *what;
    const struct graph_tiling *model;
    int32_t factor;
    int64_t tile, stride, length;                     /* asked for; latents, each way */
    int64_t latent_tile, step, blend, keep, image;    /* as the framework does it */
    int64_t own_tile, own_step, own_blend, own_image; /* corrected */
} geometries[] = {
    {"Qwen 512", &QWEN, 8, 0, 0, 64, 32, 24, 64, 192, 512, 32, 24, 64, 512},
    {"Qwen 128 pixels alone leave gaps", &QWEN, 8, 128, 0, 64, 16, 24, 0, 192, 384, 16, 12, 32, 512},
    {"Qwen cut to size", &QWEN, 8, 128, 64, 17, 16, 8, 64, 64, 136, 16, 8, 64, 136},
    {"DC 1024", &DC, 32, 0, 0, 32, 16, 14, 64, 448, 1024, 16, 14, 64, 1024},
    {"DC 256 pixels alone leave gaps", &DC, 32, 256, 0, 32, 8, 14, 0, 448, 640, 8, 7, 32, 1024},
    {"DC at a factor that does not divide", &DC, 128, 0, 0, 8, 4, 3, 64, 448, 1152, 4, 3, 128, 1024},
    {"Wan 2.2", &WAN22, 16, 0, 0, 40, 16, 12, 64, 192, 640, 16, 12, 64, 640},
    {"Wan 2.2, odd pixels", &WAN22, 16, 81, 51, 9, 5, 3, 30, 50, 144, 5, 3, 32, 144},
    {"a stride as long as the tile", &QWEN, 8, 64, 64, 20, 8, 8, 0, 64, 160, 8, 8, 0, 160},
};

Test(tiling_strides, are_the_frameworks_places) {
    for (size_t i = 0; i < sizeof geometries / sizeof *geometries; i++) {
        const struct geometry *g = &geometries[i];
        struct vaemark_graph *graph = make_graph(g->factor, *g->model);
        struct tiling_request request = {.mode = TILING_ON, .tile = g->tile, .stride = g->stride};
        struct tiling on, corrected;
        struct error error = {.status = VAEMARK_OK};
        cr_assert_eq(plan(graph, request, g->length, g->length, &on, &error), VAEMARK_OK, "%s: %s", g->what,
                     error.message);
        request.mode = TILING_CORRECTED;
        cr_assert_eq(plan(graph, request, g->length, g->length, &corrected, &error), VAEMARK_OK, "%s: %s", g->what,
                     error.message);
        cr_assert(on.tiled && corrected.tiled, "%s", g->what);
        cr_expect_eq(on.rows.tile, g->latent_tile, "%s", g->what);
        cr_expect_eq(on.rows.step, g->step, "%s", g->what);
        cr_expect_eq(on.rows.keep, g->keep, "%s", g->what);
        cr_expect_eq(on.rows.blend, g->blend, "%s: %lld", g->what, (long long)on.rows.blend);
        cr_expect_eq(on.image.dims[3], g->image, "%s: %lld", g->what, (long long)on.image.dims[3]);
        cr_expect_eq(corrected.rows.tile, g->own_tile, "%s", g->what);
        cr_expect_eq(corrected.rows.step, g->own_step, "%s", g->what);
        cr_expect_eq(corrected.rows.blend, g->own_blend, "%s", g->what);
        cr_expect_eq(corrected.image.dims[2], g->own_image, "%s", g->what);
        cr_expect_eq(on.clamped, g->model->clamps, "%s", g->what);
        cr_expect(corrected.clamped, "%s", g->what);
        graph_free(graph);
    }
}

/* Corrected, every pixel comes from some tile, once: kept parts follow one another without a gap. */
Test(tiling_strides, leave_no_gap_where_corrected) {
    for (int64_t tile = 8; tile <= 72; tile += 8) {
        for (int64_t stride = 0; stride <= 96; stride += 24) {
            struct vaemark_graph *graph = make_graph(8, QWEN);
            struct tiling tiling;
            struct error error = {.status = VAEMARK_OK};
            const struct tiling_request request = {.mode = TILING_CORRECTED, .tile = tile, .stride = stride};
            cr_assert_eq(plan(graph, request, 23, 10, &tiling, &error), VAEMARK_OK, "%s", error.message);
            int64_t next = 0;
            for (int64_t i = 0; i < tiling.rows.count; i++) {
                const struct tiling_span span = tiling_span(&tiling.rows, i);
                cr_expect_eq(span.image_start, next, "tile %lld, stride %lld", (long long)tile, (long long)stride);
                cr_expect_eq(span.image_start, span.start * 8);
                next += span.kept;
            }
            cr_expect_eq(next, 23 * 8);
            graph_free(graph);
        }
    }
}

/* At most as many sizes as tiles overlap; every tile's size is among them. */
Test(tiling_strides, know_every_size_of_tile) {
    struct vaemark_graph *graph = make_graph(8, QWEN);
    struct tiling tiling;
    struct error error = {.status = VAEMARK_OK};
    struct tiling_request request = {.mode = TILING_ON, .tile = 128, .stride = 8};
    cr_assert_eq(plan(graph, request, 40, 16, &tiling, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_eq(tiling.rows.size_count, 16); /* 16 whole ones, then 15, 14, ... 1 latents */
    int64_t uses = 0;
    for (int32_t shape = 0; shape < tiling_shape_count(&tiling); shape++) {
        uses += tiling_shape_uses(&tiling, shape);
    }
    cr_expect_eq(uses, tiling_pass_count(&tiling));
    for (int64_t i = 0; i < tiling.rows.count; i++) {
        const struct tiling_span span = tiling_span(&tiling.rows, i);
        cr_expect_eq(tiling.rows.sizes[span.size_index], span.size);
    }
    request.tile = 256;
    cr_expect_eq(plan(graph, request, 40, 16, &tiling, &error), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect(strstr(error.message, "use a larger tile_stride") != NULL, "%s", error.message);
    graph_free(graph);
}

Test(tiling_strides, refuse_what_the_framework_cannot_do) {
    struct vaemark_graph *graph = make_graph(32, DC);
    struct tiling tiling;
    struct error error = {.status = VAEMARK_OK};
    struct tiling_request request = {.mode = TILING_ON, .tile = 31, .stride = 31};
    cr_expect_eq(plan(graph, request, 4, 4, &tiling, &error), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect(strstr(error.message, "less than one latent pixel, 32 image pixels") != NULL, "%s", error.message);
    request.mode = TILING_CORRECTED;
    cr_assert_eq(plan(graph, request, 4, 4, &tiling, &error), VAEMARK_OK);
    cr_expect_eq(tiling.image.dims[2], 128);
    graph_free(graph);
}

/* A view without the last clamp, whose memory is the graph's. */
Test(tiling_strides, decode_tiles_without_the_clamp) {
    struct vaemark_graph *graph = make_graph(8, QWEN);
    const struct vaemark_graph tile = graph_of_tile(graph);
    cr_expect_eq(tile.node_count, graph->node_count - 1);
    cr_expect_eq(tile.output, graph->nodes[0].output);
    graph->tiling.ends_in_clamp = false;
    cr_expect_eq(graph_of_tile(graph).output, graph->output);
    graph_free(graph);
}

Test(tiling_strides, options_are_whole_numbers_of_pixels) {
    struct tiling_request request = {.mode = TILING_OFF};
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_option option = {.key = "tile", .type = VAEMARK_INTEGER, .value.integer = 128};
    struct vaemark_option read;
    cr_assert_eq(tiling_option_take(&request, "AutoencoderDC", &option, &error), VAEMARK_OK, "%s", error.message);
    option.key = "tile_stride";
    option.value.integer = 96;
    cr_assert_eq(tiling_option_take(&request, "AutoencoderDC", &option, &error), VAEMARK_OK);
    cr_expect(tiling_option_get(&request, "tile", &read) && read.value.integer == 128);
    cr_expect(tiling_option_get(&request, "tile_stride", &read) && read.value.integer == 96);
    option.value.integer = -1;
    cr_expect_eq(tiling_option_take(&request, "AutoencoderDC", &option, &error), VAEMARK_UNKNOWN_OPTION);
    option = (struct vaemark_option){.key = "tile", .type = VAEMARK_BOOLEAN, .value.boolean = 1};
    cr_expect_eq(tiling_option_take(&request, "AutoencoderDC", &option, &error), VAEMARK_UNKNOWN_OPTION);
    option = (struct vaemark_option){.key = "tile", .type = VAEMARK_INTEGER, .value.integer = 64};
    cr_expect_eq(tiling_option_take(&request, "AutoencoderKL", &option, &error), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect(strstr(error.message, "AutoencoderKL does not support the option tile") != NULL, "%s", error.message);
    option.value.integer = 0;
    cr_expect_eq(tiling_option_take(&request, "AutoencoderKL", &option, &error), VAEMARK_OK);
    cr_expect(request.tile == 0 && request.stride == 96);
}
