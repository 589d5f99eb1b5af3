/* The geometry of passes, and the options that ask for them. */
#include "reference/tiling.h"

#include <stdlib.h>
#include <string.h>

#include "reference/model.h"

/* AutoencoderTiny: tiles of 64 latents, an eighth of which overlap. Its class takes 2 ** out_channels for the factor
 * between latents and image, which is right for 3 channels and four levels alone. */
enum { CANVAS_TILE = 64, CANVAS_OVERLAP = 8, CANVAS_FACTOR = 8, CANVAS_CHANNELS = 3 };

/* ---- Options ---- */

static enum vaemark_status refuse_type(const char *key, const char *wanted, struct error *error) {
    return error_set(error, VAEMARK_UNKNOWN_OPTION, "option %s takes %s", key, wanted);
}

static enum vaemark_status read_mode(const struct vaemark_option *option, enum tiling_mode *mode, struct error *error) {
    static const char wanted[] = "true or false, or the text 'corrected'";
    if (option->type == VAEMARK_TEXT && option->value.text != NULL) {
        *mode = TILING_CORRECTED;
        return strcmp(option->value.text, "corrected") == 0
                   ? VAEMARK_OK
                   : error_set(error, VAEMARK_UNKNOWN_OPTION, "option tiling takes %s, not '%.100s'", wanted,
                               option->value.text);
    }
    *mode = option->type == VAEMARK_BOOLEAN && option->value.boolean != 0 ? TILING_ON : TILING_OFF;
    return option->type == VAEMARK_BOOLEAN ? VAEMARK_OK : refuse_type(option->key, wanted, error);
}

static const char *const option_keys[] = {"tiling", "slicing", "tile", "tile_stride"};

bool tiling_option_is(const char *key) {
    for (size_t i = 0; i < sizeof option_keys / sizeof option_keys[0]; i++) {
        if (strcmp(option_keys[i], key) == 0) {
            return true;
        }
    }
    return false;
}

static enum vaemark_status read_pixels(const struct vaemark_option *option, int64_t *pixels, struct error *error) {
    enum { MAX_PIXELS = 1 << 24 };
    *pixels = option->value.integer;
    return option->type == VAEMARK_INTEGER && *pixels >= 0 && *pixels <= MAX_PIXELS
               ? VAEMARK_OK
               : refuse_type(option->key, "a whole number of image pixels, 0 for the class's own", error);
}

enum vaemark_status tiling_option_take(struct tiling_request *request, const char *vae_type,
                                       const struct vaemark_option *option, struct error *error) {
    struct tiling_request wanted = *request;
    enum vaemark_status status = VAEMARK_OK;
    bool asked = false;
    if (strcmp(option->key, "tiling") == 0) {
        status = read_mode(option, &wanted.mode, error);
        asked = wanted.mode != TILING_OFF;
    } else if (strcmp(option->key, "slicing") == 0) {
        wanted.slicing = option->value.boolean != 0;
        asked = wanted.slicing;
        status = option->type == VAEMARK_BOOLEAN ? VAEMARK_OK : refuse_type(option->key, "true or false", error);
    } else {
        int64_t *pixels = strcmp(option->key, "tile") == 0 ? &wanted.tile : &wanted.stride;
        status = read_pixels(option, pixels, error);
        asked = *pixels > 0;
    }
    if (status == VAEMARK_OK && asked) {
        status = capability_check(vae_type, option->key, error);
    }
    if (status == VAEMARK_OK) {
        *request = wanted;
    }
    return status;
}

