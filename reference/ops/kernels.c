/* The table of ops in one precision. */
#include "reference/ops/real.h"

#define TEXT_OF(name) #name
#define TEXT(name)    TEXT_OF(name)
/* The entry of an op that needs no scratch, and of one that does. */
#define KERNEL(op) \
    { .name = TEXT(REAL_NAME(op)), .run = REAL_NAME(op) }
#define KERNEL_SCRATCH(op) \
    { .name = TEXT(REAL_NAME(op)), .run = REAL_NAME(op), .scratch_size_bytes = REAL_NAME(op##_scratch_size_bytes) }

const struct op_kernel REAL_NAME(op_kernels)[OP_COUNT] = {
    [OP_CONV2D] = KERNEL_SCRATCH(conv2d),
    [OP_LINEAR] = KERNEL_SCRATCH(linear),
    [OP_GROUP_NORM] = KERNEL(group_norm),
    [OP_SILU] = KERNEL(silu),
    [OP_RELU] = KERNEL(relu),
    [OP_TANH_CLAMP] = KERNEL(tanh_clamp),
    [OP_ADD] = KERNEL(add),
    [OP_AFFINE] = KERNEL(affine),
    [OP_SCALE_SHIFT] = KERNEL(scale_shift),
    [OP_UPSAMPLE_NEAREST] = KERNEL(upsample_nearest),
    [OP_AVG_POOL] = KERNEL(avg_pool),
    [OP_CONCAT] = KERNEL(concat),
    [OP_SLICE] = KERNEL(slice),
    [OP_EMBEDDING] = KERNEL(embedding),
    [OP_ATTENTION] = KERNEL_SCRATCH(attention),
    [OP_LINEAR_ATTENTION] = KERNEL_SCRATCH(linear_attention),
    [OP_RMS_NORM] = KERNEL(rms_norm),
    [OP_BATCH_NORM] = KERNEL(batch_norm),
    [OP_MULTIPLY] = KERNEL(multiply),
    [OP_MIX] = KERNEL(mix),
    [OP_CLAMP] = KERNEL(clamp),
    [OP_SUBSAMPLE] = KERNEL(subsample),
    [OP_CHANNELS_TO_SPACE] = KERNEL(channels_to_space),
    [OP_LOOKUP] = KERNEL(lookup),
    [OP_QUANTIZE] = KERNEL(quantize),
};
