/* Checks on one decoded image: image-size, written, finite, quality, largest-error, worst-tile, psnr, tile-seams. */
#include <math.h>
#include <string.h>

#include "harness/checks/checks.h"

/* The reference cannot be held against itself: its FP32 image is held against FP64, with the bound that the original
 * framework's goldens are held to. */
enum { GOLDEN_BOUND_INVERSE = 50000 }; /* 2e-5 of the largest |image| */

struct image_bounds {
    struct bound rms, largest, tile;
    const struct vaemark_tensor *wanted;
    const char *wanted_name;
};

static struct bound golden_bound(double oracle_max_abs) {
    struct bound bound = {.value = oracle_max_abs / GOLDEN_BOUND_INVERSE};
    strcpy(bound.derivation, "FP32 reference against FP64: 2e-5 max|oracle|, as its goldens");
    return bound;
}

static struct image_bounds choose_bounds(const struct judgement *j, const struct oracle *oracle) {
    const struct metrics *own = &oracle->own_error;
    struct image_bounds bounds = {.wanted = &oracle->image_fp32, .wanted_name = "the FP32 reference"};
    if (strcmp(j->item->decoder->backend, "reference") == 0) {
        bounds.wanted = &oracle->image_fp64;
        bounds.wanted_name = "FP64";
        bounds.rms = bounds.largest = bounds.tile = golden_bound(own->oracle_max_abs);
        return bounds;
    }
    bounds.rms = bound_derive(own->rms_error, own->oracle_max_abs, j->item->precision, j->algorithm);
    bounds.largest = bound_derive(own->max_abs_error, own->oracle_max_abs, j->item->precision, j->algorithm);
    bounds.tile = bound_derive(own->rms_worst_tile, own->oracle_max_abs, j->item->precision, j->algorithm);
    return bounds;
}

static void record_bounded(struct judgement *j, const char *name, double value, const struct bound *bound,
                           const char *what, const char *against) {
    struct finding finding = {.name = name,
                              .passed = value <= bound->value,
                              .value = value,
                              .bound = bound->value,
                              .derivation = bound->derivation};
    check_record(j, &finding, "%s against %s is %.3g, the bound %.3g", what, against, value, bound->value);
}

static void check_written(struct judgement *j) {
    int64_t unwritten = segment_count_poison(worker_segment(j->session.worker), &j->session.image);
    struct finding finding = {.name = "written",
                              .passed = unwritten == 0,
                              .value = (double)unwritten,
                              .bound = 0,
                              .derivation = "every element of the image is an output"};
    check_record(j, &finding, "%lld elements of the image were not written", (long long)unwritten);
}

static void check_finite(struct judgement *j, const struct metrics *m) {
    struct finding finding = {.name = "finite",
                              .passed = m->nonfinite == 0,
                              .value = (double)m->nonfinite,
                              .bound = 0,
                              .derivation = "finite latents and weights have a finite image"};
    check_record(j, &finding, "values of the image that are NaN or infinite: %lld", (long long)m->nonfinite);
}

static void check_psnr(struct judgement *j, const struct metrics *m, const char *against) {
    double floor_db = j->item->block->min_psnr_db;
    if (!(floor_db > 0)) {
        return;
    }
    struct finding finding = {.name = "psnr",
                              .passed = m->psnr_db >= floor_db,
                              .value = m->psnr_db,
                              .bound = floor_db,
                              .derivation = "the suite's min_psnr_db"};
    check_record(j, &finding, "PSNR against %s is %.1f dB, the suite wants %.1f dB", against, m->psnr_db, floor_db);
}

static void fill_figures(struct case_row *row, const struct metrics *m) {
    row->psnr_db = m->psnr_db;
    row->psnr8_db = m->psnr8_db;
    row->psnr_worst_tile_db = m->psnr_worst_tile_db;
    row->ssim = m->ssim;
    row->relative_l2 = m->relative_l2;
    row->max_abs_error = m->max_abs_error;
    row->image_min = m->image_min;
    row->image_max = m->image_max;
    row->image_std = m->image_std;
}

