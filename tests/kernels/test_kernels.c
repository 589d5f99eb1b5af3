/* Every kernel of every variant that this machine can run, against its formula in double precision. Bounds are a few
 * units in the last place per addition of the longest sum. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/kernels.h"
#include "tests/kernels/support_graphs.h"
#include "tests/kernels/support_kernels.h"

static void expect_close(double found, double wanted, double bound, const char *kernel, const char *set) {
    cr_assert(fabs(found - wanted) <= bound, "%s of %s: %.9g, wanted %.9g within %g", kernel, set, found, wanted,
              bound);
}

struct gemm_shape {
    size_t pixels, panels, blocks, depth, stride;
    bool accumulate;
};

static void check_gemm(const struct kernel_set *kernels, const struct gemm_shape *s) {
    const size_t a_lines = s->blocks + s->pixels * s->stride, c_floats = s->panels * (s->pixels + 1) * PANEL;
    float *a = support_random_lines(a_lines * PANEL, 1), *b = support_random_lines(s->panels * s->blocks * 256, 2);
    float *c = support_random_lines(c_floats, 3), *before = support_random_lines(c_floats, 3);
    size_t offsets[8];
    for (size_t i = 0; i < s->blocks; i++) {
        offsets[i] = (i * 5 % s->blocks) * PANEL;
    }
    struct gemm gemm = {.c = c,
                        .c_panel_stride = (s->pixels + 1) * PANEL,
                        .a = a,
                        .a_offsets = offsets,
                        .a_pixel_stride = s->stride * PANEL,
                        .b = b,
                        .b_panel_stride = s->blocks * 256,
                        .block_count = s->blocks,
                        .depth = s->depth,
                        .pixels = s->pixels,
                        .panels = s->panels,
                        .accumulate = s->accumulate};
    kernels->gemm(&gemm);
    for (size_t i = 0; i < c_floats; i++) {
        const size_t lane = i % PANEL, pixel = i / PANEL % (s->pixels + 1), panel = i / PANEL / (s->pixels + 1);
        if (pixel == s->pixels) {
            cr_assert_eq(c[i], before[i], "%s: the line behind a panel changed", kernels->name);
            continue;
        }
        double sum = s->accumulate ? (double)before[i] : 0.0;
        for (size_t block = 0; block < s->blocks; block++) {
            for (size_t k = 0; k < s->depth; k++) {
                sum += (double)a[offsets[block] + pixel * s->stride * PANEL + k] *
                       (double)b[((panel * s->blocks + block) * PANEL + k) * PANEL + lane];
            }
        }
        expect_close((double)c[i], sum, (double)(s->blocks * s->depth + 2) * FLT_EPSILON, "gemm", kernels->name);
    }
    free(before);
    free(c);
    free(b);
    free(a);
}

/* All tile sizes and their remainders, one and more panels, short blocks, strides. */
Test(kernels, gemm) {
    FOR_EACH_SET(kernels) {
        for (size_t pixels = 1; pixels <= 31; pixels++) {
            for (size_t panels = 1; panels <= 3; panels++) {
                check_gemm(kernels, &(struct gemm_shape){pixels, panels, 3, PANEL, 1, false});
                check_gemm(kernels, &(struct gemm_shape){pixels, panels, 8, 1 + pixels % PANEL, 1, true});
                check_gemm(kernels, &(struct gemm_shape){pixels, panels, 1, 5, 2 + pixels % 2, pixels % 3 == 0});
            }
        }
    }
}

/* ---- Winograd: the three transforms together are a 3x3 convolution ---- */

enum { MOST_POINTS = 8, TILES = 3, WEIGHTS = PANEL * PANEL };

/* Lagrange's basis: powers of the points over the products of their differences. */
static void winograd_g(float g[MOST_POINTS][3], size_t m) {
    static const double points[] = {0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5};
    for (size_t i = 0; i <= m; i++) {
        double divisor = 1.0;
        for (size_t k = 0; k <= m; k++) {
            divisor *= k == i ? 1.0 : points[i] - points[k];
        }
        for (size_t power = 0; power < 3; power++) {
            g[i][power] = (float)(pow(points[i], (double)power) / divisor);
        }
    }
    g[m + 1][0] = g[m + 1][1] = 0.0f;
    g[m + 1][2] = 1.0f;
}

