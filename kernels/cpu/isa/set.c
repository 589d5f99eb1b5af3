/* One row of the kernel table. */
#include "kernels/cpu/isa/isa.h"

#define NAME_OF(x)       #x
#define NAME_EXPANDED(x) NAME_OF(x)

/* __builtin_cpu_supports takes literals and knows whether the operating system saves the registers. */
static bool is_supported(void) {
#if defined(__x86_64__) && defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#elif defined(__x86_64__) && defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
#else
    return true;
#endif
}

#define ROW(row_name, text, supported, product_bf16)                                                                   \
    {                                                                                                                  \
        .name = row_name, .description = text, .is_supported = supported, .gemm_panels = GEMM_PANELS,                  \
        .gemm = VARIANT(gemm_panel), .gemm_bf16 = product_bf16, .depthwise = VARIANT(depthwise),                       \
        .narrow = VARIANT(narrow), .winograd_input = VARIANT(winograd_input),                                          \
        .winograd_output = VARIANT(winograd_output), .winograd_weights = VARIANT(winograd_weights),                    \
        .square_lines = VARIANT(square_lines), .load_lines = VARIANT(load_lines), .store_lines = VARIANT(store_lines), \
        .widen_pairs = VARIANT(widen_pairs), .round_lines = VARIANT(round_lines), .moments = VARIANT(moments),         \
        .softmax_block = VARIANT(softmax_block), .scale_rows = VARIANT(scale_rows),                                    \
    }

#ifndef KERNEL_GEMM_BF16
#define KERNEL_GEMM_BF16 NULL
#endif

const struct kernel_set VARIANT(kernel_set) = ROW(NAME_EXPANDED(KERNEL_VARIANT), KERNEL_DESCRIPTION, is_supported,
                                                  KERNEL_GEMM_BF16);

/* Tiles are beside the vectors of AVX-512: a row of its own with the same kernels but one. */
#if defined(__x86_64__) && defined(__AVX512F__)
const struct kernel_set kernel_set_amx =
    ROW("amx", "AVX-512, and in precision bf16 the tiles of AMX", amx_is_supported, gemm_bf16_amx);
#endif
