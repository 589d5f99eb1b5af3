/* Running the passes: cut the latents, decode, blend. */
#include <string.h>

#include "base/clock.h"
#include "reference/tiling.h"

enum { ALIGNMENT_BYTES = 64 };

/* Offsets into the scratch. */
struct layout {
    size_t latents, tile, above, left, size_bytes;
};

static size_t take(struct layout *layout, int64_t elements, size_t element_bytes) {
    const size_t offset = layout->size_bytes, size_bytes = (size_t)elements * element_bytes;
    layout->size_bytes += (size_bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    return offset;
}

static int64_t plane_count(const struct shape *shape) {
    return shape_element_count(shape) / (shape->dims[shape->rank - 2] * shape->dims[shape->rank - 1]);
}

static struct layout layout_of(const struct tiling *tiling, const struct vaemark_tensor *latents,
                               enum vaemark_dtype dtype) {
    const size_t element_bytes = dtype_size_bytes(dtype);
    const struct shape whole = tensor_shape(latents);
    const int64_t planes = plane_count(&tiling->pass_image);
    const int64_t height = tiling->pass_image.dims[tiling->pass_image.rank - 2];
    struct layout layout = {0};
    layout.latents =
        take(&layout, plane_count(&whole) / tiling->slices * tiling->rows.sizes[0] * tiling->columns.sizes[0],
             dtype_size_bytes(latents->dtype));
    layout.tile = take(&layout, shape_element_count(&tiling->pass_image), element_bytes);
    if (tiling->algorithm != GRAPH_TILING_CANVAS) {
        int64_t width = 0;
        for (int64_t j = 0; j < tiling->columns.count; j++) {
            width += tiling_span(&tiling->columns, j).image_size;
        }
        layout.above = take(&layout, planes * tiling->rows.blend * width, element_bytes);
        layout.left = take(&layout, planes * height * tiling->columns.blend, element_bytes);
    }
    return layout;
}

size_t tiling_scratch_bytes(const struct tiling *tiling, const struct vaemark_tensors *inputs,
                            enum vaemark_dtype image_dtype) {
    return tiling->tiled ? layout_of(tiling, &inputs->items[0], image_dtype).size_bytes : 0;
}

/* One slice while its tiles are decoded. */
struct slice {
    struct tiling_run *run;
    struct layout layout;
    struct vaemark_tensor latents, image; /* of this slice */
};

static unsigned char *scratch_at(const struct tiling_run *run, size_t offset) {
    return (unsigned char *)run->scratch + offset;
}

static void cut_latents(const struct slice *slice, const struct tiling_span *row, const struct tiling_span *column,
                        void *out) {
    const struct shape shape = tensor_shape(&slice->latents);
    const size_t element_bytes = dtype_size_bytes(slice->latents.dtype);
    const int64_t height = shape.dims[shape.rank - 2], width = shape.dims[shape.rank - 1];
    const size_t line_bytes = (size_t)column->size * element_bytes;
    unsigned char *to = out;
    for (int64_t plane = 0; plane < plane_count(&shape); plane++) {
        const unsigned char *from = (const unsigned char *)slice->latents.data +
                                    (size_t)((plane * height + row->start) * width + column->start) * element_bytes;
        for (int64_t y = 0; y < row->size; y++) {
            memcpy(to, from + (size_t)(y * width) * element_bytes, line_bytes);
            to += line_bytes;
        }
    }
}

static void blend_tile(const struct slice *slice, const struct tiling_span *row, const struct tiling_span *column,
                       int64_t columns_before) {
    struct tiling_run *run = slice->run;
    const struct tiling *tiling = run->tiling;
    const size_t element_bytes = dtype_size_bytes(run->image->dtype);
    const int64_t planes = plane_count(&tiling->pass_image);
    const struct tile_blend blend = {
        .algorithm = tiling->algorithm,
        .rows = &tiling->rows,
        .columns = &tiling->columns,
        .row = *row,
        .column = *column,
        .planes = planes,
        .tile = scratch_at(run, slice->layout.tile),
        .image = slice->image.data,
        .above = scratch_at(run, slice->layout.above) +
                 (size_t)(planes * tiling->rows.blend * columns_before) * element_bytes,
        .left = scratch_at(run, slice->layout.left),
        .threads = run->threads,
    };
    (run->image->dtype == VAEMARK_F32 ? tile_blend_fp32 : tile_blend_fp64)(&blend);
    run->blend_bytes += 2 * (uint64_t)(planes * row->image_size * column->image_size) * element_bytes;
}

/* `columns_before`: image pixels of the whole tiles to the left. */
static enum vaemark_status run_tile(const struct slice *slice, int64_t i, int64_t j, int64_t columns_before,
                                    struct error *error) {
    struct tiling_run *run = slice->run;
    const struct tiling *tiling = run->tiling;
    const struct tiling_span row = tiling_span(&tiling->rows, i), column = tiling_span(&tiling->columns, j);
    const int32_t shape = row.size_index * tiling->columns.size_count + column.size_index;
    struct vaemark_tensor input;
    const struct vaemark_tensors inputs = tiling_shape_inputs(tiling, run->inputs, shape, &input);
    struct shape image_shape = tiling->pass_image;
    const int64_t start_ns = clock_monotonic_ns();
    input.data = scratch_at(run, slice->layout.latents);
    cut_latents(slice, &row, &column, input.data);
    const int64_t cut_ns = clock_monotonic_ns();
    image_shape.dims[image_shape.rank - 2] = row.image_size;
    image_shape.dims[image_shape.rank - 1] = column.image_size;
    const struct vaemark_tensor image =
        tensor_make("image", run->image->dtype, &image_shape, scratch_at(run, slice->layout.tile));
    const enum vaemark_status status = run->decode(run->context, shape, &inputs, &image, error);
    if (status == VAEMARK_OK) {
        const int64_t decoded_ns = clock_monotonic_ns();
        blend_tile(slice, &row, &column, columns_before);
        run->blend_time_ns += (uint64_t)(cut_ns - start_ns + clock_monotonic_ns() - decoded_ns);
    }
    return status;
}

static enum vaemark_status run_tiles(const struct slice *slice, struct error *error) {
    const struct tiling *tiling = slice->run->tiling;
    enum vaemark_status status = VAEMARK_OK;
    if (tiling->algorithm == GRAPH_TILING_CANVAS) {
        memset(slice->image.data, 0, tensor_size_bytes(&slice->image));
    }
    for (int64_t i = 0; i < tiling->rows.count; i++) {
        int64_t columns_before = 0;
        for (int64_t j = 0; status == VAEMARK_OK && j < tiling->columns.count; j++) {
            status = run_tile(slice, i, j, columns_before, error);
            columns_before += tiling_span(&tiling->columns, j).image_size;
        }
    }
    return status;
}

/* Behind mixing, where the graph of a tile leaves its clamp out. NaN stays NaN. */
static void clamp_image(const struct vaemark_tensor *image) {
    const struct shape shape = tensor_shape(image);
    const int64_t count = shape_element_count(&shape);
    if (image->dtype == VAEMARK_F32) {
        float *x = image->data;
        for (int64_t i = 0; i < count; i++) {
            x[i] = x[i] < -1 ? -1 : x[i] > 1 ? 1 : x[i];
        }
    } else {
        double *x = image->data;
        for (int64_t i = 0; i < count; i++) {
            x[i] = x[i] < -1 ? -1 : x[i] > 1 ? 1 : x[i];
        }
    }
}

/* Sample `index` of `count`, all of the batch where that is 1. */
static struct vaemark_tensor slice_tensor(const struct vaemark_tensor *tensor, int64_t index, int64_t count) {
    struct shape shape = tensor_shape(tensor);
    shape.dims[0] /= count;
    struct vaemark_tensor slice = tensor_make(tensor->name, tensor->dtype, &shape, NULL);
    slice.data = (unsigned char *)tensor->data + (size_t)index * tensor_size_bytes(&slice);
    return slice;
}

enum vaemark_status tiling_run(struct tiling_run *run, struct error *error) {
    const struct tiling *tiling = run->tiling;
    enum vaemark_status status = VAEMARK_OK;
    run->blend_time_ns = run->blend_bytes = 0;
    for (int64_t s = 0; status == VAEMARK_OK && s < tiling->slices; s++) {
        struct vaemark_tensor items[sizeof((struct vaemark_graph *)0)->inputs / sizeof(struct graph_input)];
        struct slice slice = {.run = run, .image = slice_tensor(run->image, s, tiling->slices)};
        for (size_t i = 0; i < run->inputs->count; i++) {
            items[i] = slice_tensor(&run->inputs->items[i], s, tiling->slices);
        }
        if (tiling->tiled) {
            slice.layout = layout_of(tiling, &run->inputs->items[0], run->image->dtype);
            slice.latents = items[0];
            status = run_tiles(&slice, error);
            if (status == VAEMARK_OK && tiling->clamped) {
                clamp_image(&slice.image);
            }
        } else {
            const struct vaemark_tensors inputs = {.items = items, .count = run->inputs->count};
            status = run->decode(run->context, 0, &inputs, &slice.image, error);
        }
    }
    return status;
}

struct vaemark_trace_entry tiling_trace_entry(const struct tiling_run *run) {
    return (struct vaemark_trace_entry){.module = "",
                                        .op = "tile_blend",
                                        .kernel =
                                            run->image->dtype == VAEMARK_F32 ? "tile_blend_fp32" : "tile_blend_fp64",
                                        .time_ns = run->blend_time_ns,
                                        .bytes = run->blend_bytes};
}
