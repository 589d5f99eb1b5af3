/* The tiles of AMX, imitated: between begin and end, an instruction of AMX that this processor or its kernel does not
 * know is done by a signal handler, in memory. One thread. */
#ifndef TESTS_KERNELS_SUPPORT_TILES_H
#define TESTS_KERNELS_SUPPORT_TILES_H

#include <stdbool.h>
#include <stddef.h>

/* False where there is nothing to imitate them on: not x86-64 with AVX2. */
bool support_tiles_begin(void);
/* How many products of tiles were imitated: 0 on a processor that has them. */
size_t support_tiles_end(void);

#endif
