/* Lines on their way in and out: normalisation, activation and nearest upsampling while they are loaded; bias, residual
 * and activation while they are stored. The activation and the storage are constants of each inlined loop. */
#include <string.h>

#include "kernels/cpu/isa/isa.h"

ALWAYS_INLINE void load_plain(float *out, const void *in, size_t count, const struct prologue *p, const float *scales,
                              const bool changed, const enum activation activation, const enum storage storage) {
    UNROLLED(v, PANEL_VECTORS) {
        const size_t lane = v * VECTOR_LANES;
        vec mean = {0}, scale = {0}, shift = {0};
        if (changed) {
            mean = vec_load(p->coefficients + lane);
            scale = vec_load(p->coefficients + PANEL + lane);
            shift = vec_load(p->coefficients + 2 * PANEL + lane);
        }
        for (size_t i = 0; i < count; i++) {
            vec x = vec_load_stored(in, i * PANEL + lane, storage);
            if (scales)
                x *= scales[i];
            if (changed)
                x = (x - mean) * scale + shift;
            vec_store(out + i * PANEL + lane, vec_activate(x, activation));
        }
    }
}

ALWAYS_INLINE void load_activated(float *out, const void *in, size_t count, const struct prologue *p,
                                  const float *scales, const enum activation activation, const enum storage storage) {
    if (scales)
        load_plain(out, in, count, p, scales, true, activation, storage);
    else if (p->coefficients)
        load_plain(out, in, count, p, NULL, true, activation, storage);
    else if (activation != ACTIVATION_NONE || storage != STORAGE_F32)
        load_plain(out, in, count, p, NULL, false, activation, storage);
    else
        memmove(out, in, count * LINE_BYTES);
}

ALWAYS_INLINE void load_stored(float *out, const void *in, size_t count, const struct prologue *p, const float *scales,
                               const enum storage storage) {
    switch (p->activation) {
    case ACTIVATION_SILU:
        load_activated(out, in, count, p, scales, ACTIVATION_SILU, storage);
        break;
    case ACTIVATION_RELU:
        load_activated(out, in, count, p, scales, ACTIVATION_RELU, storage);
        break;
    case ACTIVATION_NONE:
    default:
        load_activated(out, in, count, p, scales, ACTIVATION_NONE, storage);
        break;
    }
}

static void load_changed(float *out, const void *in, size_t count, const float *scales, const struct prologue *p) {
    if (p->storage == STORAGE_BF16)
        load_stored(out, in, count, p, scales, STORAGE_BF16);
    else
        load_stored(out, in, count, p, scales, STORAGE_F32);
}

void VARIANT(load_lines)(float *out, const void *in, size_t count, size_t factor, size_t phase,
                         const struct prologue *prologue) {
    if (factor == 1) {
        load_changed(out, in, count, prologue->scales, prologue);
        return;
    }
    /* Each source line is changed once, however often it repeats. */
    const char *source = in;
    size_t done = 0;
    for (size_t i = 0; done < count; i++, source += PANEL * storage_bytes(prologue->storage)) {
        size_t run = factor - (i == 0 ? phase : 0);
        if (run > count - done)
            run = count - done;
        load_changed(out + done * PANEL, source, 1, prologue->scales ? prologue->scales + i : NULL, prologue);
        for (size_t k = 1; k < run; k++)
            memcpy(out + (done + k) * PANEL, out + done * PANEL, LINE_BYTES);
        done += run;
    }
}

ALWAYS_INLINE void store_changed(void *out, const float *in, size_t count, size_t factor, size_t phase,
                                 const struct epilogue *e, const enum activation activation,
                                 const enum storage storage) {
    const vec alpha = vec_set(e->alpha), beta = vec_set(e->beta);
    const enum storage residual_storage = e->residual_storage;
    vec bias[PANEL_VECTORS];
    UNROLLED(v, PANEL_VECTORS) {
        bias[v] = e->bias ? vec_load(e->bias + v * VECTOR_LANES) : (vec){0};
    }
    size_t residual = 0;
    for (size_t i = 0; i < count; i++) {
        UNROLLED(v, PANEL_VECTORS) {
            const size_t lane = v * VECTOR_LANES;
            vec x = (vec_load(in + i * PANEL + lane) + bias[v]) * alpha;
            if (e->residual)
                x = vec_load_stored(e->residual, residual + lane, residual_storage) * beta + x;
            vec_store_stored(out, i * PANEL + lane, vec_activate(x, activation), storage);
        }
        if (++phase == factor) {
            phase = 0;
            residual += PANEL;
        }
    }
}

ALWAYS_INLINE void store_activated(void *out, const float *in, size_t count, size_t factor, size_t phase,
                                   const struct epilogue *e, const enum storage storage) {
    switch (e->activation) {
    case ACTIVATION_SILU:
        store_changed(out, in, count, factor, phase, e, ACTIVATION_SILU, storage);
        break;
    case ACTIVATION_RELU:
        store_changed(out, in, count, factor, phase, e, ACTIVATION_RELU, storage);
        break;
    case ACTIVATION_NONE:
    default:
        store_changed(out, in, count, factor, phase, e, ACTIVATION_NONE, storage);
        break;
    }
}

void VARIANT(store_lines)(void *out, const float *in, size_t count, size_t residual_factor, size_t residual_phase,
                          const struct epilogue *epilogue) {
    if (epilogue->storage == STORAGE_BF16)
        store_activated(out, in, count, residual_factor, residual_phase, epilogue, STORAGE_BF16);
    else
        store_activated(out, in, count, residual_factor, residual_phase, epilogue, STORAGE_F32);
}

void VARIANT(widen_pairs)(float *out, const uint16_t *in, size_t pairs) {
    for (size_t i = 0; i < pairs; i++) {
        UNROLLED(v, PANEL_VECTORS) {
            const uvec both = *(const uvec *)(in + i * PAIR_LINE + v * 2 * VECTOR_LANES);
            vec_store(out + 2 * i * PANEL + v * VECTOR_LANES, (vec)(both << 16));
            vec_store(out + (2 * i + 1) * PANEL + v * VECTOR_LANES, (vec)(both & 0xffff0000));
        }
    }
}

void VARIANT(round_lines)(uint16_t *out, const float *in, size_t count) {
    for (size_t i = 0; i < count; i++) {
        UNROLLED(v, PANEL_VECTORS) {
            vec_store_bf16(out + i * PAIR_LINE + v * VECTOR_LANES, vec_load(in + i * PANEL + v * VECTOR_LANES));
        }
    }
}
