/* How much memory a worker and all it starts may hold. */
#ifndef HARNESS_WORKER_MEMORY_LIMIT_H
#define HARNESS_WORKER_MEMORY_LIMIT_H

#include "base/error.h"

#define MEMORY_LIMIT_NONE ((uint64_t)INT64_MAX)

/* "4GiB", "512MiB", "1.5GB", a plain number of bytes, or "none". */
enum vaemark_status memory_limit_parse(const char *text, uint64_t *limit_bytes, struct error *error);

/* Four fifths of what the machine and its cgroups have left now, so that a runaway decoder is ended before anything
 * else suffers; at least 256 MiB, and none where the kernel does not tell what is left. */
uint64_t memory_limit_default(void);

#endif