static enum vaemark_status check_tile_seams(struct judgement *j, const struct oracle *oracle,
                                            const struct vaemark_tensor *image, const struct image_bounds *bounds,
                                            struct error *error) {
    struct seam_error found, own;
    struct bound rms = bounds->rms, largest = bounds->largest;
    if (!j->tiling.tiled) {
        return VAEMARK_OK;
    }
    enum vaemark_status status = check_measure_seams(&j->tiling, image, bounds->wanted, &found, error);
    if (status == VAEMARK_OK) {
        status = check_measure_seams(&j->tiling, &oracle->image_fp32, &oracle->image_fp64, &own, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    if (bounds->wanted == &oracle->image_fp32) {
        rms = bound_derive(own.rms, oracle->own_error.oracle_max_abs, j->item->precision, j->algorithm);
        largest = bound_derive(own.largest, oracle->own_error.oracle_max_abs, j->item->precision, j->algorithm);
    }
    record_bounded(j, "tile-seams", found.rms, &rms, "the RMS error where tiles meet", bounds->wanted_name);
    record_bounded(j, "tile-seams/largest", found.largest, &largest, "the largest error where tiles meet",
                   bounds->wanted_name);
    return VAEMARK_OK;
}

enum vaemark_status check_image(struct judgement *j, const struct oracle *oracle, bool fill_row, struct error *error) {
    struct image_bounds bounds = choose_bounds(j, oracle);
    struct vaemark_tensor image = session_image(&j->session);
    struct metrics m;
    enum vaemark_status status = metrics_compare(&image, bounds.wanted, &m, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    if (fill_row) {
        fill_figures(j->row, &m);
    }
    check_written(j);
    check_finite(j, &m);
    record_bounded(j, "quality", m.rms_error, &bounds.rms, "the RMS error", bounds.wanted_name);
    record_bounded(j, "largest-error", m.max_abs_error, &bounds.largest, "the largest error", bounds.wanted_name);
    record_bounded(j, "worst-tile", m.rms_worst_tile, &bounds.tile, "the RMS error of the worst tile",
                   bounds.wanted_name);
    check_psnr(j, &m, bounds.wanted_name);
    return check_tile_seams(j, oracle, &image, &bounds, error);
}

/* Plans once: the size that the decoder says and the one that its image must have. */
static void judge_size(struct judgement *j, bool passed) {
    const struct session *session = &j->session;
    const bool framework = session->tiling.mode == TILING_ON;
    char found_text[160], wanted_text[160];
    struct shape found = {.rank = session->plan.image_rank};
    memcpy(found.dims, session->plan.image_shape, sizeof found.dims);
    struct finding finding = {.name = "image-size",
                              .passed = passed,
                              .value = (double)shape_element_count(&found),
                              .bound = (double)shape_element_count(&session->wanted_image),
                              .derivation = framework ? "the original framework's tiles of this configuration"
                                                      : "latents and VAE type make one size"};
    check_record(j, &finding, "the decoder makes an image of %s %s, wanted %s in F32 or F64",
                 dtype_name(session->plan.image_dtype), shape_format(&found, found_text, sizeof found_text),
                 shape_format(&session->wanted_image, wanted_text, sizeof wanted_text));
}

enum vaemark_status check_image_size(struct judgement *j, struct error *error) {
    enum vaemark_status status = session_prepare(&j->session, error);
    /* A plan that came and was not taken is one of a wrong size; all else is another failure. */
    if (status == VAEMARK_OK || (status == VAEMARK_BAD_INPUT && j->session.plan.image_rank &&
                                 session_fate(&j->session)->kind == WORKER_ALIVE)) {
        judge_size(j, status == VAEMARK_OK);
    }
    return status;
}

enum vaemark_status check_same_within_bound(struct judgement *j, const char *name, const struct vaemark_tensor *image,
                                            const struct vaemark_tensor *wanted, const char *what,
                                            struct error *error) {
    const struct metrics *own = &j->oracle->own_error;
    struct bound bound = bound_derive(own->max_abs_error, own->oracle_max_abs, j->item->precision, j->algorithm);
    struct metrics m;
    enum vaemark_status status = metrics_compare(image, wanted, &m, error);
    if (status == VAEMARK_OK) {
        record_bounded(j, name, m.max_abs_error, &bound, "the largest difference", what);
    }
    return status;
}