static double convolved(const float *patch, size_t row_lines, const float *weights, size_t y, size_t x, size_t lane) {
    double sum = 0.0;
    for (size_t tap = 0; tap < 9; tap++) {
        for (size_t i = 0; i < PANEL; i++) {
            sum += (double)patch[((y + tap / 3) * row_lines + x + tap % 3) * PANEL + i] *
                   (double)weights[tap * WEIGHTS + i * PANEL + lane];
        }
    }
    return sum;
}

/* Points made of the lines that were doubled are those of the doubled ones, bit by bit, and the zeros stay unwritten.
 */
static void expect_same_points(const struct kernel_set *kernels, size_t m, const float *wanted, const float *patch) {
    const size_t axis = m + 2, rows = m / 2 + 2, columns = TILES * m / 2 + 2, stride = (TILES + 1) * PANEL;
    float *stored = support_random_lines(rows * columns * PANEL, 1),
          *points = support_random_lines(axis * axis * stride, 2),
          *before = support_random_lines(axis * axis * stride, 2);
    for (size_t i = 0; i < rows * columns; i++) {
        const size_t y = i / columns * 2, x = i % columns * 2;
        memcpy(stored + i * PANEL, patch + ((y > 0 ? y - 1 : 0) * (TILES * m + 2) + (x > 0 ? x - 1 : 0)) * PANEL,
               LINE_BYTES);
    }
    kernels->winograd_input(
        &(struct winograd_tiles){
            .m = m, .count = TILES, .points = points, .point_stride = stride, .row_stride = columns * PANEL},
        stored, true);
    for (size_t point = 0; point < axis * axis; point++) {
        const bool zero = point / axis == 2 || point % axis == 2;
        const float *expected = zero ? before : wanted;
        cr_assert_eq(memcmp(points + point * stride, expected + point * stride, TILES * LINE_BYTES), 0,
                     "%s, m = %zu: point %zu of lines before upsampling differs", kernels->name, m, point);
    }
    free(before);
    free(points);
    free(stored);
}

static void check_winograd(const struct kernel_set *kernels, size_t m, bool doubled) {
    const size_t axis = m + 2, points = axis * axis, row_lines = TILES * m + 2, stride = (TILES + 1) * PANEL;
    float g[MOST_POINTS][3], *patch = support_random_lines(axis * row_lines * PANEL, m),
                             *weights = support_random_lines(9 * WEIGHTS, 5);
    float *u = support_random_lines(points * (WEIGHTS + PANEL), 6), *v = support_random_lines(points * stride, 7);
    float *sums = support_random_lines(points * stride, 8), *out = support_random_lines(m * TILES * m * PANEL, 9);
    for (size_t i = 0; doubled && i < axis * row_lines; i++) {
        /* rows and columns 1 and 2, 3 and 4, ... are the same */
        const size_t y = (i / row_lines + 1) / 2 * 2, x = (i % row_lines + 1) / 2 * 2;
        memcpy(patch + i * PANEL, patch + ((y > 0 ? y - 1 : 0) * row_lines + (x > 0 ? x - 1 : 0)) * PANEL, LINE_BYTES);
    }
    winograd_g(g, m);
    kernels->winograd_weights(u, WEIGHTS + PANEL, weights, m, (const float(*)[3])g, m == 4);
    kernels->winograd_input(
        &(struct winograd_tiles){
            .m = m, .count = TILES, .points = v, .point_stride = stride, .row_stride = row_lines * PANEL},
        patch, false);
    if (doubled) {
        expect_same_points(kernels, m, v, patch);
    }
    for (size_t point = 0; point < points; point++) {
        const bool zero = doubled && (point / axis == 2 || point % axis == 2);
        for (size_t i = 0; i < TILES * PANEL; i++) {
            double sum = 0.0;
            for (size_t k = 0; k < PANEL; k++) {
                const float input = v[point * stride + i / PANEL * PANEL + k];
                cr_assert(!zero || input == 0.0f, "%s, m = %zu: point %zu is %g, not zero", kernels->name, m, point,
                          (double)input);
                sum += (double)input * (double)u[point * (WEIGHTS + PANEL) + k * PANEL + i % PANEL];
            }
            sums[point * stride + i] = zero ? NAN : (float)sum;
        }
    }
    kernels->winograd_output(
        &(struct winograd_tiles){
            .m = m, .count = TILES, .points = sums, .point_stride = stride, .row_stride = TILES * m * PANEL},
        out, doubled, NULL);
    for (size_t i = 0; i < m * TILES * m * PANEL; i++) {
        const size_t line = i / PANEL, y = line / (TILES * m), x = line % (TILES * m);
        /* 144 products, and what the constants of the points amplify: the largest are 4 x 8, and 5.25 x 32 for m = 6 */
        const double bound = 144 * (m == 2 ? 1 : m == 4 ? 4 : 12) * (double)FLT_EPSILON;
        expect_close((double)out[i], convolved(patch, row_lines, weights, y, x, i % PANEL), bound, "winograd",
                     kernels->name);
    }
    float *bias = support_random_lines(PANEL, 11), *residual = support_random_lines(m * TILES * m * PANEL, 12);
    float *finished = support_random_lines(m * TILES * m * PANEL, 13);
    const struct epilogue epilogue = {
        .bias = bias, .residual = residual, .alpha = 0.5f, .beta = -2.0f, .activation = ACTIVATION_RELU};
    kernels->winograd_output(
        &(struct winograd_tiles){
            .m = m, .count = TILES, .points = sums, .point_stride = stride, .row_stride = TILES * m * PANEL},
        finished, doubled, &epilogue);
    for (size_t i = 0; i < m * TILES * m * PANEL; i++) {
        const double x = ((double)out[i] + (double)bias[i % PANEL]) * 0.5 - 2.0 * (double)residual[i];
        expect_close((double)finished[i], fmax(x, 0.0), 8 * (double)FLT_EPSILON * (fabs(x) + 2), "winograd's epilogue",
                     kernels->name);
    }
    free(finished);
    free(residual);
    free(bias);
    free(out);
    free(sums);
    free(v);
    free(u);
    free(weights);
    free(patch);
}

