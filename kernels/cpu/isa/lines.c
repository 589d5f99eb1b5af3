/* Lines on their way in and out: normalisation, activation and nearest upsampling while they are loaded; bias, residual
 * and activation while they are stored. The activation is a constant of each inlined loop. */
#include <string.h>

#include "kernels/cpu/isa/isa.h"

ALWAYS_INLINE void load_plain(float *out, const float *in, size_t count, const float *coefficients, const float *scales,
                              enum activation activation) {
    UNROLLED(v, PANEL_VECTORS) {
        const size_t lane = v * VECTOR_LANES;
        vec mean = {0}, scale = {0}, shift = {0};
        if (coefficients) {
            mean = vec_load(coefficients + lane);
            scale = vec_load(coefficients + PANEL + lane);
            shift = vec_load(coefficients + 2 * PANEL + lane);
        }
        for (size_t i = 0; i < count; i++) {
            vec x = vec_load(in + i * PANEL + lane);
            if (scales)
                x *= scales[i];
            if (coefficients)
                x = (x - mean) * scale + shift;
            vec_store(out + i * PANEL + lane, vec_activate(x, activation));
        }
    }
}

ALWAYS_INLINE void load_activated(float *out, const float *in, size_t count, const float *coefficients,
                                  const float *scales, enum activation activation) {
    if (scales)
        load_plain(out, in, count, coefficients, scales, activation);
    else if (coefficients)
        load_plain(out, in, count, coefficients, NULL, activation);
    else if (activation != ACTIVATION_NONE)
        load_plain(out, in, count, NULL, NULL, activation);
    else
        memmove(out, in, count * LINE_BYTES);
}

static void load_changed(float *out, const float *in, size_t count, const float *scales,
                         const struct prologue *prologue) {
    const float *coefficients = prologue->coefficients;
    switch (prologue->activation) {
    case ACTIVATION_SILU:
        load_activated(out, in, count, coefficients, scales, ACTIVATION_SILU);
        break;
    case ACTIVATION_RELU:
        load_activated(out, in, count, coefficients, scales, ACTIVATION_RELU);
        break;
    case ACTIVATION_NONE:
    default:
        load_activated(out, in, count, coefficients, scales, ACTIVATION_NONE);
        break;
    }
}

void VARIANT(load_lines)(float *out, const float *in, size_t count, size_t factor, size_t phase,
                         const struct prologue *prologue) {
    if (factor == 1) {
        load_changed(out, in, count, prologue->scales, prologue);
        return;
    }
    /* Each source line is changed once, however often it repeats. */
    size_t done = 0;
    for (size_t source = 0; done < count; source++) {
        size_t run = factor - (source == 0 ? phase : 0);
        if (run > count - done)
            run = count - done;
        load_changed(out + done * PANEL, in + source * PANEL, 1, prologue->scales ? prologue->scales + source : NULL,
                     prologue);
        for (size_t i = 1; i < run; i++)
            memcpy(out + (done + i) * PANEL, out + done * PANEL, LINE_BYTES);
        done += run;
    }
}

ALWAYS_INLINE void store_changed(float *out, const float *in, size_t count, size_t factor, size_t phase,
                                 const struct epilogue *e, enum activation activation) {
    const vec alpha = vec_set(e->alpha), beta = vec_set(e->beta);
    vec bias[PANEL_VECTORS];
    UNROLLED(v, PANEL_VECTORS) {
        bias[v] = e->bias ? vec_load(e->bias + v * VECTOR_LANES) : (vec){0};
    }
    const float *residual = e->residual;
    for (size_t i = 0; i < count; i++) {
        UNROLLED(v, PANEL_VECTORS) {
            const size_t lane = v * VECTOR_LANES;
            vec x = (vec_load(in + i * PANEL + lane) + bias[v]) * alpha;
            if (residual)
                x = vec_load(residual + lane) * beta + x;
            vec_store(out + i * PANEL + lane, vec_activate(x, activation));
        }
        if (residual && ++phase == factor) {
            phase = 0;
            residual += PANEL;
        }
    }
}

void VARIANT(store_lines)(float *out, const float *in, size_t count, size_t residual_factor, size_t residual_phase,
                          const struct epilogue *epilogue) {
    switch (epilogue->activation) {
    case ACTIVATION_SILU:
        store_changed(out, in, count, residual_factor, residual_phase, epilogue, ACTIVATION_SILU);
        break;
    case ACTIVATION_RELU:
        store_changed(out, in, count, residual_factor, residual_phase, epilogue, ACTIVATION_RELU);
        break;
    case ACTIVATION_NONE:
    default:
        store_changed(out, in, count, residual_factor, residual_phase, epilogue, ACTIVATION_NONE);
        break;
    }
}
