/* softmax(q k^T / sqrt(C)) v, one head of width C, streamed: a task takes QUERIES queries and walks over all keys,
 * KEYS at a time, with a running maximum and sum (isa/softmax.c). Keys are transposed once, so that they are a
 * product's right-hand side; values are one as they are. Nothing grows with the square of the tokens. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/step.h"

enum {
    QUERIES = 96,
    KEYS = 256,
    CHUNK_BLOCKS = 16 /* blocks of 16 channels a call of the microkernel */
};

/* q, k or v: channels [first, first + C) of an operand; `in_place` where they are whole panels of floats. */
struct part {
    const struct operand *operand;
    size_t first;
    bool in_place;
};

struct attention {
    const struct run *run;
    const struct step *step;
    struct part q, k, v;
    size_t channels, panels, tokens, token_panels;
    size_t image;
    float *keys;   /* (token panels, panels x 16 channels, 16 tokens) */
    float *values; /* (panels, tokens, 16), where v is not used in place */
};

/* One input packs q, k and v; three are separate. */
static struct part part_of(const struct step *step, size_t index) {
    const size_t channels = step->output.channels;
    const struct operand *operand = &step->inputs[step->input_count == 3 ? index : 0];
    const size_t first = step->input_count == 3 ? 0 : index * channels;
    return (struct part){operand, first, operand_is_floats(operand) && first % PANEL == 0};
}

static size_t keys_floats(const struct step *step) {
    const size_t tokens = operand_pixels(&step->output);
    return panel_count(tokens) * panel_count(step->output.channels) * PANEL * PANEL;
}

static size_t values_floats(const struct step *step) {
    return part_of(step, 2).in_place ? 0 : panel_count(step->output.channels) * operand_pixels(&step->output) * PANEL;
}

/* A thread's queries, sums and one block of scores; maximum, sum and scale of each query; offsets of blocks. */
struct scratch {
    float *queries, *sums, *scores, *maximum, *sum, *scale;
    size_t *channel_offsets, *key_offsets;
};

enum { SCRATCH_PARTS = 8 };

/* Where the parts begin, in floats; returns where they end. */
static size_t find_scratch(size_t at[SCRATCH_PARTS], size_t panels) {
    const size_t lines = QUERIES * PANEL, offsets = divide_up(panels * sizeof(size_t), LINE_BYTES) * PANEL;
    const size_t key_offsets = divide_up(KEYS / PANEL * sizeof(size_t), LINE_BYTES) * PANEL;
    const size_t sizes[SCRATCH_PARTS] = {panels * lines, panels * lines, KEYS / PANEL * lines, QUERIES, QUERIES,
                                         QUERIES,        offsets,        key_offsets};
    size_t end = 0;
    for (size_t i = 0; i < SCRATCH_PARTS; i++) {
        at[i] = end;
        end += sizes[i];
    }
    return end;
}

static struct scratch place_scratch(float *memory, size_t panels) {
    size_t at[SCRATCH_PARTS];
    find_scratch(at, panels);
    return (struct scratch){.queries = memory + at[0],
                            .sums = memory + at[1],
                            .scores = memory + at[2],
                            .maximum = memory + at[3],
                            .sum = memory + at[4],
                            .scale = memory + at[5],
                            .channel_offsets = (size_t *)(memory + at[6]),
                            .key_offsets = (size_t *)(memory + at[7])};
}

static void attention_plan(struct step *step, int threads, struct step_workspace *workspace) {
    (void)threads;
    workspace->shared_bytes = (keys_floats(step) + values_floats(step)) * sizeof(float);
    size_t at[SCRATCH_PARTS];
    workspace->thread_bytes = find_scratch(at, panel_count(step->output.channels)) * sizeof(float);
}

/* Tokens [first, first + count) of one panel of a part, channels beyond C as zeros. */
static void copy_lines(float *out, const struct attention *a, const struct part *part, size_t panel, size_t first,
                       size_t count) {
    operand_load_channels(out, a->run, part->operand, a->image, part->first + panel * PANEL, part->first + a->channels,
                          first, count);
}

/* Sixteen tokens of k as columns; columns beyond the tokens are zero. */
static void transpose_keys(const struct attention *a, size_t token_panel) {
    float lines[PANEL * PANEL] __attribute__((aligned(LINE_BYTES)));
    const size_t first = token_panel * PANEL;
    const size_t count = a->tokens - first < PANEL ? a->tokens - first : PANEL;
    memset(lines, 0, sizeof lines);
    for (size_t panel = 0; panel < a->panels; panel++) {
        float *out = a->keys + (token_panel * a->panels + panel) * PANEL * PANEL;
        copy_lines(lines, a, &a->k, panel, first, count);
        for (size_t lane = 0; lane < PANEL; lane++) {
            for (size_t token = 0; token < PANEL; token++) {
                out[lane * PANEL + token] = lines[token * PANEL + lane];
            }
        }
    }
}

static void prepare_keys_and_values(const struct attention *a) {
#pragma omp parallel for num_threads(a->run->threads) schedule(static)
    for (size_t i = 0; i < a->token_panels; i++) {
        transpose_keys(a, i);
    }
    if (!a->v.in_place) {
#pragma omp parallel for num_threads(a->run->threads) schedule(static)
        for (size_t panel = 0; panel < a->panels; panel++) {
            copy_lines(a->values + panel * a->tokens * PANEL, a, &a->v, panel, 0, a->tokens);
        }
    }
}

