/* A filter for each channel: what a lane does alone. */
#include "kernels/cpu/isa/isa.h"

void VARIANT(depthwise)(float *out, const struct depthwise *d) {
    for (size_t i = 0; i < d->pixels; i++) {
        const float *in = d->in + i * d->pixel_stride;
        vec sums[PANEL_VECTORS] = {{0}};
        for (size_t tap = 0; tap < d->taps; tap++) {
            UNROLLED(v, PANEL_VECTORS) {
                const size_t lane = v * VECTOR_LANES;
                sums[v] += vec_load(in + d->offsets[tap] + lane) * vec_load(d->weights + tap * PANEL + lane);
            }
        }
        UNROLLED(v, PANEL_VECTORS) {
            vec_store(out + i * PANEL + v * VECTOR_LANES, sums[v]);
        }
    }
}
