#include "kernels/cpu/pages.h"

#include <stdint.h>
#include <sys/mman.h>

enum { SMALL_PAGE = 4096 };

#define LARGE_PAGE ((uintptr_t)2 << 20)

void pages_touch(void *memory, size_t size_bytes, int threads) {
    char *bytes = memory;
    const uintptr_t begin = ((uintptr_t)memory + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    const uintptr_t end = ((uintptr_t)memory + size_bytes) / LARGE_PAGE * LARGE_PAGE;
    if (begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE); /* a wish: without it all works as well, slower */
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < size_bytes; i += SMALL_PAGE) {
        bytes[i] = 0;
    }
}
