/* Steps: what a plan executes, one after the other. A step reads operands and writes one buffer of the arena.
 *
 * An operand is a value as its reader sees it. What can be applied while a value is loaded (the scale and shift of a
 * group norm, an activation, nearest upsampling, the join of two values along channels) is never materialised: it is
 * part of the operand, and each step's loader applies it. */
#ifndef KERNELS_CPU_STEP_H
#define KERNELS_CPU_STEP_H

#include <stdint.h>

#include "kernels/cpu/arena.h"
#include "kernels/cpu/kernels.h"
#include "reference/graph.h"

/* Panels [first_panel, first_panel + panels) of each image of a buffer that has image_panels. */
struct segment {
    int32_t buffer;
    size_t first_panel, panels, image_panels;
    enum storage storage;
};

/* A value (N,C,H,W) as stored, (images, panels, height, width, 16), and what becomes of it while it is read. */
struct operand {
    struct segment segments[2]; /* joined along channels; all but the last are whole panels */
    int32_t segment_count;
    size_t images, channels, height, width; /* before upsampling */
    size_t upsample;                        /* nearest, 1 or more */
    int32_t coefficients;                   /* buffer of (images, panels, 3, 16), see struct prologue; -1: none */
    bool pixel_scales; /* behind the coefficients, (images, pixels) numbers by which lines are scaled before */
    enum activation activation;
    size_t ring_rows; /* the buffer holds so many rows of one image, row y in place y % ring_rows; 0: all rows of all */
};

struct run;
struct step;
struct conv2d_task;

/* Scratch of a step while it runs, in the arena: one part for all threads, one for each. Multiples of 64 bytes. */
struct step_workspace {
    size_t shared_bytes, thread_bytes;
};

struct step_type {
    const char *kernel;   /* "attention_panel"; the trace adds the instruction set */
    bool reduces;         /* its outputs are sums over many inputs: numbers that 16 bits may hold */
    bool coefficients;    /* it writes coefficients of struct prologue, not lines */
    bool residual_inside; /* the output may take the place of a residual that dies here */
    bool input_inside;    /* ... or of an input: the step reads a line before it writes it, and nothing after */
    /* ... or of an input that is larger: the step reads all channels of a pixel before it writes any. May be NULL. */
    bool (*pixel_inside)(const struct step *step);
    /* Chooses blocks, with which no sum may change its order (results do not depend on threads), and says what scratch
     * they need. */
    void (*plan)(struct step *step, int threads, struct step_workspace *workspace);
    void (*run)(const struct run *run, const struct step *step);
    /* Parts in which the step sums each channel of what it stores, where a norm wants that (moments.h); NULL: it does
     * not. A step with a moments_buffer does. */
    size_t (*moments_parts)(const struct step *step);
    /* The same in parts: what comes before all rows (may be NULL), and rows [first, end) of an image; first is a
     * multiple of the blocks' rows. NULL where the step cannot; has_rows tells of this very one. */
    void (*begin)(const struct run *run, const struct step *step);
    bool (*has_rows)(const struct step *step);
    void (*run_rows)(const struct run *run, const struct step *step, size_t image, size_t first, size_t end);
    /* Of convolutions: what a thread does with a task, load, compute, store (conv2d.h). */
    void (*work)(struct conv2d_task *task);
};

extern const struct step_type step_pack, step_unpack, step_conv2d, step_conv2d_winograd, step_conv2d_bf16,
    step_conv2d_narrow, step_conv2d_grouped, step_conv2d_depthwise, step_group_norm, step_affine, step_scale_shift,
    step_batch_norm, step_rms_norm, step_elementwise, step_tanh_clamp, step_clamp, step_multiply, step_mix,
    step_avg_pool, step_subsample, step_channels_to_space, step_gather, step_embedding, step_lookup, step_quantize,
    step_attention, step_linear_attention;

/* Blocks of a convolution's outputs: a task computes block_panels panels of block_rows x block_columns pixels. */
struct conv2d_step {
    size_t kernel_height, kernel_width, stride, padding, groups;
    size_t in_height, in_width, out_height, out_width; /* as computed: 1x1 kernels see one long row */
    size_t block_rows, block_columns, block_panels;
    size_t in_panels;    /* of the input that an output reads: all of them, or its group's */
    size_t chunk_panels; /* input panels reduced by one call of the microkernel */
    size_t winograd;     /* m of F(m x m, 3 x 3), where the step is step_conv2d_winograd */
    size_t pass_panels;  /* of outputs whose points are in flight at a time */
    size_t tile_panels;  /* of outputs that the microkernel computes at a time */
    bool own_weights;    /* Winograd's: each task transforms weights itself */
};

