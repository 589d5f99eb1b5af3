/* The kernel table: what runs in the inner loops, once for every instruction set, chosen when a decoder opens.
 *
 * One layout everywhere, "panels": X[ceil(C / 16)][pixel][16]. A panel is 16 channels wide, a line (one pixel of it) is
 * 64 bytes and 64-byte aligned; channels are padded to 16 with zeros, and every kernel keeps the padding zero.
 *   activations          columns = channels,         rows = pixels  (nChw16c)
 *   weights              columns = output channels,  rows = input channels, tap by tap; in 16 bits 32 rows a block,
 *                        two of them side by side: W[O / 16][ceil(C / 32)][tap][16 pairs of C][16 of O][2]
 *   attention            scores: columns = keys, rows = queries; V as it is: columns = channels, rows = tokens
 * so that one microkernel serves convolutions, linears and attention.
 *
 * Kernels compute with floats. Activations and weights may be stored in 16 bits (enum storage): they are widened where
 * they are loaded and rounded where they are stored, and nowhere between. Where the processor multiplies 16 bits much
 * faster (gemm_bf16), what a convolution's prologue made of its inputs is rounded once more; sums are floats still.
 *
 * Kernels are exact about order: sums do not depend on the number of threads, nor on how rows were cut into tiles. */
#ifndef KERNELS_CPU_KERNELS_H
#define KERNELS_CPU_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PANEL = 16, LINE_BYTES = 64, NARROW_OUTPUTS = 4 };

/* How the numbers of a line lie in memory: as floats, or as their upper halves (bfloat16), rounded to nearest even. */
enum storage { STORAGE_F32 = 0, STORAGE_BF16 };

static inline size_t storage_bytes(enum storage storage) {
    return storage == STORAGE_BF16 ? sizeof(uint16_t) : sizeof(float);
}

/* Activations that loaders and epilogues can apply on the way. */
enum activation { ACTIVATION_NONE = 0, ACTIVATION_SILU, ACTIVATION_RELU };

/* c[panel][pixel][16] (+)= sum over blocks and depth of a[offsets[block] + pixel * pixel_stride + i] *
 * b[panel][block][i][16]
 *
 * The products of one call are summed from zero and then added to c: a long reduction that is cut into calls keeps
 * short chains of rounding. */
struct gemm {
    float *c;                /* (panels, pixels, 16) */
    size_t c_panel_stride;   /* floats */
    const float *a;          /* lines of 16; */
    const size_t *a_offsets; /* of the first line of each block, in floats */
    size_t a_pixel_stride;   /* floats: 16 x the convolution's stride */
    const float *b;          /* (panels, block_count, 16, 16) */
    size_t b_panel_stride;   /* floats */
    size_t block_count;
    size_t depth; /* rows used of each block of 16, 1..16 */
    size_t pixels, panels;
    bool accumulate; /* false: c is overwritten */
    /* What the next call will read first, or NULL: its weights, of as many blocks, and next_a_lines lines. They are
     * pulled towards the core meanwhile. */
    const float *next_b, *next_a;
    size_t next_a_lines;
};

/* The same of bfloat16, in rows of pixels:
 *
 * c[panel][row][pixel][16] (+)= sum over blocks of a[offsets[block] + row * row_stride + pixel * pixel_stride + i] *
 * b[panel][block][i / 2][16][i % 2], i = 0..31
 *
 * Pixels come in GEMM_BF16_PIXELS: lines behind a row's last are read (whatever they are) and written, too. */
enum { GEMM_BF16_PIXELS = 16, PAIR_LINE = 2 * PANEL, PAIR_BLOCK = PAIR_LINE * PANEL };

struct gemm_bf16 {
    float *c;
    size_t c_panel_stride, c_row_stride; /* floats */
    const uint16_t *a;                   /* lines of 32; */
    const size_t *a_offsets;             /* of the first line of each block, in numbers */
    size_t a_pixel_stride, a_row_stride; /* numbers */
    const uint16_t *b;                   /* (panels, block_count, 16, 16, 2) */
    size_t b_panel_stride;               /* numbers */
    size_t block_count, rows, pixels, panels;
    bool accumulate; /* false: c is overwritten */
};

/* How a line is changed while it is read: (x * scale of the line - coefficients[0..15]) * coefficients[16..31] +
 * coefficients[32..47], then the activation. Subtracting the mean first keeps its digits where |mean| >> deviation. */
struct prologue {
    const float *coefficients; /* (3, 16), or NULL */
    enum activation activation;
    const float *scales;  /* one a source line, or NULL; only beside coefficients */
    enum storage storage; /* of the source lines */
};

/* What happens to a finished sum: activation(alpha * (x + bias) + beta * residual). */
struct epilogue {
    const float *bias;    /* (16), or NULL */
    const void *residual; /* lines, or NULL; may be the output itself */
    float alpha, beta;
    enum activation activation;
    enum storage storage, residual_storage; /* of the output's lines, and of the residual's */
};