/* scores (key panels, queries, 16) = q k^T */
static void multiply_keys(const struct attention *a, const struct scratch *s, size_t queries, size_t first_key,
                          size_t key_panels) {
    struct gemm gemm = {
        .c = s->scores,
        .c_panel_stride = queries * PANEL,
        .a = s->queries,
        .a_pixel_stride = PANEL,
        .b_panel_stride = a->panels * PANEL * PANEL,
        .depth = a->channels < PANEL ? a->channels : PANEL,
        .pixels = queries,
        .panels = key_panels,
    };
    const float *keys = a->keys + first_key / PANEL * gemm.b_panel_stride;
    for (size_t panel = 0; panel < a->panels; panel += CHUNK_BLOCKS) {
        gemm.block_count = a->panels - panel < CHUNK_BLOCKS ? a->panels - panel : CHUNK_BLOCKS;
        gemm.a_offsets = s->channel_offsets + panel;
        gemm.b = keys + panel * PANEL * PANEL;
        gemm.accumulate = panel > 0;
        a->run->kernels->gemm(&gemm);
    }
}

/* sums (panels, queries, 16) += scores v; the last keys may be less than a block of 16. */
static void multiply_values(const struct attention *a, const struct scratch *s, size_t queries, size_t first_key,
                            size_t key_count) {
    struct gemm gemm = {
        .c = s->sums,
        .c_panel_stride = queries * PANEL,
        .a = s->scores,
        .a_offsets = s->key_offsets,
        .a_pixel_stride = PANEL,
        .b_panel_stride = a->tokens * PANEL,
        .block_count = key_count / PANEL,
        .depth = PANEL,
        .pixels = queries,
        .panels = a->panels,
        .accumulate = true,
    };
    const float *values = a->values;
    if (a->v.in_place) {
        values = operand_pixel(a->run, a->v.operand, a->image, a->v.first / PANEL, 0);
    }
    gemm.b = values + first_key * PANEL;
    if (gemm.block_count > 0) {
        a->run->kernels->gemm(&gemm);
    }
    if (key_count % PANEL > 0) {
        gemm.a_offsets += gemm.block_count;
        gemm.b += gemm.block_count * PANEL * PANEL;
        gemm.block_count = 1;
        gemm.depth = key_count % PANEL;
        a->run->kernels->gemm(&gemm);
    }
}

static void load_queries(const struct attention *a, const struct scratch *s, size_t first, size_t count) {
    const float scale = (float)(1.0 / sqrt((double)a->channels));
    for (size_t i = 0; i < count; i++) {
        s->scale[i] = scale;
        s->maximum[i] = -INFINITY;
        s->sum[i] = 0.0f;
    }
    for (size_t panel = 0; panel < a->panels; panel++) {
        s->channel_offsets[panel] = panel * count * PANEL;
        copy_lines(s->queries + panel * count * PANEL, a, &a->q, panel, first, count);
    }
    for (size_t i = 0; i < KEYS / PANEL; i++) {
        s->key_offsets[i] = i * count * PANEL;
    }
    a->run->kernels->scale_rows(s->queries, s->scale, count, a->panels);
    memset(s->sums, 0, a->panels * count * LINE_BYTES);
}

static void answer_queries(const struct attention *a, size_t first) {
    const struct kernel_set *kernels = a->run->kernels;
    const size_t count = a->tokens - first < QUERIES ? a->tokens - first : QUERIES;
    const struct scratch s = place_scratch(run_thread_workspace(a->run, a->step), a->panels);
    load_queries(a, &s, first, count);
    for (size_t key = 0; key < a->tokens; key += KEYS) {
        const size_t keys = a->tokens - key < KEYS ? a->tokens - key : KEYS;
        multiply_keys(a, &s, count, key, panel_count(keys));
        kernels->softmax_block(s.scores, s.maximum, s.sum, s.scale, count, keys);
        if (key > 0) {
            kernels->scale_rows(s.sums, s.scale, count, a->panels);
        }
        multiply_values(a, &s, count, key, keys);
    }
    for (size_t i = 0; i < count; i++) {
        s.scale[i] = 1.0f / s.sum[i];
    }
    kernels->scale_rows(s.sums, s.scale, count, a->panels);
    for (size_t panel = 0; panel < a->panels; panel++) {
        operand_write(a->run, &a->step->output, a->image, panel, first, s.sums + panel * count * PANEL, count);
    }
}

static void attention_run(const struct run *run, const struct step *step) {
    struct attention a = {
        .run = run,
        .step = step,
        .q = part_of(step, 0),
        .k = part_of(step, 1),
        .v = part_of(step, 2),
        .channels = step->output.channels,
        .panels = panel_count(step->output.channels),
        .tokens = operand_pixels(&step->output),
        .keys = run_shared_workspace(run),
    };
    a.token_panels = panel_count(a.tokens);
    a.values = a.keys + keys_floats(step);
    for (a.image = 0; a.image < step->output.images; a.image++) {
        prepare_keys_and_values(&a);
#pragma omp parallel for num_threads(run->threads) schedule(dynamic)
        for (size_t first = 0; first < a.tokens; first += QUERIES) {
            answer_queries(&a, first);
        }
    }
}

const struct step_type step_attention = {
    .kernel = "attention_panel", .reduces = true, .plan = attention_plan, .run = attention_run};