struct step {
    const struct step_type *type;
    const char *module, *op;   /* the graph's */
    char kernel[48], why[128]; /* why: that algorithm, for people; may be empty */
    uint64_t flops, bytes;

    struct operand inputs[3];
    int32_t input_count;
    struct operand output;       /* plain */
    const float *weight, *bias;  /* packed, or NULL */
    const uint16_t *weight_bf16; /* the weight, where it is packed in bfloat16 */
    struct operand residual;     /* activation(alpha * result + beta * residual); segment_count 0: none */
    float alpha, beta;
    enum activation activation;
    struct step_workspace workspace;
    int32_t shared_buffer, thread_buffer; /* of the scratch; -1: none */
    int32_t moments_buffer;               /* sums of channels, that a convolution leaves to a norm; -1: none */
    size_t moments_parts;
    bool banded; /* part of a group of bands */

    union {
        struct conv2d_step conv2d;
        struct {
            size_t groups;
            double epsilon;
        } group_norm;
        struct {
            const double *scale, *shift;
            size_t count;
        } affine;
        struct {
            const float *mean, *variance;
            double epsilon;
        } batch_norm;
        struct {
            double epsilon, floor;
        } rms_norm;
        struct {
            size_t head_channels;
            double epsilon;
        } linear_attention;
        struct {
            float low, high;
        } clamp;
        struct {
            size_t factor, by_channel, by_row, by_column, offset, divisor;
        } channels_to_space;
        struct {
            size_t rows;
        } quantize;
        double limit;         /* tanh_clamp */
        size_t factor;        /* subsample */
        size_t first_channel; /* gather: of the first input */
        size_t row;           /* embedding */
        const char *name;     /* pack: the graph input's */
    };
};

/* What a running step sees. */
struct run {
    const struct kernel_set *kernels;
    int threads;
    const struct arena_block *buffers;
    char *arena, *shared_workspace, *thread_workspace, *moments;
    const struct vaemark_tensors *inputs;
    float *image; /* (N,C,H,W) of the result */
};

static inline size_t panel_count(size_t channels) {
    return (channels + PANEL - 1) / PANEL;
}

static inline size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static inline size_t at_most(size_t limit, size_t value) {
    return value < limit ? value : limit;
}

static inline size_t operand_pixels(const struct operand *operand) {
    return operand->height * operand->width;
}

/* Nothing to apply while reading, one segment. */
bool operand_is_plain(const struct operand *operand);
/* ... and floats, so that operand_pixel() and operand_line() are pointers to such. */
bool operand_is_floats(const struct operand *operand);
enum storage operand_storage(const struct operand *operand, size_t panel);
/* The line, as stored, of a pixel: row by row, of an operand that is no ring; or of any. */
void *operand_pixel(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t pixel);
void *operand_line(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t y,
                   size_t x);
/* Whether rows [y, y + rows) as stored lie one behind the other. */
bool operand_rows_together(const struct operand *operand, size_t y, size_t rows);
/* What the loader must apply to that panel's lines. */
struct prologue operand_prologue(const struct run *run, const struct operand *operand, size_t image, size_t panel);
/* count lines of row y from column x (both as the reader sees them, after upsampling) into out. */
void operand_load(float *out, const struct run *run, const struct operand *operand, size_t image, size_t panel,
                  size_t y, size_t x, size_t count);

/* count lines from a pixel on, with nothing applied: where they are stored if they are floats, or copied to `scratch`.
 */
const float *operand_read(float *scratch, const struct run *run, const struct operand *operand, size_t image,
                          size_t panel, size_t pixel, size_t count);
/* ... and into the operand. */
void operand_write(const struct run *run, const struct operand *operand, size_t image, size_t panel, size_t pixel,
                   const float *lines, size_t count);

/* The coefficients in `buffer` of a panel of `value`, (3, 16). */
float *operand_coefficients(const struct run *run, const struct operand *value, int32_t buffer, size_t image,
                            size_t panel);
/* The scales of an image's pixels. */
float *operand_pixel_scales(const struct run *run, const struct operand *operand, size_t image);
/* count lines from pixel `pixel` of channels [first + 16 panel, ...) below `end`, which need not fall on panels; zeros
 * from `end` on. Of an operand that is stored as it is read. */
void operand_load_channels(float *out, const struct run *run, const struct operand *operand, size_t image, size_t first,
                           size_t end, size_t pixel, size_t count);

/* The parts of the workspace. */
void *run_shared_workspace(const struct run *run);
void *run_thread_workspace(const struct run *run, const struct step *step);

#endif