bool tiling_option_get(const struct tiling_request *request, const char *key, struct vaemark_option *value) {
    if (strcmp(key, "slicing") == 0) {
        *value = (struct vaemark_option){.key = "slicing", .type = VAEMARK_BOOLEAN, .value.boolean = request->slicing};
        return true;
    }
    if (strcmp(key, "tile") == 0 || strcmp(key, "tile_stride") == 0) {
        const bool tile = strcmp(key, "tile") == 0;
        *value = (struct vaemark_option){.key = tile ? "tile" : "tile_stride",
                                         .type = VAEMARK_INTEGER,
                                         .value.integer = tile ? request->tile : request->stride};
        return true;
    }
    if (strcmp(key, "tiling") != 0) {
        return false;
    }
    *value = (struct vaemark_option){.key = "tiling", .type = VAEMARK_BOOLEAN};
    if (request->mode == TILING_CORRECTED) {
        value->type = VAEMARK_TEXT;
        value->value.text = "corrected";
    } else {
        value->value.boolean = request->mode == TILING_ON;
    }
    return true;
}

#define REMEDY "use --tiling=corrected (option tiling = corrected), which decodes it in tiles all the same"

enum vaemark_status tiling_check(const struct vaemark_graph *graph, enum tiling_mode mode, struct error *error) {
    const struct graph_tiling *tiling = &graph->tiling;
    if (mode == TILING_OFF) {
        return VAEMARK_OK;
    }
    if (tiling->algorithm == GRAPH_TILING_NEIGHBOURS && tiling->sample_size < 1) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "tiling needs \"sample_size\" in config.json, a whole number of pixels from 1; it says how "
                         "large a tile is");
    }
    if (mode == TILING_ON && tiling->algorithm == GRAPH_TILING_CANVAS &&
        (tiling->factor != CANVAS_FACTOR || tiling->out_channels != CANVAS_CHANNELS)) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "tiling is not possible as the framework does it: it fails (RuntimeError) on an "
                         "AutoencoderTiny that enlarges %lld times and has %lld output channels, because it takes 2 to "
                         "the power of the output channels, and 3 channels, for granted; " REMEDY,
                         (long long)tiling->factor, (long long)tiling->out_channels);
    }
    return VAEMARK_OK;
}

/* ---- Axes ---- */

