/* Metrics decide what passes, so each is held against a value worked out by hand, and none may like a NaN. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "harness/metrics.h"

static struct vaemark_tensor make(int64_t height, int64_t width, float value) {
    struct shape shape = {.rank = 4, .dims = {1, 3, height, width}};
    int64_t count = shape_element_count(&shape);
    float *data = malloc((size_t)count * sizeof *data);
    cr_assert_not_null(data);
    for (int64_t i = 0; i < count; i++) {
        data[i] = value + 0.1f * (float)(i % 7);
    }
    return tensor_make("image", VAEMARK_F32, &shape, data);
}

static struct metrics compare(const struct vaemark_tensor *a, const struct vaemark_tensor *b) {
    struct metrics m;
    struct error error = {0};
    cr_assert_eq(metrics_compare(a, b, &m, &error), VAEMARK_OK, "%s", error.message);
    return m;
}

static void add(struct vaemark_tensor *tensor, int64_t element, float value) {
    ((float *)tensor->data)[element] += value;
}

Test(metrics, equal_images_have_no_error) {
    struct vaemark_tensor a = make(20, 20, -0.3f);
    struct metrics m = compare(&a, &a);
    cr_assert(isinf(m.psnr_db) && m.psnr_db > 0);
    cr_assert_eq(m.max_abs_error, 0);
    cr_assert_eq(m.relative_l2, 0);
    cr_assert_float_eq(m.ssim, 1, 1e-12);
    free(a.data);
}

Test(metrics, a_constant_offset_gives_the_psnr_of_the_formula) {
    struct vaemark_tensor a = make(32, 32, -0.3f), b = make(32, 32, -0.3f);
    for (int64_t i = 0; i < 3 * 32 * 32; i++) {
        add(&a, i, 0.125f);
    }
    struct metrics m = compare(&a, &b);
    /* 10 log10(2^2 / 0.125^2) = 24.0824 dB; a tile has the error of the whole */
    cr_assert_float_eq(m.psnr_db, 24.0824, 1e-3);
    cr_assert_float_eq(m.psnr_worst_tile_db, 24.0824, 1e-3);
    cr_assert_float_eq(m.rms_error, 0.125, 1e-6);
    cr_assert_float_eq(m.max_abs_error, 0.125, 1e-6);
    cr_assert_lt(m.ssim, 1);
    free(a.data);
    free(b.data);
}

Test(metrics, one_bad_tile_shows_where_the_whole_hides_it) {
    struct vaemark_tensor a = make(64, 64, 0), b = make(64, 64, 0);
    for (int64_t y = 16; y < 32; y++) {
        for (int64_t x = 48; x < 64; x++) {
            add(&a, y * 64 + x, 0.5f);
        }
    }
    struct metrics m = compare(&a, &b);
    /* a third of the tile's values is off by 0.5, and the tile is a sixteenth of the picture */
    cr_assert_float_eq(m.rms_worst_tile, sqrt(0.25 / 3), 1e-6);
    cr_assert_float_eq(m.rms_error, sqrt(0.25 / 3 / 16), 1e-6);
    cr_assert_eq(m.worst_tile_y, 16);
    cr_assert_eq(m.worst_tile_x, 48);
    free(a.data);
    free(b.data);
}

Test(metrics, nan_makes_every_figure_unknown) {
    struct vaemark_tensor a = make(16, 16, 0), b = make(16, 16, 0);
    add(&a, 100, NAN);
    struct metrics m = compare(&a, &b);
    cr_assert_eq(m.nonfinite, 1);
    cr_assert(isnan(m.psnr_db) && isnan(m.max_abs_error) && isnan(m.rms_error) && isnan(m.rms_worst_tile));
    cr_assert_not(m.max_abs_error <= 1e30, "a bound must not be met by NaN");
    free(a.data);
    free(b.data);
}

Test(metrics, nan_in_the_oracle_is_no_pass_either) {
    struct vaemark_tensor a = make(16, 16, 0), b = make(16, 16, 0);
    add(&b, 5, NAN);
    struct metrics m = compare(&a, &b);
    cr_assert(isnan(m.rms_error));
    free(a.data);
    free(b.data);
}

Test(metrics, other_shapes_are_refused) {
    struct vaemark_tensor a = make(16, 16, 0), b = make(16, 17, 0);
    struct metrics m;
    struct error error = {0};
    cr_assert_eq(metrics_compare(&a, &b, &m, &error), VAEMARK_INVALID_ARGUMENT);
    cr_assert(strstr(error.message, "1x3x16x17"), "%s", error.message);
    free(a.data);
    free(b.data);
}

Test(metrics, pictures_smaller_than_a_window_work) {
    struct vaemark_tensor a = make(1, 1, 0.25f);
    struct metrics m = compare(&a, &a);
    cr_assert_float_eq(m.ssim, 1, 1e-12);
    free(a.data);
}

Test(metrics, eight_bit_rounds_half_to_even_and_clamps) {
    cr_assert_eq(metrics_to_8bit(-1), 0);
    cr_assert_eq(metrics_to_8bit(1), 255);
    cr_assert_eq(metrics_to_8bit(-7), 0);
    cr_assert_eq(metrics_to_8bit(7), 255);
    cr_assert_eq(metrics_to_8bit((double)NAN), 0);
    cr_assert_eq(metrics_to_8bit(0), 128, "127.5 is half: the even neighbour");
    cr_assert_eq(metrics_to_8bit(2 * (0.5 / 255) - 1), 0, "0.5 is half: the even neighbour");
}
