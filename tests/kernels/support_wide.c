#include "tests/kernels/support_wide.h"

#define KERNEL_VARIANT     wide
#define KERNEL_DESCRIPTION "AVX-512's tile on other instructions"
#define VECTOR_LANES       16
#define GEMM_PIXELS        14
#define GEMM_PANELS        2

#include "kernels/cpu/isa/depthwise.c"
#include "kernels/cpu/isa/gemm.c"
#include "kernels/cpu/isa/lines.c"
#include "kernels/cpu/isa/moments.c"
#include "kernels/cpu/isa/narrow.c"
#include "kernels/cpu/isa/set.c"
#include "kernels/cpu/isa/softmax.c"
#include "kernels/cpu/isa/winograd.c"
