/* The precision that an op is being compiled for, and the mathematics in it (tgmath.h: exp() of a float is expf()). */
#ifndef REFERENCE_OPS_REAL_H
#define REFERENCE_OPS_REAL_H

#include <tgmath.h>

#include "reference/ops/ops.h"

#if REFERENCE_BITS == 32
typedef float real;
#define REAL_NAME(name) name##_fp32
#elif REFERENCE_BITS == 64
typedef double real;
#define REAL_NAME(name) name##_fp64
#else
#error "REFERENCE_BITS must be 32 or 64"
#endif

/* Every op's entry point, in this precision. */
void REAL_NAME(conv2d)(const struct op_call *call);
size_t REAL_NAME(conv2d_scratch_size_bytes)(const struct op_call *call);
void REAL_NAME(linear)(const struct op_call *call);
size_t REAL_NAME(linear_scratch_size_bytes)(const struct op_call *call);
void REAL_NAME(attention)(const struct op_call *call);
size_t REAL_NAME(attention_scratch_size_bytes)(const struct op_call *call);
void REAL_NAME(group_norm)(const struct op_call *call);
void REAL_NAME(silu)(const struct op_call *call);
void REAL_NAME(relu)(const struct op_call *call);
void REAL_NAME(tanh_clamp)(const struct op_call *call);
void REAL_NAME(add)(const struct op_call *call);
void REAL_NAME(affine)(const struct op_call *call);
void REAL_NAME(scale_shift)(const struct op_call *call);
void REAL_NAME(upsample_nearest)(const struct op_call *call);
void REAL_NAME(avg_pool)(const struct op_call *call);
void REAL_NAME(concat)(const struct op_call *call);
void REAL_NAME(slice)(const struct op_call *call);
void REAL_NAME(embedding)(const struct op_call *call);
void REAL_NAME(linear_attention)(const struct op_call *call);
size_t REAL_NAME(linear_attention_scratch_size_bytes)(const struct op_call *call);
void REAL_NAME(rms_norm)(const struct op_call *call);
void REAL_NAME(batch_norm)(const struct op_call *call);
void REAL_NAME(multiply)(const struct op_call *call);
void REAL_NAME(mix)(const struct op_call *call);
void REAL_NAME(clamp)(const struct op_call *call);
void REAL_NAME(subsample)(const struct op_call *call);
void REAL_NAME(channels_to_space)(const struct op_call *call);
void REAL_NAME(lookup)(const struct op_call *call);
void REAL_NAME(quantize)(const struct op_call *call);

/* Pixels of (N,C,H,W), or 1 of (N,C). */
static inline int64_t plane_size(const struct shape *shape) {
    int64_t size = 1;

    for (int32_t axis = 2; axis < shape->rank; axis++) {
        size *= shape->dims[axis];
    }
    return size;
}

static inline int64_t min_int64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

#endif