Test(kernels, winograd) {
    FOR_EACH_SET(kernels) {
        for (size_t m = 2; m <= 6; m += 2) {
            check_winograd(kernels, m, false);
            check_winograd(kernels, m, true);
        }
    }
}

Test(kernels, narrow) {
    FOR_EACH_SET(kernels) {
        for (size_t i = 0; i < 40; i++) {
            const size_t outputs = 1 + i % NARROW_OUTPUTS, blocks = 1 + i % 7, pixels = 1 + i * 5 % 19,
                         stride = 1 + i % 3;
            float *in = support_random_lines((blocks + pixels * stride) * PANEL, i);
            float *weights = support_random_lines(blocks * outputs * PANEL, i + 9);
            float *out = support_random_lines((pixels + 1) * PANEL, 7),
                  *untouched = support_random_lines((pixels + 1) * PANEL, 7);
            size_t offsets[7];
            for (size_t block = 0; block < blocks; block++) {
                offsets[block] = (block * 5 % blocks) * PANEL;
            }
            kernels->narrow(out, &(struct narrow){in, offsets, stride * PANEL, weights, blocks, outputs, pixels});
            for (size_t k = 0; k < pixels * PANEL; k++) {
                double sum = 0.0;
                for (size_t b = 0; k % PANEL < outputs && b < blocks * PANEL; b++) {
                    sum += (double)in[offsets[b / PANEL] + k / PANEL * stride * PANEL + b % PANEL] *
                           (double)weights[(b / PANEL * outputs + k % PANEL) * PANEL + b % PANEL];
                }
                expect_close((double)out[k], sum, (double)(blocks * PANEL) * FLT_EPSILON, "narrow", kernels->name);
            }
            cr_assert_eq(memcmp(out + pixels * PANEL, untouched + pixels * PANEL, LINE_BYTES), 0);
            free(untouched);
            free(out);
            free(weights);
            free(in);
        }
    }
}

Test(kernels, depthwise) {
    FOR_EACH_SET(kernels) {
        for (size_t i = 0; i < 24; i++) {
            const size_t taps = 1 + i % 9, pixels = 1 + i * 5 % 17, stride = 1 + i % 3;
            float *in = support_random_lines((taps + pixels * stride) * PANEL, i),
                  *weights = support_random_lines(taps * PANEL, i + 9);
            float *out = support_random_lines((pixels + 1) * PANEL, 7),
                  *untouched = support_random_lines((pixels + 1) * PANEL, 7);
            size_t offsets[9];
            for (size_t tap = 0; tap < taps; tap++) {
                offsets[tap] = (tap * 7 % taps) * PANEL;
            }
            kernels->depthwise(out, &(struct depthwise){in, offsets, stride * PANEL, weights, taps, pixels});
            for (size_t k = 0; k < pixels * PANEL; k++) {
                double sum = 0.0;
                for (size_t tap = 0; tap < taps; tap++) {
                    sum += (double)in[offsets[tap] + k / PANEL * stride * PANEL + k % PANEL] *
                           (double)weights[tap * PANEL + k % PANEL];
                }
                expect_close((double)out[k], sum, (double)(taps + 1) * FLT_EPSILON, "depthwise", kernels->name);
            }
            cr_assert_arr_eq(out + pixels * PANEL, untouched + pixels * PANEL, LINE_BYTES);
            free(untouched);
            free(out);
            free(weights);
            free(in);
        }
    }
}