static int64_t at_most(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t at_least(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t tile_size(const struct tiling_axis *axis, int64_t index) {
    return at_most(axis->tile, axis->length - index * axis->step);
}

struct tiling_span tiling_span(const struct tiling_axis *axis, int64_t index) {
    struct tiling_span span = {
        .index = index, .start = index * axis->step, .size = tile_size(axis, index), .image_start = 0};
    span.image_size = span.size * axis->factor;
    span.kept = at_most(axis->keep, span.image_size);
    if (axis->keep == INT64_MAX) {
        span.image_start = span.start * axis->factor;
    }
    for (int64_t i = 0; axis->keep != INT64_MAX && i < index; i++) {
        span.image_start += at_most(axis->keep, tile_size(axis, i) * axis->factor);
    }
    span.image_start = at_most(span.image_start, axis->limit);
    span.kept = at_most(span.kept, axis->limit - span.image_start);
    if (index > 0) {
        span.blend = at_most(axis->blend, span.image_size);
        if (axis->keep != INT64_MAX) {
            span.blend = at_most(span.blend, tile_size(axis, index - 1) * axis->factor);
        }
    }
    while (span.size_index + 1 < axis->size_count && axis->sizes[span.size_index] != span.size) {
        span.size_index++;
    }
    return span;
}

/* All but the last tiles are whole, and of those no two are of one size. False: more sizes than there is room for. */
static bool axis_count_tiles(struct tiling_axis *axis) {
    struct tiling_span last;
    axis->count = (axis->length + axis->step - 1) / axis->step;
    axis->blend = at_least(0, at_most(axis->blend, at_most(axis->tile, axis->length) * axis->factor));
    axis->sizes[axis->size_count++] = tile_size(axis, 0);
    for (int64_t i = at_least(1, (axis->length - axis->tile) / axis->step); i < axis->count; i++) {
        if (tile_size(axis, i) == axis->sizes[axis->size_count - 1]) {
            continue;
        }
        if (axis->size_count == TILING_MAX_SIZES) {
            return false;
        }
        axis->sizes[axis->size_count++] = tile_size(axis, i);
    }
    last = tiling_span(axis, axis->count - 1);
    axis->image_length = last.image_start + last.kept;
    return true;
}

static struct tiling_axis neighbours_axis(const struct graph_tiling *model, enum tiling_mode mode, int64_t length) {
    struct tiling_axis axis = {.length = length,
                               .factor = model->factor,
                               .tile = model->sample_size / model->factor,
                               .patch = 1,
                               .limit = INT64_MAX};
    if (mode == TILING_ON) {
        axis.step = axis.tile * 3 / 4;
        axis.blend = model->sample_size / 4;
        axis.keep = model->sample_size - axis.blend;
    } else {
        axis.tile = at_least(1, axis.tile);
        axis.step = at_least(1, axis.tile * 3 / 4);
        axis.blend = (axis.tile - axis.step) * axis.factor;
        axis.keep = axis.step * axis.factor;
    }
    return axis;
}

static struct tiling_axis canvas_axis(const struct graph_tiling *model, int64_t length) {
    return (struct tiling_axis){.length = length,
                                .factor = model->factor,
                                .tile = CANVAS_TILE,
                                .step = CANVAS_TILE - CANVAS_OVERLAP,
                                .blend = CANVAS_OVERLAP * model->factor,
                                .keep = INT64_MAX,
                                .patch = 1,
                                .limit = INT64_MAX};
}

/* A stride that is larger than the tile leaves gaps, and so may one that is left out where a tile is given: the class's
 * own stays. Corrected, it has the class's own proportion to the tile. */
static struct tiling_axis strides_axis(const struct graph_tiling *model, const struct tiling_request *request,
                                       int64_t length) {
    const int64_t patch = model->patch > 1 ? model->patch : 1, factor = model->factor;
    const int64_t tile = request->tile > 0 ? request->tile : model->tile;
    const int64_t stride = request->stride > 0 ? request->stride : model->stride;
    struct tiling_axis axis = {
        .length = length, .factor = factor, .patch = patch, .limit = INT64_MAX, .tile = tile / factor};
    if (request->mode == TILING_ON) {
        axis.step = stride / factor;
        axis.keep = stride / patch * patch;
        axis.blend = tile / patch * patch - axis.keep;
        axis.limit = model->crops ? length * factor : INT64_MAX;
        return axis;
    }
    axis.tile = at_least(1, axis.tile);
    axis.step = stride <= tile ? stride / factor : axis.tile * model->stride / model->tile;
    axis.step = at_least(1, at_most(axis.step, axis.tile));
    axis.keep = axis.step * factor;
    axis.blend = (axis.tile - axis.step) * factor;
    return axis;
}

/* ---- The plan ---- */

/* Where the framework stops with an exception, `on` has nothing to agree with. */
static enum vaemark_status check_framework(const struct graph_tiling *model, const struct tiling_axis *axis,
                                           struct error *error) {
    if (model->sample_size_is_list) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "tiling is not possible as the framework does it: it fails (TypeError) where \"sample_size\" "
                         "in config.json is a list; " REMEDY);
    }
    if (model->algorithm == GRAPH_TILING_STRIDES && (axis->step < 1 || axis->tile < 1)) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "tiling is not possible as the framework does it: it fails where a tile or its stride is less "
                         "than one latent pixel, %lld image pixels; use a larger tile and tile_stride, or "
                         "--tiling=corrected",
                         (long long)axis->factor);
    }
    if (axis->step < 1) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                         "tiling is not possible as the framework does it: it fails (ValueError) where a tile is %lld "
                         "latent pixels wide, because \"sample_size\" in config.json is %lld; " REMEDY,
                         (long long)axis->tile, (long long)model->sample_size);
    }
    return VAEMARK_OK;
}

