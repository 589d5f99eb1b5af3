#include "harness/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Both images as planes of doubles. */
struct pair {
    double *image, *oracle; /* (planes, H, W) */
    int64_t planes, height, width;
};

uint8_t metrics_to_8bit(double value) {
    double unit = value * 0.5 + 0.5;
    if (!(unit > 0)) {
        return 0; /* also NaN */
    }
    return (uint8_t)nearbyint(255.0 * (unit < 1 ? unit : 1));
}

static double psnr_of(double mean_squared_error, double peak) {
    return 10 * log10(peak * peak / mean_squared_error);
}

static double measure_8bit(const struct pair *pair) {
    int64_t count = pair->planes * pair->height * pair->width;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)metrics_to_8bit(pair->image[i]) - (double)metrics_to_8bit(pair->oracle[i]);
        sum += d * d;
    }
    return psnr_of(sum / (double)count, 255);
}

static void measure_values(const struct pair *pair, struct metrics *m) {
    int64_t count = pair->planes * pair->height * pair->width;
    double squares = 0, oracle_squares = 0, sum = 0, image_squares = 0;
    m->image_min = m->image_max = pair->image[0];
    for (int64_t i = 0; i < count; i++) {
        double x = pair->image[i], y = pair->oracle[i], d = x - y;
        m->nonfinite += !isfinite(x);
        m->max_abs_error = fabs(d) <= m->max_abs_error ? m->max_abs_error : fabs(d); /* takes a NaN and keeps it */
        m->oracle_max_abs = fabs(y) > m->oracle_max_abs ? fabs(y) : m->oracle_max_abs;
        m->image_min = x < m->image_min ? x : m->image_min;
        m->image_max = x > m->image_max ? x : m->image_max;
        squares += d * d;
        oracle_squares += y * y;
        sum += x;
        image_squares += x * x;
    }
    double mean = sum / (double)count;
    m->image_std = sqrt(fmax(image_squares / (double)count - mean * mean, 0));
    m->rms_error = sqrt(squares / (double)count);
    m->relative_l2 = squares > 0 ? sqrt(squares / oracle_squares) : squares;
    m->psnr_db = psnr_of(squares / (double)count, 2);
}

/* Mean squared error over all planes of one tile. */
static double tile_error(const struct pair *pair, int64_t y0, int64_t x0, int64_t size) {
    int64_t y1 = y0 + size < pair->height ? y0 + size : pair->height;
    int64_t x1 = x0 + size < pair->width ? x0 + size : pair->width;
    double sum = 0;
    for (int64_t p = 0; p < pair->planes; p++) {
        for (int64_t y = y0; y < y1; y++) {
            const double *a = pair->image + (p * pair->height + y) * pair->width;
            const double *b = pair->oracle + (p * pair->height + y) * pair->width;
            for (int64_t x = x0; x < x1; x++) {
                sum += (a[x] - b[x]) * (a[x] - b[x]);
            }
        }
    }
    return sum / (double)(pair->planes * (y1 - y0) * (x1 - x0));
}

static void measure_worst_tile(const struct pair *pair, struct metrics *m) {
    int64_t smaller = pair->height < pair->width ? pair->height : pair->width;
    int64_t size = smaller < 512 ? 16 : 64;
    double worst = 0;
    for (int64_t y = 0; y < pair->height; y += size) {
        for (int64_t x = 0; x < pair->width; x += size) {
            double error = tile_error(pair, y, x, size);
            if (!(error <= worst)) {
                worst = error;
                m->worst_tile_y = y;
                m->worst_tile_x = x;
            }
        }
    }
    m->rms_worst_tile = sqrt(worst);
    m->psnr_worst_tile_db = psnr_of(worst, 2);
}

enum { SSIM_WINDOW = 11 };

struct ssim_sums {
    double x, y, xx, yy, xy;
};

/* Weighted moments of the window whose top left corner is (y0, x0). */
static struct ssim_sums window_sums(const double *a, const double *b, int64_t stride, const double *weights,
                                    int64_t size) {
    struct ssim_sums s = {0};
    for (int64_t y = 0; y < size; y++) {
        for (int64_t x = 0; x < size; x++) {
            double w = weights[y] * weights[x], p = a[y * stride + x], q = b[y * stride + x];
            s.x += w * p;
            s.y += w * q;
            s.xx += w * p * p;
            s.yy += w * q * q;
            s.xy += w * p * q;
        }
    }
    return s;
}