Test(kernels, square_lines) {
    FOR_EACH_SET(kernels) {
        float *in = support_random_lines((size_t)37 * PANEL, 1), *squares = support_random_lines((size_t)37 * PANEL, 2);
        float *before = support_random_lines((size_t)37 * PANEL, 2);
        kernels->square_lines(squares, in, 36);
        for (size_t i = 0; i < (size_t)37 * PANEL; i++) {
            const double added = i < (size_t)36 * PANEL ? (double)in[i] * (double)in[i] : 0.0;
            expect_close((double)squares[i], (double)before[i] + added, 2.0 * FLT_EPSILON, "square_lines",
                         kernels->name);
        }
        free(before);
        free(squares);
        free(in);
    }
}

static double activate(double x, enum activation activation) {
    switch (activation) {
    case ACTIVATION_SILU:
        return x / (1.0 + exp(-x));
    case ACTIVATION_RELU:
        return x < 0.0 ? 0.0 : x;
    default:
        return x;
    }
}

static const enum activation ACTIVATIONS[] = {ACTIVATION_NONE, ACTIVATION_SILU, ACTIVATION_RELU};

Test(kernels, load_lines) {
    FOR_EACH_SET(kernels) {
        for (size_t i = 0; i < 3 * 2 * 3 * 5; i++) {
            const enum activation activation = ACTIVATIONS[i % 3];
            const size_t factor = 1 + i / 6 % 3, phase = i % factor, count = 1 + i * 7 % 23;
            float *in = support_random_lines((count + 2) * PANEL, i),
                  *coefficients = support_random_lines(3 * PANEL, i + 1000);
            float *out = support_random_lines((count + 1) * PANEL, 7),
                  *untouched = support_random_lines((count + 1) * PANEL, 7);
            const bool scaled = i / 3 % 2 == 0;
            const bool by_pixel = scaled && i / 18 % 2 == 0;
            float *scales = support_random_lines((count + 2 + PANEL - 1) / PANEL * PANEL, i + 2000);
            struct prologue prologue = {.coefficients = scaled ? coefficients : NULL,
                                        .activation = activation,
                                        .scales = by_pixel ? scales : NULL};
            kernels->load_lines(out, in, count, factor, phase, &prologue);
            for (size_t k = 0; k < count * PANEL; k++) {
                const size_t lane = k % PANEL;
                const size_t source = (phase + k / PANEL) / factor;
                double x = (double)in[source * PANEL + lane] * (by_pixel ? (double)scales[source] : 1.0);
                if (scaled) {
                    x = (x - (double)coefficients[lane]) * (double)coefficients[PANEL + lane] +
                        (double)coefficients[2 * PANEL + lane];
                }
                expect_close((double)out[k], activate(x, activation), 8.0 * FLT_EPSILON, "load_lines", kernels->name);
            }
            cr_assert_arr_eq(out + count * PANEL, untouched + count * PANEL, LINE_BYTES);
            free(untouched);
            free(out);
            free(scales);
            free(coefficients);
            free(in);
        }
    }
}