static void plan_axes(const struct graph_tiling *model, const struct tiling_request *request, int64_t height,
                      int64_t width, struct tiling *tiling) {
    switch (model->algorithm) {
    case GRAPH_TILING_CANVAS:
        tiling->rows = canvas_axis(model, height);
        tiling->columns = canvas_axis(model, width);
        tiling->tiled = height > tiling->rows.step || width > tiling->columns.step;
        return;
    case GRAPH_TILING_STRIDES:
        tiling->rows = strides_axis(model, request, height);
        tiling->columns = strides_axis(model, request, width);
        break;
    case GRAPH_TILING_NEIGHBOURS:
    case GRAPH_TILING_NONE:
        tiling->rows = neighbours_axis(model, request->mode, height);
        tiling->columns = neighbours_axis(model, request->mode, width);
        break;
    }
    tiling->tiled = height > tiling->rows.tile || width > tiling->columns.tile;
}

static enum vaemark_status plan_tiles(const struct graph_tiling *model, const struct tiling_request *request,
                                      const struct shape *latents, struct tiling *tiling, struct error *error) {
    const int64_t height = latents->dims[latents->rank - 2], width = latents->dims[latents->rank - 1];
    enum vaemark_status status = VAEMARK_OK;
    tiling->algorithm = model->algorithm;
    plan_axes(model, request, height, width, tiling);
    if (!tiling->tiled) {
        return VAEMARK_OK;
    }
    tiling->clamped = model->ends_in_clamp && (model->clamps || request->mode == TILING_CORRECTED);
    if (request->mode == TILING_ON && model->algorithm != GRAPH_TILING_CANVAS) {
        status = check_framework(model, &tiling->rows, error);
    }
    if (status == VAEMARK_OK && !(axis_count_tiles(&tiling->rows) && axis_count_tiles(&tiling->columns))) {
        status = error_set(error, VAEMARK_UNSUPPORTED_OPTION,
                           "tiles of %lld latent pixels every %lld are of more than %d sizes, more than are planned "
                           "for: use a larger tile_stride",
                           (long long)tiling->rows.tile, (long long)tiling->rows.step, (int)TILING_MAX_SIZES);
    }
    return status;
}

/* The image of a pass of that shape, and what it costs. */
static enum vaemark_status infer_pass(const struct vaemark_graph *graph, const struct tiling *tiling,
                                      const struct vaemark_tensors *inputs, int32_t shape, struct shape *image,
                                      uint64_t *flops, struct error *error) {
    struct vaemark_tensor items[sizeof graph->inputs / sizeof graph->inputs[0]];
    const struct vaemark_tensors pass = tiling_shape_inputs(tiling, inputs, shape, items);
    struct shape *shapes = calloc((size_t)graph->value_count + 1, sizeof *shapes);
    if (shapes == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory while planning tiles");
    }
    const enum vaemark_status status = graph_infer_shapes(graph, &pass, shapes, error);
    if (status == VAEMARK_OK) {
        *image = graph_image_shape(graph, shapes);
        *flops = graph_flops(graph, shapes);
    }
    free(shapes);
    return status;
}

/* A graph that enlarges a tile by another factor than its builder says would break every place that follows. */
static enum vaemark_status check_factor(const struct tiling *tiling, const struct shape *image, struct error *error) {
    const int64_t height = tiling->rows.sizes[0] * tiling->rows.factor;
    const int64_t width = tiling->columns.sizes[0] * tiling->columns.factor;
    return !tiling->tiled || (image->dims[image->rank - 2] == height && image->dims[image->rank - 1] == width)
               ? VAEMARK_OK
               : error_set(error, VAEMARK_INTERNAL, "a tile's image is not its latents times %lld",
                           (long long)tiling->rows.factor);
}

