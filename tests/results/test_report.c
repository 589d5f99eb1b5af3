#include "results/report.h"

#include <criterion/criterion.h>
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

static char *join(const char *folder, const char *name) {
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/%s", folder, name) > 0);
    return support_keep(path);
}

static bool exists(const char *folder, const char *name) {
    char *path = join(folder, name);
    struct stat status;
    bool there = stat(path, &status) == 0 && status.st_size > 0;
    return there;
}

Test(report, a_picture_comes_back_pixel_by_pixel) {
    char *path = support_path("picture.png");
    const int64_t height = 5, width = 7;
    uint8_t pixels[5 * 7 * 3], read[5 * 7 * 3]; // (H, W, 3)
    struct results_error error = {""};
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)(i * 31);
    }
    cr_assert(picture_write_png(path, pixels, height, width, &error), "%s", error.message);
    png_image image = {.version = PNG_IMAGE_VERSION};
    cr_assert(png_image_begin_read_from_file(&image, path), "%s", image.message);
    cr_expect_eq(image.width, 7);
    cr_expect_eq(image.height, 5);
    image.format = PNG_FORMAT_RGB;
    cr_assert(png_image_finish_read(&image, NULL, read, 0, NULL));
    cr_expect_arr_eq(read, pixels, sizeof pixels);
    cr_expect_not(picture_write_png(path, pixels, 0, width, &error));
    cr_expect_not(picture_write_png("/nonexistent-folder/x.png", pixels, height, width, &error));
    cr_expect_not_null(strstr(error.message, "/nonexistent-folder/x.png"), "%s", error.message);
}

/* Two ids that make one name must not overwrite each other, and no id leads out of the folder. */
Test(report, pictures_have_names_of_their_own_and_survive_a_missing_gnuplot) {
    char *folder = support_path("deep/er/report");
    struct record *record = record_create();
    struct results_error error = {""};
    const uint8_t pixels[3] = {1, 2, 3};
    record_add_image(record, "m/cpu/fp32/plain/1x4", "decoded", 1, 1, pixels, 1);
    record_add_image(record, "m_cpu/fp32/plain/1x4", "decoded", 1, 1, pixels, 1);
    record_add_image(record, "../../escape", "decoded", 1, 1, pixels, 1);
    support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", "passed")->latency_median_ns = 1e6;
    setenv("PATH", "/nonexistent", 1);
    const char *source = getenv("VAEMARK_SOURCE");
    char *scripts = join(source ? source : ".", "scripts/gnuplot");
    if (!source) {
        cr_skip_test("VAEMARK_SOURCE is not set: run this by ctest");
    }
    cr_expect_not(report_write(record, folder, scripts, &error));
    cr_expect_not_null(strstr(error.message, "apt-get install gnuplot-nox"), "%s", error.message);
    cr_expect(exists(folder, "m_cpu_fp32_plain_1x4_decoded.png"));
    cr_expect(exists(folder, "m_cpu_fp32_plain_1x4_decoded_2.png"));
    cr_expect(exists(folder, "_._.._escape_decoded.png"));
    cr_expect_not(exists(folder, "latency.png"));
    record_free(record);
}

static struct record *make_plotted(size_t count) {
    static const char *const backends[] = {"reference", "cpu"};
    struct record *record = record_create();
    for (size_t i = 0; i < count; i++) {
        char model[64];
        snprintf(model, sizeof model, "it's_{a} \"model\" %zu", i / 2);
        struct case_row *row =
            support_add_case(record, model, "AutoencoderKL", backends[i % 2], i % 3 ? "fuse_qkv" : "plain", "passed");
        row->latency_median_ns = 1e5 * pow(1.7, (double)i);
        row->latency_low_ns = row->latency_median_ns * 0.9;
        row->latency_high_ns = row->latency_median_ns * 1.2;
        row->memory_peak_bytes = 1000000 << i % 8;
        row->memory_weights_bytes = i % 4 ? 3000000 : 0;
        row->psnr_db = i == 1 ? INFINITY : 120 + (double)i;
    }
    return record;
}

static bool have_gnuplot(void) {
    return system("command -v gnuplot >/dev/null 2>&1") == 0;
}

Test(report, plots_are_drawn_for_none_one_and_many_cases) {
    static const size_t counts[] = {0, 1, 40};
    static const char *const names[] = {"latency.png", "latency.svg", "psnr.png", "psnr.svg"};
    const char *source = getenv("VAEMARK_SOURCE");
    if (!source || !have_gnuplot()) {
        cr_skip_test("gnuplot is not installed, or VAEMARK_SOURCE is not set");
    }
    char *scripts = join(source, "scripts/gnuplot");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char *folder = support_path("it's a report");
        struct record *record = make_plotted(counts[i]);
        struct results_error error = {""};
        cr_expect(report_write(record, folder, scripts, &error), "%zu cases: %s", counts[i], error.message);
        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++) {
            cr_expect_eq(exists(folder, names[j]), counts[i] > 0, "%zu cases: %s", counts[i], names[j]);
        }
        record_free(record);
    }
}

Test(report, scripts_that_are_missing_are_named) {
    struct record *record = make_plotted(2);
    struct results_error error = {""};
    cr_expect_not(report_write(record, support_path("report"), "/nonexistent-scripts", &error));
    cr_expect_not_null(strstr(error.message, "/nonexistent-scripts/plot.gp"), "%s", error.message);
    record_free(record);
}
