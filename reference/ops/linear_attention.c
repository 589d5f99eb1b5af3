/* Attention without softmax, linear in the number of pixels: Katharopoulos et al. 2020; Cai et al. 2023, EfficientViT;
 * diffusers' SanaMultiscaleLinearAttention. x holds q, k and v of D channels each for every head; q and k go through a
 * ReLU.
 *
 * o_d(n) = sum_e q_e(n) (sum_m v_d(m) k_e(m)) / (sum_e q_e(n) sum_m k_e(m) + epsilon)
 *
 * Of D pixels or fewer the sums are formed the other way round, over pairs of pixels; in exact arithmetic that is the
 * same. Sums are double in either precision.
 */
#include <omp.h>

#include "reference/ops/real.h"

struct head {
    const real *q, *k, *v; /* (D, pixels) each */
    real *out;             /* (D, pixels) */
    int64_t width, pixels; /* D, H W */
    double epsilon;
    double *sums; /* (D + 1, D) */
};

static double rectified(real x) {
    return x < 0 ? 0.0 : (double)x;
}

/* sums[d][e] = sum_m v_d(m) k_e(m); the last row is of v = 1. */
static void sum_keys(const struct head *h) {
    for (int64_t d = 0; d <= h->width; d++) {
        for (int64_t e = 0; e < h->width; e++) {
            double sum = 0;
            for (int64_t m = 0; m < h->pixels; m++) {
                const double k = rectified(h->k[e * h->pixels + m]);
                sum += d < h->width ? (double)h->v[d * h->pixels + m] * k : k;
            }
            h->sums[d * h->width + e] = sum;
        }
    }
}

static double multiply_query(const struct head *h, int64_t d, int64_t n) {
    double sum = 0;
    for (int64_t e = 0; e < h->width; e++) {
        sum += h->sums[d * h->width + e] * rectified(h->q[e * h->pixels + n]);
    }
    return sum;
}

static void answer_by_keys(const struct head *h) {
    sum_keys(h);
    for (int64_t n = 0; n < h->pixels; n++) {
        const double divisor = multiply_query(h, h->width, n) + h->epsilon;
        for (int64_t d = 0; d < h->width; d++) {
            h->out[d * h->pixels + n] = (real)(multiply_query(h, d, n) / divisor);
        }
    }
}

/* The scores of one pixel against all, (pixels), in sums. */
static void answer_by_pairs(const struct head *h) {
    for (int64_t n = 0; n < h->pixels; n++) {
        double divisor = h->epsilon;
        for (int64_t m = 0; m < h->pixels; m++) {
            h->sums[m] = 0;
            for (int64_t e = 0; e < h->width; e++) {
                h->sums[m] += rectified(h->k[e * h->pixels + m]) * rectified(h->q[e * h->pixels + n]);
            }
            divisor += h->sums[m];
        }
        for (int64_t d = 0; d < h->width; d++) {
            double sum = 0;
            for (int64_t m = 0; m < h->pixels; m++) {
                sum += (double)h->v[d * h->pixels + m] * h->sums[m];
            }
            h->out[d * h->pixels + n] = (real)(sum / divisor);
        }
    }
}

static size_t sums_count(const struct op_call *call) {
    const size_t width = (size_t)call->attributes->linear_attention.head_channels;

    return (width + 1) * width;
}

size_t REAL_NAME(linear_attention_scratch_size_bytes)(const struct op_call *call) {
    return (size_t)call->threads * sums_count(call) * sizeof(double);
}

void REAL_NAME(linear_attention)(const struct op_call *call) {
    const int64_t width = call->attributes->linear_attention.head_channels, pixels = plane_size(&call->out_shape);
    const int64_t heads = call->out_shape.dims[0] * call->out_shape.dims[1] / width;

#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < heads; i++) {
        const real *x = (const real *)call->in[0] + i * 3 * width * pixels;
        const struct head head = {.q = x,
                                  .k = x + width * pixels,
                                  .v = x + 2 * width * pixels,
                                  .out = (real *)call->out + i * width * pixels,
                                  .width = width,
                                  .pixels = pixels,
                                  .epsilon = call->attributes->linear_attention.epsilon,
                                  .sums = (double *)call->scratch + (size_t)omp_get_thread_num() * sums_count(call)};
        if (pixels > width) {
            answer_by_keys(&head);
        } else {
            answer_by_pairs(&head);
        }
    }
}