Test(kernels, store_lines) {
    FOR_EACH_SET(kernels) {
        for (size_t i = 0; i < 3 * 4 * 6; i++) {
            const enum activation activation = ACTIVATIONS[i % 3];
            const size_t factor = 1 + i / 12 % 3, phase = i % factor, count = 1 + i * 5 % 19;
            float *in = support_random_lines(count * PANEL, i), *bias = support_random_lines(PANEL, i + 1);
            float *residual = support_random_lines((count + 2) * PANEL, i + 2),
                  *out = support_random_lines((count + 1) * PANEL, 7);
            struct epilogue epilogue = {.alpha = 0.75f, .beta = -1.5f, .activation = activation};
            epilogue.bias = i / 3 % 2 == 0 ? bias : NULL;
            epilogue.residual = i / 6 % 2 == 0 ? residual : NULL;
            kernels->store_lines(out, in, count, factor, phase, &epilogue);
            for (size_t k = 0; k < count * PANEL; k++) {
                const size_t lane = k % PANEL;
                double x = 0.75 * ((double)in[k] + (epilogue.bias ? (double)bias[lane] : 0.0));
                if (epilogue.residual) {
                    x -= 1.5 * (double)residual[(phase + k / PANEL) / factor * PANEL + lane];
                }
                expect_close((double)out[k], activate(x, activation), 8.0 * FLT_EPSILON, "store_lines", kernels->name);
            }
            free(out);
            free(residual);
            free(bias);
            free(in);
        }
    }
}

/* A NaN must show behind every activation, and -0 and infinities must not turn into one. */
Test(kernels, activations_keep_nan) {
    FOR_EACH_SET(kernels) {
        for (size_t i = 0; i < 3; i++) {
            float in[4 * PANEL] __attribute__((aligned(LINE_BYTES))), out[4 * PANEL] __attribute__((aligned(64)));
            const float values[4] = {NAN, INFINITY, -0.0f, -200.0f};
            for (size_t k = 0; k < 4 * PANEL; k++) {
                in[k] = values[k / PANEL];
            }
            struct prologue prologue = {.activation = ACTIVATIONS[i]};
            kernels->load_lines(out, in, 4, 1, 0, &prologue);
            for (size_t lane = 0; lane < PANEL; lane++) {
                cr_assert(isnan(out[lane]), "%s", kernels->name);
                cr_assert(isinf(out[PANEL + lane]), "%s", kernels->name);
                cr_assert_eq(out[2 * PANEL + lane], 0.0f, "%s", kernels->name);
                cr_assert(ACTIVATIONS[i] == ACTIVATION_NONE || fabsf(out[3 * PANEL + lane]) < 1e-30f, "%s",
                          kernels->name);
            }
        }
    }
}

/* SiLU over the whole range that matters, in units of its own size: an exponential that is slightly wrong shows. */
Test(kernels, silu_is_accurate) {
    FOR_EACH_SET(kernels) {
        for (int i = -40000; i < 40000; i += PANEL) {
            float in[PANEL] __attribute__((aligned(LINE_BYTES))), out[PANEL] __attribute__((aligned(LINE_BYTES)));
            for (int lane = 0; lane < PANEL; lane++) {
                in[lane] = (float)(i + lane) * 0.001f;
            }
            struct prologue prologue = {.activation = ACTIVATION_SILU};
            kernels->load_lines(out, in, 1, 1, 0, &prologue);
            for (int lane = 0; lane < PANEL; lane++) {
                const double wanted = activate((double)in[lane], ACTIVATION_SILU);
                expect_close((double)out[lane], wanted, 6.0 * FLT_EPSILON * fabs(wanted), "silu", kernels->name);
            }
        }
    }
}

static void check_moments(const struct kernel_set *kernels, float shift, size_t rows, size_t count) {
    const size_t row_floats = (count + 3) * PANEL;
    float *in = support_random_lines(rows * row_floats, count);
    double mean[PANEL], m2[PANEL];
    for (size_t i = 0; i < rows * row_floats; i++) {
        in[i] += i % row_floats < count * PANEL ? shift : NAN; /* what lies between rows is nobody's */
    }
    kernels->moments(mean, m2, in, rows, count, row_floats);
    for (size_t lane = 0; lane < PANEL; lane++) {
        double sum = 0.0, squares = 0.0;
        for (size_t i = 0; i < rows * count; i++) {
            sum += (double)in[i / count * row_floats + i % count * PANEL + lane];
        }
        for (size_t i = 0; i < rows * count; i++) {
            const double d =
                (double)in[i / count * row_floats + i % count * PANEL + lane] - sum / (double)(rows * count);
            squares += d * d;
        }
        expect_close(mean[lane], sum / (double)(rows * count), 1e-6 + 1e-9 * (fabs((double)shift) + 1.0), "mean",
                     kernels->name);
        expect_close(m2[lane], squares, 2e-5 * (squares + 1e-3), "m2", kernels->name);
    }
    free(in);
}