enum vaemark_status tiling_plan(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                const struct tiling_request *request, struct tiling *tiling, struct error *error) {
    const struct tiling whole = {.slices = 1};
    struct shape image = {0};
    uint64_t flops = 0;
    enum vaemark_status status = infer_pass(graph, &whole, inputs, 0, &image, &flops, error);
    *tiling = whole;
    if (status != VAEMARK_OK) {
        return status;
    }
    const struct vaemark_tensor *latents = tensors_find(inputs, graph->inputs[0].name);
    const struct shape latents_shape = tensor_shape(latents);
    const int64_t batch = latents_shape.dims[0];
    if (request->slicing && batch > 1) {
        tiling->slices = batch;
    }
    if (request->mode != TILING_OFF && graph->tiling.algorithm != GRAPH_TILING_NONE) {
        status = tiling_check(graph, request->mode, error);
        if (status == VAEMARK_OK) {
            status = plan_tiles(&graph->tiling, request, &latents_shape, tiling, error);
        }
    }
    if (status == VAEMARK_OK) {
        status = infer_pass(graph, tiling, inputs, 0, &tiling->pass_image, &flops, error);
    }
    if (status == VAEMARK_OK) {
        status = check_factor(tiling, &tiling->pass_image, error);
    }
    tiling->image = image;
    if (tiling->tiled) {
        tiling->image.dims[image.rank - 2] = tiling->rows.image_length;
        tiling->image.dims[image.rank - 1] = tiling->columns.image_length;
    }
    return status;
}

bool tiling_divides(const struct tiling *tiling) {
    return tiling->tiled || tiling->slices > 1;
}

int64_t tiling_pass_count(const struct tiling *tiling) {
    return tiling->slices * (tiling->tiled ? tiling->rows.count * tiling->columns.count : 1);
}

/* ---- Shapes of passes ---- */

int32_t tiling_shape_count(const struct tiling *tiling) {
    return tiling->tiled ? tiling->rows.size_count * tiling->columns.size_count : 1;
}

static int64_t axis_uses(const struct tiling_axis *axis, int32_t size_index) {
    int64_t uses = 0;
    for (int64_t i = 0; i < axis->count; i++) {
        uses += tile_size(axis, i) == axis->sizes[size_index];
    }
    return uses;
}

int64_t tiling_shape_uses(const struct tiling *tiling, int32_t shape) {
    if (!tiling->tiled) {
        return tiling->slices;
    }
    return tiling->slices * axis_uses(&tiling->rows, shape / tiling->columns.size_count) *
           axis_uses(&tiling->columns, shape % tiling->columns.size_count);
}

struct vaemark_tensors tiling_shape_inputs(const struct tiling *tiling, const struct vaemark_tensors *inputs,
                                           int32_t shape, struct vaemark_tensor *items) {
    for (size_t i = 0; i < inputs->count; i++) {
        struct shape pass = tensor_shape(&inputs->items[i]);
        pass.dims[0] /= tiling->slices;
        if (tiling->tiled) { /* models that are tiled have one input, their latents */
            pass.dims[pass.rank - 2] = tiling->rows.sizes[shape / tiling->columns.size_count];
            pass.dims[pass.rank - 1] = tiling->columns.sizes[shape % tiling->columns.size_count];
        }
        items[i] = tensor_make(inputs->items[i].name, inputs->items[i].dtype, &pass, NULL);
    }
    return (struct vaemark_tensors){.items = items, .count = inputs->count};
}

enum vaemark_status tiling_flops(const struct vaemark_graph *graph, const struct tiling *tiling,
                                 const struct vaemark_tensors *inputs, uint64_t *flops, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    *flops = 0;
    for (int32_t i = 0; status == VAEMARK_OK && i < tiling_shape_count(tiling); i++) {
        struct shape image = {0};
        uint64_t once = 0;
        status = infer_pass(graph, tiling, inputs, i, &image, &once, error);
        *flops += once * (uint64_t)tiling_shape_uses(tiling, i);
    }
    return status;
}
