/* Winograd's minimal filtering F(m x m, 3 x 3), m = 2, 4 or 6: y = A^T [(G g G^T) . (B^T d B)] A. (Winograd:
 * "Arithmetic Complexity of Computations", 1980; Lavin and Gray: "Fast Algorithms for Convolutional Neural Networks",
 * 2015.)
 *
 * Points are 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, as many as m + 2 asks for: powers of two keep the constants
 * exact, and other sets err more. Rows of B^T are the polynomials prod_{q != p} (x - q) as they are; 1 / prod_{q != p}
 * (p - q) sits in G (../conv2d_winograd.c), so that rows of A^T are the powers of p.
 *
 * On a line that nearest upsampling doubled, (a, b, b, c, c, d), the row of point -1 is zero: of m = 4, 25 of 36
 * products remain, of m = 6, 49 of 64. What is `doubled` reads the line as it was, (a, b, c, d), and leaves those
 * points out.
 *
 * Each transform is one inlined function with m a constant, of a part of a line as wide as a vector. Points lie far
 * apart, in more streams than a processor follows by itself: the next tile's lines are fetched ahead. */
#include "kernels/cpu/isa/isa.h"

enum { MOST_POINTS = 8, MINUS_ONE = 2 };

/* v = B^T d */
ALWAYS_INLINE void transform_input(const size_t m, vec *v, const vec *d) {
    if (m == 2) {
        v[0] = d[2] - d[0];
        v[1] = d[1] + d[2];
        v[2] = d[2] - d[1];
        v[3] = d[3] - d[1];
        return;
    }
    if (m == 4) {
        const vec even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
        const vec even2 = d[4] - d[2], odd2 = d[3] - d[1];
        v[0] = 4.0f * d[0] + (d[4] - 5.0f * d[2]);
        v[1] = even + odd;
        v[2] = even - odd;
        v[3] = even2 + 2.0f * odd2;
        v[4] = even2 - 2.0f * odd2;
        v[5] = 4.0f * d[1] + (d[5] - 5.0f * d[3]);
        return;
    }
    v[0] = (5.25f * d[2] + (d[6] - 5.25f * d[4])) - d[0];
    v[7] = (5.25f * d[3] + (d[7] - 5.25f * d[5])) - d[1];
    vec even = d[2] + (d[6] - 4.25f * d[4]), odd = d[1] + (d[5] - 4.25f * d[3]);
    v[1] = even + odd;
    v[2] = even - odd;
    even = 0.25f * d[2] + (d[6] - 1.25f * d[4]);
    odd = 0.25f * d[1] + (d[5] - 1.25f * d[3]);
    v[3] = even + 2.0f * odd;
    v[4] = even - 2.0f * odd;
    even = 4.0f * d[2] + (d[6] - 5.0f * d[4]);
    odd = 4.0f * d[1] + (d[5] - 5.0f * d[3]);
    v[5] = even + 0.5f * odd;
    v[6] = even - 0.5f * odd;
}

/* y = A^T p */
ALWAYS_INLINE void transform_output(const size_t m, const bool doubled, vec *y, const vec *p) {
    vec sum1 = p[1], difference1 = p[1];
    if (!doubled) {
        sum1 += p[2];
        difference1 -= p[2];
    }
    if (m == 2) {
        y[0] = p[0] + sum1;
        y[1] = difference1 + p[3];
        return;
    }
    const vec sum2 = p[3] + p[4], difference2 = p[3] - p[4];
    if (m == 4) {
        y[0] = p[0] + sum1 + sum2;
        y[1] = 2.0f * difference2 + difference1;
        y[2] = 4.0f * sum2 + sum1;
        y[3] = 8.0f * difference2 + (difference1 + p[5]);
        return;
    }
    const vec sum3 = p[5] + p[6], difference3 = p[5] - p[6];
    y[0] = (p[0] + sum1) + (sum2 + sum3);
    y[1] = 0.5f * difference3 + (2.0f * difference2 + difference1);
    y[2] = 0.25f * sum3 + (4.0f * sum2 + sum1);
    y[3] = 0.125f * difference3 + (8.0f * difference2 + difference1);
    y[4] = 0.0625f * sum3 + (16.0f * sum2 + sum1);
    y[5] = 0.03125f * difference3 + (32.0f * difference2 + (difference1 + p[7]));
}

