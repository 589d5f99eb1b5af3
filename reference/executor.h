/* The reference executor: a graph run node by node, plainly, in FP32 or FP64. The oracle of everything else. */
#ifndef REFERENCE_EXECUTOR_H
#define REFERENCE_EXECUTOR_H

#include "reference/graph.h"

/* The backend "reference" behind the ABI: options precision (fp32, fp64), threads, fuse_qkv, tiling, slicing. fp64
 * answers with an F64 image. */
extern const struct vaemark_backend reference_backend;

#endif
