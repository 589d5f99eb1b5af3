/* A small graph whose tiles differ from the whole, its decode by the reference, and pictures of doubles to hold it
 * against. */
#ifndef TESTS_REFERENCE_SUPPORT_TILING_H
#define TESTS_REFERENCE_SUPPORT_TILING_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/builder.h"
#include "reference/executor.h"
#include "reference/tiling.h"
#include "tests/reference/support_graphs.h"

enum { CHANNELS = 2, PLANES = 3 };

/* A picture of doubles, (planes, height, width). */
struct picture {
    int64_t planes, height, width;
    double *data;
};

static inline struct picture picture_make(int64_t planes, int64_t height, int64_t width) {
    struct picture p = {planes, height, width, calloc((size_t)(planes * height * width) + 1, sizeof(double))};
    cr_assert(p.data != NULL);
    return p;
}

static inline double *at(const struct picture *p, int64_t plane, int64_t y, int64_t x) {
    return &p->data[(plane * p->height + y) * p->width + x];
}

/* A norm makes every pixel depend on its whole tile; a convolution behind the enlargement makes borders differ. */
static inline struct vaemark_graph *make_graph(int32_t factor, const struct graph_tiling *tiling) {
    struct builder b;
    struct vaemark_graph *graph;
    builder_begin(&b);
    value x = builder_input(&b, "latents", 4, CHANNELS, 1);
    x = builder_group_norm(&b, x, CHANNELS, 1, 1e-6, "norm");
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = CHANNELS, .out = 4}, "conv_in");
    x = builder_upsample_nearest(&b, x, factor);
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 4, .out = PLANES}, "conv_out");
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    graphs_bind(graph);
    graph->tiling = *tiling;
    graph->tiling.factor = factor;
    graph->tiling.out_channels = PLANES;
    return graph;
}

struct trial {
    struct graphs_host host;
    struct vaemark_graph *graph;
    struct vaemark_model model;
    struct vaemark_decoder *decoder;
    struct vaemark_message message;
    double *latents;
    struct vaemark_tensor input;
};

static inline struct vaemark_option option_boolean(const char *key, int32_t on) {
    return (struct vaemark_option){.key = key, .type = VAEMARK_BOOLEAN, .value.boolean = on};
}

static inline struct vaemark_option option_text(const char *key, const char *text) {
    return (struct vaemark_option){.key = key, .type = VAEMARK_TEXT, .value.text = text};
}

static inline void trial_open(struct trial *t, struct vaemark_graph *graph, const char *precision, int64_t batch,
                              int64_t height, int64_t width) {
    const struct shape shape = {.rank = 4, .dims = {batch, CHANNELS, height, width}};
    const struct vaemark_option items[] = {option_text("precision", precision),
                                           {.key = "threads", .type = VAEMARK_INTEGER, .value.integer = 1}};
    const struct vaemark_options options = {.items = items, .count = 2};
    const int64_t count = shape_element_count(&shape);
    memset(t, 0, sizeof *t);
    graphs_host_make(&t->host);
    t->graph = graph;
    t->model = (struct vaemark_model){.struct_size = sizeof t->model,
                                      .name = "hand-made",
                                      .vae_type = graph->tiling.algorithm == GRAPH_TILING_CANVAS ? "AutoencoderTiny"
                                                                                                 : "AutoencoderKL",
                                      .config_json = "{}",
                                      .weights_path = "",
                                      .graph = graph,
                                      .graph_api = &graph_api};
    t->latents = malloc((size_t)count * sizeof(double));
    cr_assert(t->latents != NULL);
    for (int64_t i = 0; i < count; i++) {
        t->latents[i] = (double)(i * 7919 % 1009) / 500.0 - 1.0;
    }
    t->input = tensor_make("latents", VAEMARK_F64, &shape, t->latents);
    cr_assert_eq(reference_backend.open(&t->host.host, &t->model, &options, &t->decoder, &t->message), VAEMARK_OK);
}

static inline void trial_close(struct trial *t) {
    reference_backend.close(t->decoder);
    cr_expect_eq(graphs_host_balance(&t->host), 0, "memory was left behind");
    free(t->latents);
}

static inline enum vaemark_status trial_set(struct trial *t, struct vaemark_option option) {
    return reference_backend.set_option(t->decoder, &option, &t->message);
}

/* Decodes as doubles; the caller frees. planes counts the batch in. */
static inline enum vaemark_status trial_decode(struct trial *t, struct picture *out) {
    const struct vaemark_tensors inputs = {.items = &t->input, .count = 1};
    struct vaemark_tensor image;
    struct vaemark_tensors outputs = {.items = &image, .count = 1};
    *out = (struct picture){0};
    enum vaemark_status status = reference_backend.prepare(t->decoder, &inputs, &image, &t->message);
    if (status != VAEMARK_OK) {
        return status;
    }
    *out = picture_make(image.shape[0] * image.shape[1], image.shape[2], image.shape[3]);
    image.name = "image";
    image.data = malloc(tensor_size_bytes(&image));
    memset(image.data, 0xff, tensor_size_bytes(&image)); /* NaN: what is not written shows */
    status = reference_backend.decode(t->decoder, &inputs, &outputs, &t->message);
    tensor_read_f64(out->data, &image, 0, out->planes * out->height * out->width);
    free(image.data);
    return status;
}

static inline void expect_same(const struct picture *found, const struct picture *wanted, double bound,
                               const char *what) {
    double worst = 0;
    cr_assert(found->planes == wanted->planes && found->height == wanted->height && found->width == wanted->width,
              "%s: %ldx%ldx%ld, wanted %ldx%ldx%ld", what, (long)found->planes, (long)found->height, (long)found->width,
              (long)wanted->planes, (long)wanted->height, (long)wanted->width);
    for (int64_t i = 0; i < found->planes * found->height * found->width; i++) {
        const double error = fabs(found->data[i] - wanted->data[i]);
        worst = error <= worst ? worst : error;
    }
    cr_expect(worst <= bound, "%s: off by %g", what, worst);
}

/* One tile by an untiled decode of its latents. */
static inline struct picture decode_alone(const struct trial *whole, int64_t y0, int64_t x0, int64_t height,
                                          int64_t width) {
    const int64_t *dims = whole->input.shape;
    struct trial t;
    struct picture tile;
    trial_open(&t, whole->graph, "fp64", dims[0], height, width);
    for (int64_t plane = 0; plane < dims[0] * dims[1]; plane++) {
        for (int64_t y = 0; y < height; y++) {
            for (int64_t x = 0; x < width; x++) {
                t.latents[(plane * height + y) * width + x] =
                    whole->latents[(plane * dims[2] + y0 + y) * dims[3] + x0 + x];
            }
        }
    }
    cr_assert_eq(trial_decode(&t, &tile), VAEMARK_OK);
    trial_close(&t);
    return tile;
}

static inline int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

#endif
