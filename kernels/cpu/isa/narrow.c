/* Convolutions to very few channels: the picture's three. Lanes run along the input channels, so that none is idle; a
 * few pixels times outputs of sums stay in registers and are added up across at the end, in a fixed order. */
#include "kernels/cpu/isa/isa.h"

enum { NARROW_PIXELS = VECTOR_LANES == 16 ? 8 : 4 };

ALWAYS_INLINE float sum_of_lanes(vec v) {
    float lanes[VECTOR_LANES];
    for (size_t i = 0; i < VECTOR_LANES; i++)
        lanes[i] = v[i];
    for (size_t half = VECTOR_LANES / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    }
    return lanes[0];
}

ALWAYS_INLINE void narrow_tile(const size_t pixels, const size_t outputs, float *out, const struct narrow *n,
                               const float *in) {
    vec sum[NARROW_PIXELS][NARROW_OUTPUTS];
    UNROLLED(p, pixels) {
        UNROLLED(o, outputs) {
            sum[p][o] = (vec){0};
        }
    }
    const float *weights = n->weights;
    for (size_t block = 0; block < n->block_count; block++, weights += outputs * PANEL) {
        const float *x = in + n->offsets[block];
        UNROLLED(v, PANEL_VECTORS) {
            UNROLLED(p, pixels) {
                const vec line = vec_load(x + p * n->pixel_stride + v * VECTOR_LANES);
                UNROLLED(o, outputs) {
                    sum[p][o] = line * vec_load(weights + o * PANEL + v * VECTOR_LANES) + sum[p][o];
                }
            }
        }
    }
    UNROLLED(p, pixels) {
        UNROLLED(v, PANEL_VECTORS) {
            vec_store(out + p * PANEL + v * VECTOR_LANES, (vec){0});
        }
        UNROLLED(o, outputs) {
            out[p * PANEL + o] = sum_of_lanes(sum[p][o]);
        }
    }
}

ALWAYS_INLINE void narrow_row(const size_t outputs, float *out, const struct narrow *n) {
    size_t pixel = 0;
    for (; pixel + NARROW_PIXELS <= n->pixels; pixel += NARROW_PIXELS) {
        narrow_tile(NARROW_PIXELS, outputs, out + pixel * PANEL, n, n->in + pixel * n->pixel_stride);
    }
    for (; pixel < n->pixels; pixel++) {
        narrow_tile(1, outputs, out + pixel * PANEL, n, n->in + pixel * n->pixel_stride);
    }
}

void VARIANT(narrow)(float *out, const struct narrow *n) {
    switch (n->outputs) {
    case 1:
        narrow_row(1, out, n);
        break;
    case 2:
        narrow_row(2, out, n);
        break;
    case 3:
        narrow_row(3, out, n);
        break;
    case 4:
    default:
        narrow_row(4, out, n);
        break;
    }
}
