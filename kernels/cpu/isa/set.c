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

const struct kernel_set VARIANT(kernel_set) = {
    .name = NAME_EXPANDED(KERNEL_VARIANT),
    .description = KERNEL_DESCRIPTION,
    .is_supported = is_supported,
    .gemm_panels = GEMM_PANELS,
    .gemm = VARIANT(gemm_panel),
    .depthwise = VARIANT(depthwise),
    .narrow = VARIANT(narrow),
    .winograd_input = VARIANT(winograd_input),
    .winograd_output = VARIANT(winograd_output),
    .winograd_weights = VARIANT(winograd_weights),
    .square_lines = VARIANT(square_lines),
    .load_lines = VARIANT(load_lines),
    .store_lines = VARIANT(store_lines),
    .moments = VARIANT(moments),
    .softmax_block = VARIANT(softmax_block),
    .scale_rows = VARIANT(scale_rows),
};