/* ---- weights ---- */

/* A whole line of each point at a time, or what is streamed would leave the core in halves. */
ALWAYS_INLINE void weight_line(const size_t m, const bool stream, float *out, size_t point_stride, const float *in,
                               const float (*g)[3]) {
    vec middle[MOST_POINTS][3][PANEL_VECTORS];
    for (size_t i = 0; i < m + 2; i++) {
        UNROLLED(x, 3) {
            UNROLLED(v, PANEL_VECTORS) {
                const float *tap = in + x * PANEL * PANEL + v * VECTOR_LANES;
                middle[i][x][v] = g[i][2] * vec_load(tap + (size_t)6 * PANEL * PANEL) +
                                  (g[i][1] * vec_load(tap + (size_t)3 * PANEL * PANEL) + g[i][0] * vec_load(tap));
            }
        }
    }
    for (size_t i = 0; i < m + 2; i++) {
        for (size_t j = 0; j < m + 2; j++) {
            float *point = out + (i * (m + 2) + j) * point_stride;
            UNROLLED(v, PANEL_VECTORS) {
                const vec u = g[j][2] * middle[i][2][v] + (g[j][1] * middle[i][1][v] + g[j][0] * middle[i][0][v]);
                if (stream) {
                    vec_stream(point + v * VECTOR_LANES, u);
                } else {
                    vec_store(point + v * VECTOR_LANES, u);
                }
            }
        }
    }
}

ALWAYS_INLINE void weight_block(const size_t m, const bool stream, float *out, size_t point_stride, const float *in,
                                const float (*g)[3]) {
    for (size_t line = 0; line < PANEL * PANEL; line += PANEL) {
        weight_line(m, stream, out + line, point_stride, in + line, g);
    }
}

void VARIANT(winograd_weights)(float *out, size_t point_stride, const float *in, size_t m, const float (*g)[3],
                               bool stream) {
    if (m == 2) {
        stream ? weight_block(2, true, out, point_stride, in, g) : weight_block(2, false, out, point_stride, in, g);
    } else if (m == 4) {
        stream ? weight_block(4, true, out, point_stride, in, g) : weight_block(4, false, out, point_stride, in, g);
    } else {
        stream ? weight_block(6, true, out, point_stride, in, g) : weight_block(6, false, out, point_stride, in, g);
    }
}

/* ---- inputs ---- */

/* Where line i of a patch is stored: as it is, or each line once that is there twice. */
ALWAYS_INLINE size_t stored_line(const bool doubled, size_t i) {
    return doubled ? (i + 1) / 2 : i;
}

ALWAYS_INLINE void input_tile(const size_t m, const bool doubled, float *out, size_t point_stride, const float *in,
                              size_t row_stride) {
    const size_t columns = stored_line(doubled, m + 1) + 1;
    vec middle[MOST_POINTS][MOST_POINTS], d[MOST_POINTS], v[MOST_POINTS];
    for (size_t x = 0; x < columns; x++) {
        UNROLLED(y, m + 2) {
            d[y] = vec_load(in + stored_line(doubled, y) * row_stride + x * PANEL);
        }
        transform_input(m, v, d);
        UNROLLED(y, m + 2) {
            middle[y][x] = v[y];
        }
    }
    for (size_t y = 0; y < m + 2; y++) {
        if (doubled && y == MINUS_ONE) {
            continue;
        }
        UNROLLED(x, m + 2) {
            d[x] = middle[y][stored_line(doubled, x)];
        }
        transform_input(m, v, d);
        UNROLLED(x, m + 2) {
            if (!(doubled && x == MINUS_ONE)) {
                vec_store(out + (y * (m + 2) + x) * point_stride, v[x]);
                __builtin_prefetch(out + (y * (m + 2) + x) * point_stride + PANEL, 1);
            }
        }
    }
}

ALWAYS_INLINE void input_tiles(const size_t m, const bool doubled, const struct winograd_tiles *tiles,
                               const float *in) {
    const size_t step = doubled ? m / 2 : m;
    for (size_t tile = 0; tile < tiles->count; tile++) {
        for (size_t lane = 0; lane < PANEL; lane += VECTOR_LANES) {
            input_tile(m, doubled, tiles->points + tile * PANEL + lane, tiles->point_stride,
                       in + tile * step * PANEL + lane, tiles->row_stride);
        }
    }
}