/* out[pixel][16] = sum over taps of in[offsets[tap] + pixel * pixel_stride + lane] * weights[tap][lane] */
struct depthwise {
    const float *in;
    const size_t *offsets; /* floats */
    size_t pixel_stride;   /* floats: 16 x the convolution's stride */
    const float *weights;  /* (taps, 16) */
    size_t taps, pixels;
};

/* out[pixel][o] = sum over blocks and lanes of in[offsets[block] + pixel * pixel_stride + lane] *
 * weights[block][o][lane]; the other lanes of a line become 0. */
struct narrow {
    const float *in;
    const size_t *offsets; /* floats */
    size_t pixel_stride;   /* floats: 16 x the convolution's stride */
    const float *weights;  /* (blocks, outputs, 16) */
    size_t block_count;
    size_t outputs; /* 1..NARROW_OUTPUTS */
    size_t pixels;
};

/* A row of tiles of Winograd's F(m x m, 3 x 3): m x m outputs each, made of (m + 2) x (m + 2) points. */
struct winograd_tiles {
    size_t m; /* 2, 4 or 6 */
    size_t count;
    float *points;       /* of the first tile; the next is a line further */
    size_t point_stride; /* floats */
    size_t row_stride;   /* floats, of the image's rows */
};

struct kernel_set {
    const char *name; /* "avx2", as option isa and the trace name it */
    const char *description;
    bool (*is_supported)(void); /* by this processor */

    size_t gemm_panels; /* of the microkernel's tile: callers keep so many panels of weights in cache at a time */
    void (*gemm)(const struct gemm *gemm);
    /* NULL where it would not be several times as fast as gemm. */
    void (*gemm_bf16)(const struct gemm_bf16 *gemm);

    void (*depthwise)(float *out, const struct depthwise *depthwise);

    void (*narrow)(float *out, const struct narrow *narrow);

    /* points = B^T d B of each tile; `in` is the patch's corner, the next tile's is m lines further. `doubled`: the
     * patch is nearest-upsampled by 2 and begins with a second line: `in` is what it is made of, the next tile's m / 2
     * lines further. Points of row 2 and column 2 are zero then; they are not written. */
    void (*winograd_input)(const struct winograd_tiles *tiles, const float *in, bool doubled);
    /* m rows of count * m lines = A^T points A, through an epilogue (NULL: as they are; its residual is laid out as
     * `out` is, both are floats; no SiLU). `doubled`: points of row 2 and column 2 are zero; they are not read. */
    void (*winograd_output)(const struct winograd_tiles *tiles, float *out, bool doubled,
                            const struct epilogue *epilogue);
    /* One block of weights, (9, 16, 16), as points: (16, 16) each, point_stride floats apart; g is G, (m + 2, 3).
     * `stream`: past the caches. */
    void (*winograd_weights)(float *out, size_t point_stride, const float *in, size_t m, const float (*g)[3],
                             bool stream);

    /* squares += in * in, lane by lane. */
    void (*square_lines)(float *squares, const float *in, size_t count);

    /* count lines of nearest-upsampled (factor >= 1) and changed source lines. `phase` is the first line's place within
     * its run of `factor` equal ones, x % factor. */
    void (*load_lines)(float *out, const void *in, size_t count, size_t factor, size_t phase,
                       const struct prologue *prologue);

    /* count lines through an epilogue; out may be in (as floats), or the residual (stored alike). Residual lines repeat
     * like load_lines'. */
    void (*store_lines)(void *out, const float *in, size_t count, size_t residual_factor, size_t residual_phase,
                        const struct epilogue *epilogue);

    /* Pairs of weights, (pairs, 16, 2), as 2 * pairs lines of floats. */
    void (*widen_pairs)(float *out, const uint16_t *in, size_t pairs);
    /* count lines in bfloat16, each PAIR_LINE numbers further. */
    void (*round_lines)(uint16_t *out, const float *in, size_t count);

    /* Mean and sum of squared deviations of each of the 16 columns over rows of count lines (1 or more of both),
     * row_stride floats apart. */
    void (*moments)(double *mean, double *m2, const float *in, size_t rows, size_t count, size_t row_stride);

    /* One block of keys of a streamed softmax, in place: scores[panel][row][16] become exp(score - new maximum); masked
     * columns (>= key_count) become 0. maximum[row] and sum[row] are updated; scale[row] is what earlier sums and
     * outputs of the row must be multiplied by. */
    void (*softmax_block)(float *scores, float *maximum, float *sum, float *scale, size_t rows, size_t key_count);

    /* lines[panel][row][16] *= scale[row]. */
    void (*scale_rows)(float *lines, const float *scale, size_t rows, size_t panels);
};

/* All variants that this build holds, best first, ending in the portable one; `*count` of them. */
const struct kernel_set *const *kernel_sets(size_t *count);

/* The best variant that this processor supports for "auto", the named one, or NULL where there is no such variant in
 * this build or the processor lacks it. */
const struct kernel_set *kernel_set_choose(const char *isa);

#endif
