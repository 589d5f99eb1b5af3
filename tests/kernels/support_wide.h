/* The kernels with the tile and the vectors of AVX-512, made of whatever this machine has: so that the one variant that
 * most test machines cannot run is tested in all but its instructions. (scripts/test_avx512.sh tests those.) */
#ifndef TESTS_KERNELS_SUPPORT_WIDE_H
#define TESTS_KERNELS_SUPPORT_WIDE_H

#include "kernels/cpu/kernels.h"

extern const struct kernel_set kernel_set_wide;

#endif
