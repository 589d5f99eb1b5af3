#include "reference/tensor.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size_bytes;
} dtypes[VAEMARK_DTYPE_COUNT] = {
    [VAEMARK_F32] = {"F32", 4},   [VAEMARK_F64] = {"F64", 8}, [VAEMARK_F16] = {"F16", 2},
    [VAEMARK_BF16] = {"BF16", 2}, [VAEMARK_I32] = {"I32", 4}, [VAEMARK_I64] = {"I64", 8},
};

int64_t shape_element_count(const struct shape *shape) {
    int64_t count = 1;
    bool overflows = false;

    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0) {
            return -1;
        }
        if (shape->dims[i] == 0) {
            return 0;
        }
    }
    for (int32_t i = 0; i < shape->rank; i++) {
        overflows |= __builtin_mul_overflow(count, shape->dims[i], &count);
    }
    return overflows ? -1 : count;
}

bool shape_equal(const struct shape *a, const struct shape *b) {
    if (a->rank != b->rank) {
        return false;
    }
    for (int32_t i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) {
            return false;
        }
    }
    return true;
}

const char *shape_format(const struct shape *shape, char *text, size_t size_bytes) {
    size_t used = 0;

    if (shape->rank == 0) {
        snprintf(text, size_bytes, "scalar");
        return text;
    }
    for (int32_t i = 0; i < shape->rank && used < size_bytes; i++) {
        const int wrote =
            snprintf(text + used, size_bytes - used, i == 0 ? "%lld" : "x%lld", (long long)shape->dims[i]);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return text;
}

size_t dtype_size_bytes(enum vaemark_dtype dtype) {
    return (unsigned)dtype < VAEMARK_DTYPE_COUNT ? dtypes[dtype].size_bytes : 0;
}

const char *dtype_name(enum vaemark_dtype dtype) {
    return (unsigned)dtype < VAEMARK_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

bool dtype_from_name(const char *name, enum vaemark_dtype *dtype) {
    for (unsigned i = 0; i < VAEMARK_DTYPE_COUNT; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *dtype = (enum vaemark_dtype)i;
            return true;
        }
    }
    return false;
}

struct vaemark_tensor tensor_make(const char *name, enum vaemark_dtype dtype, const struct shape *shape, void *data) {
    struct vaemark_tensor tensor = {.name = name, .dtype = dtype, .rank = shape->rank, .data = data};
    int64_t stride = 1;

    /* Only ranks that fit are laid out; whoever takes a rank from outside refuses the others. */
    for (int32_t i = shape->rank <= VAEMARK_MAX_RANK ? shape->rank - 1 : -1; i >= 0; i--) {
        tensor.shape[i] = shape->dims[i];
        tensor.strides[i] = stride;
        /* Shapes from outside may be absurd; whoever uses the tensor asks shape_element_count() first. */
        if (__builtin_mul_overflow(stride, shape->dims[i], &stride)) {
            stride = 0;
        }
    }
    return tensor;
}

struct shape tensor_shape(const struct vaemark_tensor *tensor) {
    struct shape shape = {.rank = tensor->rank};

    for (int32_t i = 0; i < tensor->rank && i < VAEMARK_MAX_RANK; i++) {
        shape.dims[i] = tensor->shape[i];
    }
    return shape;
}

size_t tensor_size_bytes(const struct vaemark_tensor *tensor) {
    const struct shape shape = tensor_shape(tensor);
    const int64_t count = shape_element_count(&shape);
    size_t size_bytes;

    if (count < 0 || __builtin_mul_overflow((size_t)count, dtype_size_bytes(tensor->dtype), &size_bytes)) {
        return 0;
    }
    return size_bytes;
}

const struct vaemark_tensor *tensors_find(const struct vaemark_tensors *tensors, const char *name) {
    for (size_t i = 0; i < tensors->count; i++) {
        if (tensors->items[i].name != NULL && strcmp(tensors->items[i].name, name) == 0) {
            return &tensors->items[i];
        }
    }
    return NULL;
}

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
static float float_from_f16(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
    uint32_t bits;
    float number;

    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24, exact in a float */
        number = (float)fraction * 0x1p-24f;
        return sign != 0 ? -number : number;
    }
    bits = sign | (exponent == 31 ? 255u : exponent + 112u) << 23 | fraction << 13;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* bfloat16: the upper half of a binary32. */
static float float_from_bf16(uint16_t half) {
    const uint32_t bits = (uint32_t)half << 16;
    float number;

    memcpy(&number, &bits, sizeof number);
    return number;
}

/* One loop for each dtype; memcpy because a safetensors file does not align its tensors. */
#define TENSOR_READ_LOOP(type, convert)                                       \
    for (int64_t i = 0; i < count; i++) {                                     \
        type element;                                                         \
        memcpy(&element, bytes + (size_t)i * sizeof element, sizeof element); \
        out[i] = convert(element);                                            \
    }                                                                         \
    break

#define TENSOR_READ(real)                                                                      \
    const unsigned char *bytes =                                                               \
        (const unsigned char *)tensor->data + (size_t)first * dtype_size_bytes(tensor->dtype); \
                                                                                               \
    switch (tensor->dtype) {                                                                   \
    case VAEMARK_F32:                                                                          \
        TENSOR_READ_LOOP(float, (real));                                                       \
    case VAEMARK_F64:                                                                          \
        TENSOR_READ_LOOP(double, (real));                                                      \
    case VAEMARK_F16:                                                                          \
        TENSOR_READ_LOOP(uint16_t, (real)float_from_f16);                                      \
    case VAEMARK_BF16:                                                                         \
        TENSOR_READ_LOOP(uint16_t, (real)float_from_bf16);                                     \
    case VAEMARK_I32:                                                                          \
        TENSOR_READ_LOOP(int32_t, (real));                                                     \
    case VAEMARK_I64:                                                                          \
        TENSOR_READ_LOOP(int64_t, (real));                                                     \
    case VAEMARK_DTYPE_COUNT:                                                                  \
        break;                                                                                 \
    }

void tensor_read_f32(float *out, const struct vaemark_tensor *tensor, int64_t first, int64_t count) {
    TENSOR_READ(float)
}

void tensor_read_f64(double *out, const struct vaemark_tensor *tensor, int64_t first, int64_t count) {
    TENSOR_READ(double)
}
