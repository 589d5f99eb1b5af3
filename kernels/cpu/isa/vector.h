/* Vectors of the instruction set that a file is compiled for, as GNU vector extensions: one source for all of them.
 *
 * A panel line holds PANEL = 16 floats whatever the vectors are; it is PANEL_VECTORS vectors long. The tile of the GEMM
 * microkernel (GEMM_PIXELS x GEMM_PANELS lines of accumulators) fits the register file. All three sizes can be set from
 * outside, so that a tile made for registers that this machine lacks can be tested with those that it has. */
#ifndef KERNELS_CPU_ISA_VECTOR_H
#define KERNELS_CPU_ISA_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#include "kernels/cpu/kernels.h"

#ifndef VECTOR_LANES
#if defined(__AVX512F__) /* 32 registers: 28 accumulators, 2 of B, 1 of A */
#define VECTOR_LANES 16
#define GEMM_PIXELS  14
#define GEMM_PANELS  2
#elif defined(__AVX2__) /* 16 registers: 12 accumulators, 2 of B, 1 of A */
#define VECTOR_LANES 8
#define GEMM_PIXELS  6
#define GEMM_PANELS  1
#elif defined(__aarch64__) /* 32 registers: 24 accumulators, 4 of B, 1 of A */
#define VECTOR_LANES 4
#define GEMM_PIXELS  6
#define GEMM_PANELS  1
#else /* 16 registers: 12 accumulators, the rest for B and A */
#define VECTOR_LANES 4
#define GEMM_PIXELS  3
#define GEMM_PANELS  1
#endif
#endif

enum { PANEL_VECTORS = PANEL / VECTOR_LANES };

typedef float vec __attribute__((vector_size(VECTOR_LANES * 4), may_alias));
typedef int32_t ivec __attribute__((vector_size(VECTOR_LANES * 4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(VECTOR_LANES * 4), may_alias));
typedef uint16_t half_vec __attribute__((vector_size(VECTOR_LANES * 2), may_alias)); /* bfloat16 */

/* Symbols of a variant end in its name: gemm_panel_avx2. */
#define VARIANT_JOIN(name, suffix)   name##_##suffix
#define VARIANT_EXPAND(name, suffix) VARIANT_JOIN(name, suffix)
#define VARIANT(name)                VARIANT_EXPAND(name, KERNEL_VARIANT)

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* A loop over [0, count), count a small constant once inlined, that must not stay a loop: its arrays are registers. */
#if defined(__clang__)
#define UNROLLED(index, count) _Pragma("clang loop unroll(full)") for (size_t index = 0; index < (count); index++)
#else
#define UNROLLED(index, count) _Pragma("GCC unroll 16") for (size_t index = 0; index < (count); index++)
#endif

ALWAYS_INLINE vec vec_load(const float *p) {
    return *(const vec *)p;
}

ALWAYS_INLINE void vec_store(float *p, vec v) {
    *(vec *)p = v;
}

ALWAYS_INLINE vec vec_load_bf16(const uint16_t *p) {
    return (vec)(__builtin_convertvector(*(const half_vec *)p, uvec) << 16);
}

/* To nearest even. Rounding would carry some NaN into another number: they stay NaN by their first bit. */
ALWAYS_INLINE void vec_store_bf16(uint16_t *p, vec x) {
    const uvec bits = (uvec)x, rounded = bits + 0x7fff + (bits >> 16 & 1), nan = bits | 0x400000;
    const uvec number = (uvec)((ivec)(bits & 0x7fffffff) <= 0x7f800000);
    *(half_vec *)p = __builtin_convertvector(((rounded & number) | (nan & ~number)) >> 16, half_vec);
}

/* `index` counts numbers from `lines` on; `storage` is a constant once inlined, or the same for a whole loop. */
ALWAYS_INLINE vec vec_load_stored(const void *lines, size_t index, enum storage storage) {
    return storage == STORAGE_BF16 ? vec_load_bf16((const uint16_t *)lines + index)
                                   : vec_load((const float *)lines + index);
}

ALWAYS_INLINE void vec_store_stored(void *lines, size_t index, vec x, enum storage storage) {
    if (storage == STORAGE_BF16) {
        vec_store_bf16((uint16_t *)lines + index, x);
    } else {
        vec_store((float *)lines + index, x);
    }
}

/* Past the caches, for what will not be read before it has left them; other threads see it after their next barrier. */
ALWAYS_INLINE void vec_stream(float *p, vec v) {
#if VECTOR_LANES == 16 && defined(__AVX512F__)
    _mm512_stream_ps(p, (__m512)v);
#elif VECTOR_LANES == 8 && defined(__AVX__)
    _mm256_stream_ps(p, (__m256)v);
#else
    vec_store(p, v);
#endif
}

/* x - 0 is x for every x, -0 and NaN too, so that compilers make it a plain broadcast. */
ALWAYS_INLINE vec vec_set(float x) {
    return x - (vec){0};
}

/* mask ? a : b, lane by lane; a comparison makes lanes of all ones or all zeros. */
ALWAYS_INLINE vec vec_select(ivec mask, vec a, vec b) {
    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
}

/* max(x, 0); NaN compares false and stays. */
ALWAYS_INLINE vec vec_relu(vec x) {
    return (vec)(~(ivec)(x < 0.0f) & (ivec)x);
}

/* NaN stays: both instructions give their second operand where the comparison fails. */
ALWAYS_INLINE vec vec_clamp(vec x, float low, float high) {
#if VECTOR_LANES == 16 && defined(__AVX512F__)
    return (vec)_mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), (__m512)x));
