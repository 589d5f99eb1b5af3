/* What a variant is made of; isa/set.c gathers it. Every file of this folder is compiled once for each variant, with
 * KERNEL_VARIANT set to its name. */
#ifndef KERNELS_CPU_ISA_ISA_H
#define KERNELS_CPU_ISA_ISA_H

#include "kernels/cpu/isa/vector.h"

void VARIANT(gemm_panel)(const struct gemm *g);
void VARIANT(depthwise)(float *out, const struct depthwise *depthwise);
void VARIANT(narrow)(float *out, const struct narrow *n);
void VARIANT(winograd_input)(const struct winograd_tiles *tiles, const float *in, bool doubled);
void VARIANT(winograd_output)(const struct winograd_tiles *tiles, float *out, bool doubled,
                              const struct epilogue *epilogue);
void VARIANT(winograd_weights)(float *out, size_t point_stride, const float *in, size_t m, const float (*g)[3],
                               bool stream);
void VARIANT(square_lines)(float *squares, const float *in, size_t count);
void VARIANT(load_lines)(float *out, const void *in, size_t count, size_t factor, size_t phase,
                         const struct prologue *prologue);
void VARIANT(store_lines)(void *out, const float *in, size_t count, size_t residual_factor, size_t residual_phase,
                          const struct epilogue *epilogue);
void VARIANT(widen_pairs)(float *out, const uint16_t *in, size_t pairs);
void VARIANT(round_lines)(uint16_t *out, const float *in, size_t count);
void VARIANT(moments)(double *mean, double *m2, const float *in, size_t rows, size_t count, size_t row_stride);
void VARIANT(softmax_block)(float *scores, float *maximum, float *sum, float *scale, size_t rows, size_t key_count);
void VARIANT(scale_rows)(float *lines, const float *scale, size_t rows, size_t panels);

/* Beside the variant for AVX-512 (isa/tiles.c). */
bool amx_is_supported(void);
void gemm_bf16_amx(const struct gemm_bf16 *gemm);

extern const struct kernel_set VARIANT(kernel_set);
extern const struct peak_kernels VARIANT(peak_kernels);

#endif
