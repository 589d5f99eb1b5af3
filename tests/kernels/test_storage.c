/* Lines stored in 16 bits: how they are rounded, and that nothing else happens to them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/support_graphs.h"
#include "tests/kernels/support_kernels.h"
#include "tests/kernels/support_tiles.h"

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

/* Weights come in pairs of input channels, and lines are rounded a pair of panels apart: each number has its place. */
Test(storage, pairs_are_widened_and_made) {
    enum { COUNT = 13 };
    FOR_EACH_SET(kernels) {
        float *lines = support_random_lines(2 * COUNT * PANEL, 11),
              *widened = support_random_lines(2 * COUNT * PANEL, 12);
        uint16_t pairs[COUNT * PAIR_LINE] __attribute__((aligned(LINE_BYTES)));
        for (size_t i = 0; i < (size_t)COUNT * PAIR_LINE; i++) {
            pairs[i] = nearest_bf16(lines[i]);
        }
        kernels->widen_pairs(widened, pairs, COUNT);
        for (size_t i = 0; i < (size_t)COUNT * PAIR_LINE; i++) {
            cr_assert_eq(widened[i], float_of_bf16(pairs[i / PAIR_LINE * PAIR_LINE + 2 * (i % PANEL) + i / PANEL % 2]),
                         "%s: number %zu", kernels->name, i);
        }
        memset(pairs, 0xa5, sizeof pairs);
        kernels->round_lines(pairs, lines, COUNT);
        for (size_t i = 0; i < (size_t)COUNT * PAIR_LINE; i++) {
            const uint16_t wanted =
                i % PAIR_LINE < PANEL ? nearest_bf16(lines[i / PAIR_LINE * PANEL + i % PAIR_LINE]) : 0xa5a5;
            cr_assert_eq(pairs[i], wanted, "%s: number %zu", kernels->name, i);
        }
        free(widened);
        free(lines);
    }
}

/* The shape, and what a tile does not fill: pixels and panels. */
struct product_case {
    size_t rows, pixels, panels, blocks, stride;
    bool accumulate;
};

/* Of exact products, as those of 8 bits of mantissa are in FP64, in whatever order the kernel adds them up. */
static void expect_products(const char *name, void (*gemm)(const struct gemm_bf16 *gemm),
                            const struct product_case *p) {
    const size_t columns = (p->pixels + GEMM_BF16_PIXELS - 1) / GEMM_BF16_PIXELS * GEMM_BF16_PIXELS;
    const size_t a_row = (columns + 3) * p->stride * PAIR_LINE, a_count = (p->rows + p->blocks) * a_row;
    const size_t b_count = p->panels * p->blocks * PAIR_BLOCK, c_count = p->panels * p->rows * columns * PANEL;
    float *numbers = support_random_lines(a_count + b_count, 5), *c = support_random_lines(c_count, 77);
    float *before = support_random_lines(c_count, 77);
    uint16_t *a = aligned_alloc(LINE_BYTES, a_count * sizeof *a), *b = aligned_alloc(LINE_BYTES, b_count * sizeof *b);
    size_t offsets[18];
    for (size_t i = 0; i < a_count + b_count; i++) {
        *(i < a_count ? &a[i] : &b[i - a_count]) = nearest_bf16(numbers[i]);
    }
    for (size_t i = 0; i < p->blocks; i++) {
        offsets[i] = (p->blocks - 1 - i) * a_row + i % 3 * PAIR_LINE; /* in no order of the addresses */
    }
    gemm(&(struct gemm_bf16){.c = c,
                             .c_panel_stride = p->rows * columns * PANEL,
                             .c_row_stride = columns * PANEL,
                             .a = a,
                             .a_offsets = offsets,
                             .a_pixel_stride = p->stride * PAIR_LINE,
                             .a_row_stride = a_row,
                             .b = b,
                             .b_panel_stride = p->blocks * PAIR_BLOCK,
                             .block_count = p->blocks,
                             .rows = p->rows,
                             .pixels = p->pixels,
                             .panels = p->panels,
                             .accumulate = p->accumulate});
    for (size_t i = 0; i < c_count; i++) {
        const size_t lane = i % PANEL, pixel = i / PANEL % columns, row = i / PANEL / columns % p->rows,
                     panel = i / PANEL / columns / p->rows;
        double wanted = p->accumulate ? (double)before[i] : 0.0, magnitude = fabs(wanted);
        for (size_t k = 0; pixel < p->pixels && k < p->blocks * PAIR_LINE; k++) {
            const size_t block = k / PAIR_LINE, channel = k % PAIR_LINE;
            const double product =
                (double)float_of_bf16(a[offsets[block] + row * a_row + pixel * p->stride * PAIR_LINE + channel]) *
                (double)float_of_bf16(
                    b[(panel * p->blocks + block) * PAIR_BLOCK + channel / 2 * PAIR_LINE + 2 * lane + channel % 2]);
            wanted += product;
            magnitude += fabs(product);
        }
        cr_assert(pixel >= p->pixels || fabs((double)c[i] - wanted) <= 1e-6 * magnitude + 1e-9,
                  "%s, %zu x %zu pixels, %zu panels: number %zu is %.9g instead of %.9g", name, p->rows, p->pixels,
                  p->panels, i, (double)c[i], wanted);
    }
    free(b);
    free(a);
    free(before);
    free(c);
    free(numbers);
}

static const struct product_case PRODUCTS[] = {
    {1, 1, 1, 1, 1, false},  {1, 16, 1, 2, 1, true},  {2, 17, 2, 3, 1, false}, {3, 32, 3, 9, 1, true},
    {4, 40, 2, 18, 1, true}, {1, 64, 5, 4, 1, false}, {2, 33, 2, 5, 2, false}, {3, 7, 4, 7, 3, true}};
enum { PRODUCT_COUNT = sizeof PRODUCTS / sizeof PRODUCTS[0] };

Test(storage, products_of_bf16_are_sums_of_floats) {
    FOR_EACH_SET(kernels) {
        for (size_t i = 0; i < PRODUCT_COUNT && kernels->gemm_bf16 != NULL; i++) {
            expect_products(kernels->name, kernels->gemm_bf16, &PRODUCTS[i]);
        }
    }
}

#if defined(__x86_64__)
void gemm_bf16_amx(const struct gemm_bf16 *gemm); /* isa/tiles.c */

/* Where the processor has no tiles, their instructions are imitated one by one: what AMX's kernel asks of them is
 * tested on any machine. */
Test(storage, products_of_amx) {
    if (!support_tiles_begin()) {
        cr_skip_test("skipped: no AVX2 here");
    }
    for (size_t i = 0; i < PRODUCT_COUNT; i++) {
        expect_products("amx", gemm_bf16_amx, &PRODUCTS[i]);
    }
    const size_t imitated = support_tiles_end();
    size_t count;
    cr_assert(imitated > 0 || kernel_sets(&count)[0]->is_supported(), "neither tiles nor an imitation");
}
#endif
