/* Scaled dot-product attention, one head as wide as the channels: Vaswani et al. 2017, Attention Is All You Need.
 *
 * P = softmax(q k^T / sqrt(C)) row by row, y = P v; token t is pixel t of the image, and q, k, v, y are (N,C,T).
 *
 * Streamed by blocks of ATTENTION_QUERIES queries: only their rows of P exist at a time, so memory grows with T, not
 * T^2.
 */
#include <omp.h>

#include "reference/ops/product.h"

enum { ATTENTION_QUERIES = 32 };

struct attention {
    const real *q, *k, *v; /* (C,T) of one sample */
    real *y;               /* (C,T) */
    int64_t channels, tokens;
};

/* A thread's own memory. */
struct attention_scratch {
    real *queries; /* (ATTENTION_QUERIES, C): the block's queries as rows */
    real *scores;  /* (ATTENTION_QUERIES, T) */
    real *panel;
};

static int64_t attention_scratch_elements(int64_t channels, int64_t tokens) {
    return ATTENTION_QUERIES * (channels + tokens) + PRODUCT_DEPTH * PRODUCT_WIDTH;
}

/* scores[s][t] = sum over c of q[c][first + s] * k[c][t] / sqrt(C) */
static void attention_scores(const struct attention *attention, const struct attention_scratch *scratch, int64_t first,
                             int64_t count) {
    const int64_t channels = attention->channels, tokens = attention->tokens;
    const real scale = (real)(1.0 / sqrt((double)channels));
    real sums[PRODUCT_WIDTH];

    for (int64_t s = 0; s < count; s++) {
        for (int64_t c = 0; c < channels; c++) {
            scratch->queries[s * channels + c] = attention->q[c * tokens + first + s];
        }
    }
    for (int64_t t = 0; t < tokens; t += PRODUCT_WIDTH) {
        const int64_t width = min_int64(PRODUCT_WIDTH, tokens - t), stride = product_stride(width);
        for (int64_t c = 0; c < channels; c += PRODUCT_DEPTH) {
            const int64_t rows = min_int64(PRODUCT_DEPTH, channels - c);
            for (int64_t r = 0; r < rows; r++) {
                for (int64_t x = 0; x < stride; x++) {
                    scratch->panel[r * stride + x] = x < width ? attention->k[(c + r) * tokens + t + x] : 0;
                }
            }
            for (int64_t s = 0; s < count; s++) {
                real *row = scratch->scores + s * tokens + t;
                product_row(sums, scratch->queries + s * channels + c, scratch->panel, rows, stride);
                for (int64_t x = 0; x < width; x++) {
                    row[x] = (c == 0 ? 0 : row[x]) + sums[x];
                }
            }
        }
        for (int64_t s = 0; s < count; s++) {
            for (int64_t x = 0; x < width; x++) {
                scratch->scores[s * tokens + t + x] *= scale;
            }
        }
    }
}

/* The largest score is subtracted, so that no exponential overflows; the sum is a double in either precision. */
static void attention_softmax(real *row, int64_t tokens) {
    real largest = row[0];
    double sum = 0;

    for (int64_t t = 1; t < tokens; t++) {
        largest = row[t] > largest ? row[t] : largest;
    }
    for (int64_t t = 0; t < tokens; t++) {
        row[t] = exp(row[t] - largest);
        sum += (double)row[t];
    }
    for (int64_t t = 0; t < tokens; t++) {
        row[t] = (real)((double)row[t] / sum);
    }
}

/* y[c][first + s] = sum over t of v[c][t] * scores[s][t] */
static void attention_values(const struct attention *attention, const struct attention_scratch *scratch, int64_t first,
                             int64_t count) {
    const int64_t tokens = attention->tokens, stride = product_stride(count);
    real sums[PRODUCT_WIDTH];

    for (int64_t t = 0; t < tokens; t += PRODUCT_DEPTH) {
        const int64_t rows = min_int64(PRODUCT_DEPTH, tokens - t);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t s = 0; s < stride; s++) {
                scratch->panel[r * stride + s] = s < count ? scratch->scores[s * tokens + t + r] : 0;
            }
        }
        for (int64_t c = 0; c < attention->channels; c++) {
            real *y = attention->y + c * tokens + first;
            product_row(sums, attention->v + c * tokens + t, scratch->panel, rows, stride);
            for (int64_t s = 0; s < count; s++) {
                y[s] = (t == 0 ? 0 : y[s]) + sums[s];
            }
        }
    }
}

void REAL_NAME(attention)(const struct op_call *call) {
    const int64_t channels = call->out_shape.dims[1], tokens = plane_size(&call->out_shape);
    const int64_t plane = channels * tokens, blocks = (tokens + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
    const bool packed = call->in_count == 1; /* q, k, v one below the other in (N,3C,H,W) */

#pragma omp parallel for num_threads(call->threads) schedule(dynamic, 1)
    for (int64_t task = 0; task < call->out_shape.dims[0] * blocks; task++) {
        const int64_t n = task / blocks, first = task % blocks * ATTENTION_QUERIES;
        const int64_t count = min_int64(ATTENTION_QUERIES, tokens - first);
        const real *base = (const real *)call->in[0] + n * (packed ? 3 : 1) * plane;
        const struct attention attention = {
            .q = base,
            .k = packed ? base + plane : (const real *)call->in[1] + n * plane,
            .v = packed ? base + 2 * plane : (const real *)call->in[2] + n * plane,
            .y = (real *)call->out + n * plane,
            .channels = channels,
            .tokens = tokens,
        };
        real *memory = (real *)call->scratch + omp_get_thread_num() * attention_scratch_elements(channels, tokens);
        const struct attention_scratch scratch = {
            .panel = memory,
            .queries = memory + PRODUCT_DEPTH * PRODUCT_WIDTH,
            .scores = memory + PRODUCT_DEPTH * PRODUCT_WIDTH + ATTENTION_QUERIES * channels,
        };
        attention_scores(&attention, &scratch, first, count);
        for (int64_t s = 0; s < count; s++) {
            attention_softmax(scratch.scores + s * tokens, tokens);
        }
        attention_values(&attention, &scratch, first, count);
    }
}

size_t REAL_NAME(attention_scratch_size_bytes)(const struct op_call *call) {
    const int64_t elements = attention_scratch_elements(call->out_shape.dims[1], plane_size(&call->out_shape));

    return (size_t)call->threads * (size_t)elements * sizeof(real);
}
