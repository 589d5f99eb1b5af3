/* The reference executor: a graph run node by node, plainly, in FP32 or FP64. The oracle of everything else. */
#ifndef REFERENCE_EXECUTOR_H
#define REFERENCE_EXECUTOR_H

#include "reference/graph.h"

/* The backend "reference" behind the ABI: options precision (fp32, fp64), threads, fuse_qkv, tiling, slicing. fp64
 * answers with an F64 image. */
extern const struct vaemark_backend reference_backend;

/* What the reference means, as a number. It is part of the key that reference images are kept under, so raise it
 * whenever the same graph, weights, inputs and options give images that differ by more than the rounding of another
 * compiler: an op's formula, a constant, the order of tiles, how tensor names find their parameters, the precision that
 * sums are kept in. tests/reference/test_version.c holds it: it fails when figures change and the number does not. */
enum { REFERENCE_VERSION = 1 };

#endif
