/* The backend "cpu": compiles a graph to a plan over one arena and runs it with vector kernels, in FP32, in host
 * memory. */
#ifndef KERNELS_CPU_CPU_H
#define KERNELS_CPU_CPU_H

#include "vaemark/decoder.h"

/* Options: precision (fp32), threads (0 = all that this process may use), isa (auto or a kernel set's name), fuse_qkv.
 * Properties: these and fuse_qkv.modules. Images are F32. Deterministic, whatever the number of threads. */
extern const struct vaemark_backend cpu_backend;

#endif
