/* Blocks that several VAE types share. */
#ifndef REFERENCE_MODELS_BLOCKS_H
#define REFERENCE_MODELS_BLOCKS_H

#include "reference/builder.h"

enum resample { RESAMPLE_NONE = 0, RESAMPLE_UP, RESAMPLE_DOWN };

/* A residual block, diffusers' ResnetBlock2D: norm1, SiLU, conv1, norm2, SiLU, conv2, plus the input, through a 1x1
 * convolution iff the width changes. */
struct resnet {
    int64_t in, out;
    int32_t groups;
    double epsilon;
    value time_embedding;   /* where time_channels > 0: (1, time_channels), behind its SiLU; norm2's scale and shift are
                               made of it */
    int64_t time_channels;  /* 0: no time embedding */
    enum resample resample; /* of branch (behind norm1 and SiLU) and skip alike: nearest x2, or 2x2 means */
};
value resnet_build(struct builder *b, value x, struct resnet resnet, const char *module);

#endif
