/* The microkernel: a tile of GEMM_PIXELS pixels x GEMM_PANELS panels of outputs stays in registers while the reduction
 * runs over blocks of 16 input channels (of a tap). Every number of pixels has its instance, made by inlining one
 * function with constants; rows are shared out evenly (8 pixels are 4 + 4, not 6 + 2). */
#include "kernels/cpu/isa/isa.h"

/* Lines that will be needed soon are pulled into the second-level cache at an even pace, `pace` of them a block: the
 * first product with a panel of weights would wait for each of its lines otherwise. */
struct stream {
    const char *next;
    size_t pace;
};

ALWAYS_INLINE void stream_some(struct stream *stream) {
    for (size_t i = 0; i < stream->pace; i++, stream->next += LINE_BYTES) {
        __builtin_prefetch(stream->next, 0, 2);
    }
}

ALWAYS_INLINE void gemm_tile(size_t pixels, size_t panels, size_t pixel_stride, const struct gemm *g, const float *a,
                             const float *b, float *c, struct stream *streams) {
    vec sum[GEMM_PIXELS][GEMM_PANELS][PANEL_VECTORS];
    UNROLLED(t, pixels) {
        UNROLLED(p, panels) {
            UNROLLED(v, PANEL_VECTORS) {
                sum[t][p][v] = (vec){0};
            }
        }
    }
    for (size_t block = 0; block < g->block_count; block++, b += PANEL * PANEL) {
        const float *x = a + g->a_offsets[block];
        UNROLLED(p, panels + 1) {
            stream_some(&streams[p]);
        }
        for (size_t i = 0; i < g->depth; i++) {
            vec w[GEMM_PANELS][PANEL_VECTORS];
            UNROLLED(p, panels) {
                UNROLLED(v, PANEL_VECTORS) {
                    w[p][v] = vec_load(b + p * g->b_panel_stride + i * PANEL + v * VECTOR_LANES);
                }
            }
            UNROLLED(t, pixels) {
                const vec scalar = vec_set(x[t * pixel_stride + i]);
                UNROLLED(p, panels) {
                    UNROLLED(v, PANEL_VECTORS) {
                        sum[t][p][v] = scalar * w[p][v] + sum[t][p][v];
                    }
                }
            }
        }
    }
    UNROLLED(p, panels) {
        UNROLLED(t, pixels) {
            UNROLLED(v, PANEL_VECTORS) {
                float *out = c + p * g->c_panel_stride + t * PANEL + v * VECTOR_LANES;
                if (g->accumulate) {
                    sum[t][p][v] += vec_load(out);
                }
                vec_store(out, sum[t][p][v]);
            }
        }
    }
}

typedef void gemm_tile_function(const struct gemm *g, const float *a, const float *b, float *c, struct stream *streams);

/* Strides of 16 (stride 1) get constant addresses; other strides are rare and share the general form. */
#define TILE(pixels, panels)                                                                                       \
    static void tile_##pixels##x##panels(const struct gemm *g, const float *a, const float *b, float *c,           \
                                         struct stream *streams) {                                                 \
        gemm_tile(pixels, panels, PANEL, g, a, b, c, streams);                                                     \
    }                                                                                                              \
    static void tile_##pixels##x##panels##_strided(const struct gemm *g, const float *a, const float *b, float *c, \
                                                   struct stream *streams) {                                       \
        gemm_tile(pixels, panels, g->a_pixel_stride, g, a, b, c, streams);                                         \
    }

#define TILES_1_TO_3(panels) \
    TILE(1, panels)          \
    TILE(2, panels)          \
    TILE(3, panels)
#define TILES_4_TO_6(panels) \
    TILE(4, panels)          \
    TILE(5, panels)          \
    TILE(6, panels)
#define TILES_7_TO_14(panels) \
    TILE(7, panels)           \
    TILE(8, panels)           \
    TILE(9, panels)           \
    TILE(10, panels)          \
    TILE(11, panels)          \
    TILE(12, panels)          \
    TILE(13, panels)          \
    TILE(14, panels)

#define ROWS_1_TO_3(panels, suffix) tile_1x##panels##suffix, tile_2x##panels##suffix, tile_3x##panels##suffix
#define ROWS_4_TO_6(panels, suffix) tile_4x##panels##suffix, tile_5x##panels##suffix, tile_6x##panels##suffix
#define ROWS_7_TO_14(panels, suffix)                                                                     \
    tile_7x##panels##suffix, tile_8x##panels##suffix, tile_9x##panels##suffix, tile_10x##panels##suffix, \
        tile_11x##panels##suffix, tile_12x##panels##suffix, tile_13x##panels##suffix, tile_14x##panels##suffix

#if GEMM_PIXELS == 14
#define TILES(panels)        TILES_1_TO_3(panels) TILES_4_TO_6(panels) TILES_7_TO_14(panels)
#define ROWS(panels, suffix) ROWS_1_TO_3(panels, suffix), ROWS_4_TO_6(panels, suffix), ROWS_7_TO_14(panels, suffix)
#elif GEMM_PIXELS == 6
#define TILES(panels)        TILES_1_TO_3(panels) TILES_4_TO_6(panels)
#define ROWS(panels, suffix) ROWS_1_TO_3(panels, suffix), ROWS_4_TO_6(panels, suffix)
#elif GEMM_PIXELS == 3
#define TILES(panels)        TILES_1_TO_3(panels)
#define ROWS(panels, suffix) ROWS_1_TO_3(panels, suffix)
#else
#error "no instances for this tile"
#endif

#if GEMM_PANELS == 2
TILES(1)
TILES(2)
static gemm_tile_function *const instances[2][2][GEMM_PIXELS] = {{{ROWS(1, )}, {ROWS(2, )}},
                                                                 {{ROWS(1, _strided)}, {ROWS(2, _strided)}}};
#else
TILES(1)
static gemm_tile_function *const instances[2][1][GEMM_PIXELS] = {{{ROWS(1, )}}, {{ROWS(1, _strided)}}};
#endif

void VARIANT(gemm_panel)(const struct gemm *g) {
    const size_t groups = (g->pixels + GEMM_PIXELS - 1) / GEMM_PIXELS;
    const size_t steps = (g->panels + GEMM_PANELS - 1) / GEMM_PANELS * groups * g->block_count;
    gemm_tile_function *const(*by_panels)[GEMM_PIXELS] = instances[g->a_pixel_stride != PANEL];
    struct stream streams[GEMM_PANELS + 1] = {{(const char *)g->next_a, (g->next_a_lines + steps - 1) / steps}};
    for (size_t panel = 0; panel < g->panels; panel += GEMM_PANELS) {
        const size_t panels = g->panels - panel < GEMM_PANELS ? g->panels - panel : GEMM_PANELS;
        const float *b = g->b + panel * g->b_panel_stride;
        const float *next = panel + panels < g->panels ? b + panels * g->b_panel_stride : g->next_b;
        for (size_t p = 0; p < GEMM_PANELS; p++) {
            streams[p + 1].next = (const char *)next + p * g->b_panel_stride * sizeof *next;
            streams[p + 1].pace = next ? (PANEL + groups - 1) / groups : 0;
        }
        for (size_t group = 0; group < groups; group++) {
            size_t first = g->pixels * group / groups, end = g->pixels * (group + 1) / groups;
            by_panels[panels - 1][end - first - 1](g, g->a + first * g->a_pixel_stride, b,
                                                   g->c + panel * g->c_panel_stride + first * PANEL, streams);
        }
    }
}
