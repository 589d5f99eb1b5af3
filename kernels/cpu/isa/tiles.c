/* Products of bfloat16 on the tiles of AMX: registers of 16 rows of 64 bytes. One instruction multiplies 16 pixels x 32
 * input channels by 32 input channels x 16 outputs, 16 times as many multiply-adds in a cycle as AVX-512 of floats.
 *
 * Compiled once, beside the kernels for AVX2: with no vectors of AVX-512 in it, any processor with AVX2 can run it
 * whose tiles are imitated (tests/kernels/support_tiles.h). */
#include "kernels/cpu/isa/isa.h"

#if defined(__x86_64__) && defined(__AVX2__) && !defined(__AVX512F__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux gives the tiles, whose 8 KiB each thread's state then includes, to programs that ask for them. */
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

extern const struct kernel_set kernel_set_avx512;

/* Of leaf 7 of CPUID, in EDX; compilers have names of their own for them. */
enum { CPUID_AMX_BF16 = 1 << 22, CPUID_AMX_TILE = 1 << 24 };

bool amx_is_supported(void) {
    unsigned eax, ebx, ecx, edx;
    return kernel_set_avx512.is_supported() && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
           (edx & CPUID_AMX_BF16) != 0 && (edx & CPUID_AMX_TILE) != 0 &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

enum { TILES = 8, ROW_BYTES = 64 };

/* What ldtilecfg reads: every tile is whole. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} whole_tiles __attribute__((aligned(64))) = {
    .palette = 1,
    .row_bytes = {ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES, ROW_BYTES},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

#define TILED ALWAYS_INLINE __attribute__((target("amx-tile,amx-bf16")))

/* 16 or 32 pixels by 16 or 32 outputs. Tiles 0 to 3 are sums, 4 and 5 pixels, 6 and 7 weights. */
TILED void multiply_tiles(const bool wide, const bool two_panels, const struct gemm_bf16 *g, const uint16_t *a,
                          const uint16_t *b, float *c) {
    float *c_below = c + g->c_panel_stride;
    const size_t right = GEMM_BF16_PIXELS * g->a_pixel_stride, c_right = GEMM_BF16_PIXELS * PANEL;
    const size_t pixel_bytes = g->a_pixel_stride * sizeof *a;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (g->accumulate) {
        _tile_loadd(0, c, ROW_BYTES);
        if (wide)
            _tile_loadd(1, c + c_right, ROW_BYTES);
        if (two_panels)
            _tile_loadd(2, c_below, ROW_BYTES);
        if (wide && two_panels)
            _tile_loadd(3, c_below + c_right, ROW_BYTES);
    }
    for (size_t block = 0; block < g->block_count; block++, b += PAIR_BLOCK) {
        const uint16_t *x = a + g->a_offsets[block];
        _tile_loadd(4, x, pixel_bytes);
        _tile_loadd(6, b, ROW_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        if (wide) {
            _tile_loadd(5, x + right, pixel_bytes);
            _tile_dpbf16ps(1, 5, 6);
        }
        if (two_panels) {
            _tile_loadd(7, b + g->b_panel_stride, ROW_BYTES);
            _tile_dpbf16ps(2, 4, 7);
        }
        if (wide && two_panels)
            _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, ROW_BYTES);
    if (wide)
        _tile_stored(1, c + c_right, ROW_BYTES);
    if (two_panels)
        _tile_stored(2, c_below, ROW_BYTES);
    if (wide && two_panels)
        _tile_stored(3, c_below + c_right, ROW_BYTES);
}

__attribute__((target("amx-tile,amx-bf16"))) void gemm_bf16_amx(const struct gemm_bf16 *g) {
    _tile_loadconfig(&whole_tiles);
    for (size_t panel = 0; panel < g->panels; panel += 2) {
        const bool two_panels = panel + 1 < g->panels;
        const uint16_t *b = g->b + panel * g->b_panel_stride;
        for (size_t row = 0; row < g->rows; row++) {
            const uint16_t *a = g->a + row * g->a_row_stride;
            float *c = g->c + panel * g->c_panel_stride + row * g->c_row_stride;
            for (size_t pixel = 0; pixel < g->pixels; pixel += 2 * GEMM_BF16_PIXELS) {
                const uint16_t *x = a + pixel * g->a_pixel_stride;
                float *out = c + pixel * PANEL;
                const bool wide = pixel + GEMM_BF16_PIXELS < g->pixels;
                if (wide && two_panels)
                    multiply_tiles(true, true, g, x, b, out);
                else if (wide)
                    multiply_tiles(true, false, g, x, b, out);
                else if (two_panels)
                    multiply_tiles(false, true, g, x, b, out);
                else
                    multiply_tiles(false, false, g, x, b, out);
            }
        }
    }
    _tile_release();
}
#endif