/* Also where the mean is a thousand times the deviation: a sum of squares would have lost everything. */
Test(kernels, moments) {
    static const float MEANS[] = {0.0f, 1.0f, -1000.0f, 1e6f};
    FOR_EACH_SET(kernels) {
        for (size_t m = 0; m < 4; m++) {
            for (size_t count = 1; count <= 256; count = count * 3 / 2 + 1) {
                check_moments(kernels, MEANS[m], 1, count);
                check_moments(kernels, MEANS[m], 1 + count % 6, count);
            }
        }
    }
}

/* Blocks of a streamed softmax against the whole, for key counts that are no multiple of 16, and large logits. */
Test(kernels, softmax_block) {
    enum { ROWS = 5, KEYS = 75, BLOCK = 32 };
    static const float SIZES[] = {1.0f, 30.0f, 1000.0f};
    FOR_EACH_SET(kernels) {
        for (size_t size = 0; size < 3; size++) {
            float logits[ROWS][KEYS], maximum[ROWS], sum[ROWS], scale[ROWS], total_scale[ROWS][3];
            float block[3][BLOCK / PANEL][ROWS][PANEL] __attribute__((aligned(LINE_BYTES)));
            uint64_t state = size;
            for (size_t row = 0; row < ROWS; row++) {
                maximum[row] = -INFINITY;
                sum[row] = 0.0f;
                for (size_t key = 0; key < KEYS; key++) {
                    logits[row][key] = SIZES[size] * support_random(&state);
                }
            }
            for (size_t b = 0; b * BLOCK < KEYS; b++) {
                const size_t keys = KEYS - b * BLOCK < BLOCK ? KEYS - b * BLOCK : BLOCK;
                for (size_t i = 0; i < ROWS * BLOCK; i++) {
                    const size_t row = i / BLOCK, key = i % BLOCK;
                    block[b][key / PANEL][row][key % PANEL] = key < keys ? logits[row][b * BLOCK + key] : 1e30f;
                }
                kernels->softmax_block(&block[b][0][0][0], maximum, sum, scale, ROWS, keys);
                for (size_t row = 0; row < ROWS; row++) {
                    total_scale[row][b] = 1.0f;
                    for (size_t earlier = 0; earlier < b; earlier++) {
                        total_scale[row][earlier] *= scale[row];
                    }
                }
            }
            for (size_t row = 0; row < ROWS; row++) {
                double greatest = -INFINITY, total = 0.0;
                for (size_t key = 0; key < KEYS; key++) {
                    greatest = fmax(greatest, (double)logits[row][key]);
                }
                for (size_t key = 0; key < KEYS; key++) {
                    total += exp((double)logits[row][key] - greatest);
                }
                for (size_t key = 0; key < KEYS; key++) {
                    const size_t b = key / BLOCK, at = key % BLOCK;
                    const double weight = (double)block[b][at / PANEL][row][at % PANEL] * (double)total_scale[row][b];
                    const double wanted = exp((double)logits[row][key] - greatest);
                    expect_close(weight, wanted, 4e-7 + 2e-7 * fabs(greatest) * wanted, "softmax", kernels->name);
                }
                expect_close((double)sum[row], total, (2e-6 + 2e-7 * fabs(greatest)) * total, "sum", kernels->name);
                cr_assert_eq(block[2][0][row][KEYS % PANEL], 0.0f, "%s: a masked key has weight", kernels->name);
            }
        }
    }
}

Test(kernels, softmax_shows_nan) {
    FOR_EACH_SET(kernels) {
        for (size_t at = 0; at < PANEL; at++) {
            float scores[PANEL] __attribute__((aligned(LINE_BYTES))) = {0};
            float maximum = -INFINITY, sum = 0.0f, scale;
            scores[at] = NAN;
            kernels->softmax_block(scores, &maximum, &sum, &scale, 1, PANEL);
            cr_assert(isnan(sum), "%s", kernels->name);
        }
    }
}

Test(kernels, table_is_ordered_and_complete) {
    size_t count;
    const struct kernel_set *const *sets = kernel_sets(&count);
    cr_assert_geq(count, 1);
    cr_assert_str_eq(sets[count - 1]->name, "portable");
    cr_assert(sets[count - 1]->is_supported());
    cr_assert_eq(kernel_set_choose("portable"), sets[count - 1]);
    cr_assert_null(kernel_set_choose("sse9"));
    for (size_t i = 0; i < count; i++) {
        if (sets[i]->is_supported()) {
            cr_assert_eq(kernel_set_choose("auto"), sets[i], "the best one comes first");
            break;
        }
    }
}