static double ssim_of(const struct ssim_sums *s) {
    const double c1 = (0.01 * 2) * (0.01 * 2), c2 = (0.03 * 2) * (0.03 * 2);
    double vx = s->xx - s->x * s->x, vy = s->yy - s->y * s->y, cov = s->xy - s->x * s->y;
    return (2 * s->x * s->y + c1) * (2 * cov + c2) / ((s->x * s->x + s->y * s->y + c1) * (vx + vy + c2));
}

/* Every fourth window position: neighbours share nearly all pixels, and the mean does not need them. Pictures smaller
 * than the window are one window. */
static double measure_ssim(const struct pair *pair) {
    int64_t smaller = pair->height < pair->width ? pair->height : pair->width;
    int64_t size = smaller < SSIM_WINDOW ? smaller : SSIM_WINDOW;
    double weights[SSIM_WINDOW], total = 0, sum = 0;
    for (int64_t i = 0; i < size; i++) {
        double d = (double)i - (double)(size - 1) / 2;
        weights[i] = exp(-d * d / (2 * 1.5 * 1.5));
        total += weights[i];
    }
    for (int64_t i = 0; i < size; i++) {
        weights[i] /= total;
    }
    int64_t windows = 0;
    for (int64_t p = 0; p < pair->planes; p++) {
        for (int64_t y = 0; y + size <= pair->height; y += 4) {
            for (int64_t x = 0; x + size <= pair->width; x += 4) {
                int64_t at = (p * pair->height + y) * pair->width + x;
                struct ssim_sums s = window_sums(pair->image + at, pair->oracle + at, pair->width, weights, size);
                sum += ssim_of(&s);
                windows++;
            }
        }
    }
    return sum / (double)windows;
}

static void set_unknown(struct metrics *m) {
    m->psnr_db = m->psnr8_db = m->psnr_worst_tile_db = m->rms_worst_tile = m->ssim = (double)NAN;
    m->rms_error = m->relative_l2 = m->max_abs_error = (double)NAN;
}

static enum vaemark_status make_pair(const struct vaemark_tensor *image, const struct vaemark_tensor *oracle,
                                     struct pair *pair, struct error *error) {
    struct shape shape = tensor_shape(image), other = tensor_shape(oracle);
    int64_t count = shape_element_count(&shape);
    if (!shape_equal(&shape, &other) || shape.rank < 4 || count <= 0) {
        char found[160], wanted[160];
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "the image has shape %s, the oracle's is %s",
                         shape_format(&shape, found, sizeof found), shape_format(&other, wanted, sizeof wanted));
    }
    pair->height = shape.dims[shape.rank - 2];
    pair->width = shape.dims[shape.rank - 1];
    pair->planes = count / (pair->height * pair->width);
    pair->image = calloc((size_t)count, sizeof(double));
    pair->oracle = calloc((size_t)count, sizeof(double));
    if (!pair->image || !pair->oracle) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory to compare two images");
    }
    tensor_read_f64(pair->image, image, 0, count);
    tensor_read_f64(pair->oracle, oracle, 0, count);
    return VAEMARK_OK;
}

enum vaemark_status metrics_compare(const struct vaemark_tensor *image, const struct vaemark_tensor *oracle,
                                    struct metrics *metrics, struct error *error) {
    struct pair pair = {0};
    *metrics = (struct metrics){0};
    enum vaemark_status status = make_pair(image, oracle, &pair, error);
    if (status == VAEMARK_OK) {
        measure_values(&pair, metrics);
        if (metrics->nonfinite || !isfinite(metrics->rms_error)) {
            set_unknown(metrics);
        } else {
            metrics->psnr8_db = measure_8bit(&pair);
            metrics->ssim = measure_ssim(&pair);
            measure_worst_tile(&pair, metrics);
        }
    }
    free(pair.image);
    free(pair.oracle);
    return status;
}
