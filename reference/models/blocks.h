/* Blocks that several VAE types share. */
#ifndef REFERENCE_MODELS_BLOCKS_H
#define REFERENCE_MODELS_BLOCKS_H

#include "reference/builder.h"

enum resample { RESAMPLE_NONE = 0, RESAMPLE_UP, RESAMPLE_DOWN };

/* A group norm, with weights of its own or, of VQModel's type "spatial" (Zheng et al. 2022, MoVQ), modulated by the
 * condition at every pixel. */
struct norm {
    int32_t groups;
    double epsilon;
    value condition;            /* spatial: (N,condition_channels,H,W) */
    int64_t condition_channels; /* 0: plain */
    int32_t condition_scale;    /* the normalised value is so many times as large as the condition */
};
value norm_build(struct builder *b, value x, int64_t channels, const struct norm *norm, const char *module);

/* Attention of one head as wide as the channels, behind a norm; the residual is the input before it. */
struct attention_block {
    int64_t channels;
    struct norm norm;
    const char *norm_leaf, *out_leaf; /* "group_norm", "to_out.0" */
};
value attention_block_build(struct builder *b, value x, struct attention_block block, const char *module);

/* A residual block, diffusers' ResnetBlock2D: norm1, SiLU, conv1, norm2, SiLU, conv2, plus the input, through a 1x1
 * convolution iff the width changes. */
struct resnet {
    int64_t in, out;
    struct norm norm;
    value time_embedding;   /* where time_channels > 0: (1, time_channels), behind its SiLU; norm2's scale and shift are
                               made of it */
    int64_t time_channels;  /* 0: no time embedding */
    enum resample resample; /* of branch (behind norm1 and SiLU) and skip alike: nearest x2, or 2x2 means */
};
value resnet_build(struct builder *b, value x, struct resnet resnet, const char *module);

#endif
