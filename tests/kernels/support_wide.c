#include "tests/kernels/support_wide.h"

#include <string.h>

#define KERNEL_VARIANT     wide
#define KERNEL_DESCRIPTION "AVX-512's tile on other instructions"
#define VECTOR_LANES       16
#define GEMM_PIXELS        14
#define GEMM_PANELS        2
#define KERNEL_GEMM_BF16   gemm_bf16_plain

#include "kernels/cpu/isa/depthwise.c"
#include "kernels/cpu/isa/gemm.c"
#include "kernels/cpu/isa/lines.c"
#include "kernels/cpu/isa/moments.c"
#include "kernels/cpu/isa/narrow.c"

static float widened(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* What AMX's tiles compute; like them it reads and writes whole tiles. */
static void gemm_bf16_plain(const struct gemm_bf16 *g) {
    const size_t pixels = (g->pixels + GEMM_BF16_PIXELS - 1) / GEMM_BF16_PIXELS * GEMM_BF16_PIXELS;
    for (size_t i = 0; i < g->panels * g->rows * pixels; i++) {
        const size_t pixel = i % pixels, row = i / pixels % g->rows, panel = i / pixels / g->rows;
        float *c = g->c + panel * g->c_panel_stride + row * g->c_row_stride + pixel * PANEL;
        vec sum = g->accumulate ? vec_load(c) : (vec){0};
        for (size_t block = 0; block < g->block_count; block++) {
            const uint16_t *a = g->a + g->a_offsets[block] + row * g->a_row_stride + pixel * g->a_pixel_stride;
            const uint16_t *b = g->b + panel * g->b_panel_stride + block * PAIR_BLOCK;
            for (size_t k = 0; k < PANEL; k++) {
                const uvec pair = *(const uvec *)(b + k * PAIR_LINE);
                sum += vec_set(widened(a[2 * k])) * (vec)(pair << 16);
                sum += vec_set(widened(a[2 * k + 1])) * (vec)(pair & 0xffff0000);
            }
        }
        vec_store(c, sum);
    }
}

#include "kernels/cpu/isa/set.c"
#include "kernels/cpu/isa/softmax.c"
#include "kernels/cpu/isa/winograd.c"
