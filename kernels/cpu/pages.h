/* Memory that is there before it is timed. */
#ifndef KERNELS_CPU_PAGES_H
#define KERNELS_CPU_PAGES_H

#include <stddef.h>

/* Asks for large pages and writes to each page, so that the first decode faults none in: what was there is lost. */
void pages_touch(void *memory, size_t size_bytes, int threads);

#endif