#elif VECTOR_LANES == 8 && defined(__AVX__)
    return (vec)_mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), (__m256)x));
#else
    x = vec_select(x < low, vec_set(low), x);
    return vec_select(x > high, vec_set(high), x);
#endif
}

/* exp(x) to 2 ulp in [-87, 88] and saturating outside; NaN stays. Cephes' polynomial after reduction by ln 2 in two
 * parts; adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low bits. */
ALWAYS_INLINE vec vec_exp(vec x) {
    const vec round = vec_set(12582912.0f);
    x = vec_clamp(x, -87.3f, 88.0f);
    vec shifted = x * 1.44269504f + round;
    vec n = shifted - round;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    /* in pairs: half as long a chain as Horner's, and vectors in flight are few */
    const vec r2 = r * r;
    vec p = r2 * (1.9875691500e-4f * r + 1.3981999507e-3f) + (8.3334519073e-3f * r + 4.1665795894e-2f);
    p = r2 * p + (1.6666665459e-1f * r + 5.0000001201e-1f);
    p = r2 * p + (r + 1.0f);
    ivec power = ((ivec)shifted - (ivec)round + 127) << 23;
    return p * (vec)power;
}

/* x / d for 1 <= d < 2^127. 16 lanes take the divider longer than all else in a SiLU: an estimate of 14 bits and one of
 * Newton's steps are within 2 ulp. 8 lanes do not. */
ALWAYS_INLINE vec vec_quotient(vec x, vec d) {
#if VECTOR_LANES == 16 && defined(__AVX512F__)
    const vec r = (vec)_mm512_rcp14_ps((__m512)d);
    return x * (r * (2.0f - d * r));
#else
    return x / d;
#endif
}

ALWAYS_INLINE vec vec_silu(vec x) {
    return vec_quotient(x, 1.0f + vec_exp(-x));
}

ALWAYS_INLINE vec vec_activate(vec x, enum activation activation) {
    switch (activation) {
    case ACTIVATION_SILU:
        return vec_silu(x);
    case ACTIVATION_RELU:
        return vec_relu(x);
    case ACTIVATION_NONE:
    default:
        return x;
    }
}

#endif
