/* Lines stored in 16 bits: how they are rounded, and that nothing else happens to them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/support_graphs.h"
#include "tests/kernels/support_kernels.h"

static const enum activation ACTIVATIONS[] = {ACTIVATION_NONE, ACTIVATION_SILU, ACTIVATION_RELU};

static float float_of_bf16(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Of the two nearest, the even one where they are equally near: found by trying, not by the kernels' arithmetic. */
static uint16_t nearest_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint16_t low = (uint16_t)(bits >> 16), high = (uint16_t)(low + 1);
    const double below = fabs((double)x - (double)float_of_bf16(low)),
                 above = fabs((double)float_of_bf16(high) - (double)x);
    return below < above || (below == above && low % 2 == 0) ? low : high;
}

Test(storage, numbers_are_rounded_to_nearest_even) {
    static const float VALUES[] = {0.0f,       -0.0f,       1.0f,    -1.00390625f, 1.01171875f,
                                   1.0039063f, 3.14159274f, -1e-30f, 2e38f};
    FOR_EACH_SET(kernels) {
        uint64_t seed = 3;
        for (size_t i = 0; i < 200; i++) {
            float in[PANEL] __attribute__((aligned(LINE_BYTES))), back[PANEL] __attribute__((aligned(LINE_BYTES)));
            uint16_t stored[2 * PANEL] __attribute__((aligned(LINE_BYTES)));
            memset(stored, 0xa5, sizeof stored);
            for (size_t lane = 0; lane < PANEL; lane++) {
                in[lane] = i * PANEL + lane < sizeof VALUES / sizeof VALUES[0] ? VALUES[i * PANEL + lane]
                                                                               : support_random(&seed);
            }
            kernels->store_lines(stored, in, 1, 1, 0, &(struct epilogue){.alpha = 1.0f, .storage = STORAGE_BF16});
            kernels->load_lines(back, stored, 1, 1, 0, &(struct prologue){.storage = STORAGE_BF16});
            for (size_t lane = 0; lane < PANEL; lane++) {
                /* (x + 0) * 1 has no -0 */
                cr_assert_eq(stored[lane], nearest_bf16(in[lane] + 0.0f), "%s: %.9g became %#x", kernels->name,
                             (double)in[lane], stored[lane]);
                cr_assert_eq(back[lane], float_of_bf16(stored[lane]), "%s", kernels->name);
                cr_assert_eq(stored[PANEL + lane], 0xa5a5, "%s writes behind the line", kernels->name);
            }
        }
    }
}

/* What float lines give, rounded, wherever they are stored in 16 bits: every activation, factor and phase. */
Test(storage, narrow_lines_are_float_lines_rounded) {
    enum { COUNT = 11 };
    FOR_EACH_SET(kernels) {
        for (size_t i = 0; i < 3 * 3 * 4 * 2; i++) {
            const size_t factor = 1 + i / 3 % 3, phase = i % factor;
            const bool narrow = i / 9 % 2 == 0, narrow_residual = i / 18 % 2 == 0;
            float *in = support_random_lines(COUNT * PANEL, i), *residual = support_random_lines(COUNT * PANEL, i + 1);
            float wanted[COUNT * PANEL] __attribute__((aligned(LINE_BYTES)));
            uint16_t halves[COUNT * PANEL] __attribute__((aligned(LINE_BYTES)));
            for (size_t k = 0; k < (size_t)COUNT * PANEL; k++) {
                halves[k] = nearest_bf16(residual[k]);
                residual[k] = narrow_residual ? float_of_bf16(halves[k]) : residual[k];
            }
            struct epilogue epilogue = {
                .residual = residual, .alpha = 0.75f, .beta = -1.5f, .activation = ACTIVATIONS[i % 3]};
            kernels->store_lines(wanted, in, COUNT, factor, phase, &epilogue);
            epilogue.storage = narrow ? STORAGE_BF16 : STORAGE_F32;
            epilogue.residual_storage = narrow_residual ? STORAGE_BF16 : STORAGE_F32;
            epilogue.residual = narrow_residual ? (const void *)halves : residual;
            kernels->store_lines(in, in, COUNT, factor, phase, &epilogue);
            for (size_t k = 0; k < (size_t)COUNT * PANEL; k++) {
                const float found = narrow ? float_of_bf16(((uint16_t *)in)[k]) : in[k];
                cr_assert_eq(found, narrow ? float_of_bf16(nearest_bf16(wanted[k])) : wanted[k], "%s, case %zu",
                             kernels->name, i);
            }
            struct prologue prologue = {.activation = ACTIVATIONS[i % 3]};
            float *loaded = support_random_lines(COUNT * PANEL, 5);
            for (size_t k = 0; k < (size_t)COUNT * PANEL; k++) {
                residual[k] = float_of_bf16(halves[k]);
            }
            kernels->load_lines(wanted, residual, COUNT, factor, phase, &prologue);
            prologue.storage = STORAGE_BF16;
            kernels->load_lines(loaded, halves, COUNT, factor, phase, &prologue);
            cr_assert_arr_eq(loaded, wanted, sizeof wanted, "%s, case %zu", kernels->name, i);
            free(loaded);
            free(residual);
            free(in);
        }
    }
}

/* Rounding must not carry a NaN into a number, whichever of its bits are set; infinities stay. */
Test(storage, nan_stays) {
    static const uint32_t BITS[] = {0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff, 0x7fc00000, 0x7f80ffff};
    FOR_EACH_SET(kernels) {
        float in[PANEL] __attribute__((aligned(LINE_BYTES)));
        uint16_t stored[PANEL] __attribute__((aligned(LINE_BYTES)));
        for (size_t lane = 0; lane < PANEL; lane++) {
            memcpy(&in[lane], &BITS[lane % 6], sizeof(float));
        }
        in[14] = INFINITY;
        in[15] = -INFINITY;
        kernels->store_lines(stored, in, 1, 1, 0, &(struct epilogue){.alpha = 1.0f, .storage = STORAGE_BF16});
        for (size_t lane = 0; lane < 14; lane++) {
            cr_assert(isnan(float_of_bf16(stored[lane])), "%s: NaN %#x became %#x", kernels->name, BITS[lane % 6],
                      stored[lane]);
        }
        cr_assert_eq(stored[14], 0x7f80);
        cr_assert_eq(stored[15], 0xff80);
    }
}
