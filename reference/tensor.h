/* Tensors: helpers around the ABI's struct vaemark_tensor. Always contiguous, row-major. */
#ifndef REFERENCE_TENSOR_H
#define REFERENCE_TENSOR_H

#include <stdbool.h>

#include "base/error.h"

/* A shape alone. Rank 0 means "not known". */
struct shape {
    int32_t rank;
    int64_t dims[VAEMARK_MAX_RANK];
};

/* Number of elements; -1 if a dimension is negative or the product overflows int64. */
int64_t shape_element_count(const struct shape *shape);
bool shape_equal(const struct shape *a, const struct shape *b);
/* "1x4x64x64", for ids and messages; returns `text`. */
const char *shape_format(const struct shape *shape, char *text, size_t size_bytes);

size_t dtype_size_bytes(enum vaemark_dtype dtype);
const char *dtype_name(enum vaemark_dtype dtype); /* "F32", as in safetensors */
/* False if there is no such dtype. */
bool dtype_from_name(const char *name, enum vaemark_dtype *dtype);

/* A contiguous tensor over memory that the caller owns. */
struct vaemark_tensor tensor_make(const char *name, enum vaemark_dtype dtype, const struct shape *shape, void *data);
struct shape tensor_shape(const struct vaemark_tensor *tensor);
size_t tensor_size_bytes(const struct vaemark_tensor *tensor);
/* The tensor of that name, or NULL. */
const struct vaemark_tensor *tensors_find(const struct vaemark_tensors *tensors, const char *name);

/* Copies elements [first, first + count) of a tensor of any dtype (also F16, BF16; subnormals, Inf, NaN kept) into
 * floats or doubles; exact wherever the target can hold the value. */
void tensor_read_f32(float *out, const struct vaemark_tensor *tensor, int64_t first, int64_t count);
void tensor_read_f64(double *out, const struct vaemark_tensor *tensor, int64_t first, int64_t count);

#endif
