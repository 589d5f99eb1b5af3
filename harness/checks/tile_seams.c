/* How far an image is off where tiles meet: a seam is too thin to move the figures of the whole picture. */
#include <math.h>
#include <stdlib.h>

#include "harness/checks/checks.h"

/* Marks the pixels that a tile shares with the one before, and the last one before them: a seam is a step between two.
 */
static bool *mark_bands(const struct tiling_axis *axis) {
    bool *marked = calloc((size_t)axis->image_length + 1, sizeof *marked);
    for (int64_t i = 1; marked && i < axis->count; i++) {
        const struct tiling_span span = tiling_span(axis, i);
        const int64_t mixed = span.blend < span.kept ? span.blend : span.kept;
        for (int64_t p = span.image_start - 1; p < span.image_start + (mixed > 0 ? mixed : 1); p++) {
            marked[p] = true;
        }
    }
    return marked;
}

static struct seam_error measure_bands(const bool *rows, const bool *columns, const struct vaemark_tensor *image,
                                       const struct vaemark_tensor *wanted) {
    const struct shape shape = tensor_shape(image);
    const int64_t height = shape.dims[shape.rank - 2], width = shape.dims[shape.rank - 1];
    const int64_t planes = shape_element_count(&shape) / (height * width);
    struct seam_error found = {0, 0};
    double squares = 0;
    int64_t count = 0;
    for (int64_t line = 0; line < planes * height; line++) {
        for (int64_t x = 0; x < width; x++) {
            double a, b;
            if (!rows[line % height] && !columns[x]) {
                continue;
            }
            tensor_read_f64(&a, image, line * width + x, 1);
            tensor_read_f64(&b, wanted, line * width + x, 1);
            found.largest = fabs(a - b) <= found.largest ? found.largest : fabs(a - b); /* takes a NaN and keeps it */
            squares += (a - b) * (a - b);
            count++;
        }
    }
    found.rms = sqrt(squares / (double)count);
    return found;
}

enum vaemark_status check_measure_seams(const struct tiling *tiling, const struct vaemark_tensor *image,
                                        const struct vaemark_tensor *wanted, struct seam_error *found,
                                        struct error *error) {
    bool *rows = mark_bands(&tiling->rows), *columns = mark_bands(&tiling->columns);
    const struct shape shape = tensor_shape(image), other = tensor_shape(wanted);
    enum vaemark_status status = VAEMARK_OK;
    if (!rows || !columns) {
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the places of seams");
    } else if (!shape_equal(&shape, &tiling->image) || !shape_equal(&other, &tiling->image)) {
        status = error_set(error, VAEMARK_INTERNAL, "an image has another shape than its tiles");
    } else {
        *found = measure_bands(rows, columns, image, wanted);
    }
    free(rows);
    free(columns);
    return status;
}