void VARIANT(winograd_input)(const struct winograd_tiles *tiles, const float *in, bool doubled) {
    if (tiles->m == 2) {
        doubled ? input_tiles(2, true, tiles, in) : input_tiles(2, false, tiles, in);
    } else if (tiles->m == 4) {
        doubled ? input_tiles(4, true, tiles, in) : input_tiles(4, false, tiles, in);
    } else {
        doubled ? input_tiles(6, true, tiles, in) : input_tiles(6, false, tiles, in);
    }
}

/* ---- outputs ---- */

/* An epilogue in registers. */
struct finish {
    vec bias, alpha, beta;
    const float *residual; /* where the line is that is stored at `out`, or NULL */
    bool any, relu;
};

ALWAYS_INLINE void finish_row(const size_t m, const struct finish *f, float *out, const vec *y, size_t offset) {
    UNROLLED(k, m) {
        vec x = (y[k] + f->bias) * f->alpha;
        if (f->residual) {
            x = vec_load(f->residual + offset + k * PANEL) * f->beta + x;
        }
        vec_store(out + offset + k * PANEL, f->relu ? vec_relu(x) : x);
    }
}

ALWAYS_INLINE void output_tile(const size_t m, const bool doubled, float *out, size_t row_stride, const float *in,
                               size_t point_stride, const struct finish *f) {
    vec middle[MOST_POINTS][MOST_POINTS], y[MOST_POINTS];
    for (size_t i = 0; i < m + 2; i++) {
        vec p[MOST_POINTS];
        if (doubled && i == MINUS_ONE) {
            continue;
        }
        UNROLLED(k, m + 2) {
            if (!(doubled && k == MINUS_ONE)) {
                p[k] = vec_load(in + (k * (m + 2) + i) * point_stride);
                __builtin_prefetch(in + (k * (m + 2) + i) * point_stride + PANEL);
            }
        }
        transform_output(m, doubled, y, p);
        UNROLLED(k, m) {
            middle[k][i] = y[k];
        }
    }
    for (size_t row = 0; row < m; row++) {
        transform_output(m, doubled, y, middle[row]);
        if (f->any) {
            finish_row(m, f, out, y, row * row_stride);
            continue;
        }
        UNROLLED(k, m) {
            vec_store(out + row * row_stride + k * PANEL, y[k]);
        }
    }
}

ALWAYS_INLINE void output_tiles(const size_t m, const bool doubled, const struct winograd_tiles *tiles, float *out,
                                const struct epilogue *epilogue) {
    const float *residual = epilogue != NULL ? epilogue->residual : NULL;
    for (size_t tile = 0; tile < tiles->count; tile++) {
        for (size_t lane = 0; lane < PANEL; lane += VECTOR_LANES) {
            const size_t place = tile * m * PANEL + lane;
            struct finish f = {.any = epilogue != NULL};
            if (epilogue != NULL) {
                f.alpha = vec_set(epilogue->alpha);
                f.beta = vec_set(epilogue->beta);
                f.bias = epilogue->bias ? vec_load(epilogue->bias + lane) : (vec){0};
                f.relu = epilogue->activation == ACTIVATION_RELU;
                f.residual = residual != NULL ? residual + place : NULL;
            }
            output_tile(m, doubled, out + place, tiles->row_stride, tiles->points + tile * PANEL + lane,
                        tiles->point_stride, &f);
        }
    }
}

void VARIANT(winograd_output)(const struct winograd_tiles *tiles, float *out, bool doubled,
                              const struct epilogue *epilogue) {
    if (tiles->m == 2) {
        doubled ? output_tiles(2, true, tiles, out, epilogue) : output_tiles(2, false, tiles, out, epilogue);
    } else if (tiles->m == 4) {
        doubled ? output_tiles(4, true, tiles, out, epilogue) : output_tiles(4, false, tiles, out, epilogue);
    } else {
        doubled ? output_tiles(6, true, tiles, out, epilogue) : output_tiles(6, false, tiles, out, epilogue);
    }
}
