#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "reference/tensor.h"

static float float_of_bits(uint32_t bits) {
    float number;

    memcpy(&number, &bits, sizeof number);
    return number;
}

/* Every one of the 65536 halves, against what the standard says of its bits. */
Test(tensor, reads_every_f16) {
    const struct shape shape = {.rank = 1, .dims = {1}};

    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        const struct vaemark_tensor tensor = tensor_make("x", VAEMARK_F16, &shape, &half);
        const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
        double expected = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25), wide;
        float narrow;

        expected = exponent < 31 ? expected : fraction == 0 ? INFINITY : NAN;
        expected = bits >> 15 ? -expected : expected;
        tensor_read_f32(&narrow, &tensor, 0, 1);
        tensor_read_f64(&wide, &tensor, 0, 1);
        if (isnan(expected)) {
            cr_assert(isnan(narrow) && isnan(wide), "%x", bits);
        } else {
            cr_assert(wide == expected && (double)narrow == expected && !signbit(wide) == !signbit(expected), "%x",
                      bits);
        }
    }
}

Test(tensor, reads_bf16_as_the_upper_half_of_a_float) {
    uint16_t halves[] = {0x3f80, 0xc049, 0x0001, 0x7f80, 0x7fc1, 0x8000};
    const struct shape shape = {.rank = 1, .dims = {6}};
    const struct vaemark_tensor tensor = tensor_make("x", VAEMARK_BF16, &shape, halves);
    float numbers[6];

    tensor_read_f32(numbers, &tensor, 0, 6);
    for (int i = 0; i < 6; i++) {
        const float expected = float_of_bits((uint32_t)halves[i] << 16);
        cr_expect_arr_eq(&numbers[i], &expected, sizeof expected);
    }
}

/* A part from the middle, of data at an odd address (safetensors does not align), of every other dtype. */
Test(tensor, reads_parts_of_unaligned_data) {
    unsigned char bytes[1 + 4 * 8];
    const struct shape shape = {.rank = 2, .dims = {2, 2}};
    const double f64[] = {1, -2, 0x1p-1070, 4};
    const float f32[] = {1, -2, 0.5f, 4};
    const int32_t i32[] = {1, -2, INT32_MIN, 4};
    const int64_t i64[] = {1, -2, 1 << 24, 4};
    const struct {
        enum vaemark_dtype dtype;
        const void *data;
        double third;
    } trials[] = {{VAEMARK_F64, f64, 0x1p-1070},
                  {VAEMARK_F32, f32, 0.5},
                  {VAEMARK_I32, i32, INT32_MIN},
                  {VAEMARK_I64, i64, 1 << 24}};

    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        const struct vaemark_tensor tensor = tensor_make("x", trials[i].dtype, &shape, bytes + 1);
        double numbers[2];
        float narrow[2];
        memcpy(bytes + 1, trials[i].data, tensor_size_bytes(&tensor));
        tensor_read_f64(numbers, &tensor, 1, 2);
        tensor_read_f32(narrow, &tensor, 1, 2);
        cr_expect(numbers[0] == -2 && numbers[1] == trials[i].third);
        cr_expect(narrow[0] == -2 && narrow[1] == (float)trials[i].third);
    }
}

Test(tensor, counts_elements_and_notices_overflow) {
    const struct {
        struct shape shape;
        int64_t count;
    } trials[] = {
        {{.rank = 0}, 1},
        {{.rank = 3, .dims = {2, 3, 4}}, 24},
        {{.rank = 2, .dims = {70000, 70000}}, 4900000000},
        {{.rank = 2, .dims = {-1, 3}}, -1},
        {{.rank = 3, .dims = {INT64_MAX, 2, 0}}, 0},
        {{.rank = 2, .dims = {INT64_MAX / 2, 3}}, -1},
    };
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        cr_expect_eq(shape_element_count(&trials[i].shape), trials[i].count, "trial %zu", i);
    }
    const struct shape vast = {.rank = 2, .dims = {INT64_MAX / 4, 3}}; /* counts, but not in bytes */
    const struct vaemark_tensor tensor = tensor_make("x", VAEMARK_F64, &vast, NULL);
    cr_expect_eq(tensor_size_bytes(&tensor), 0);
}

Test(tensor, formats_shapes_and_never_past_the_end) {
    const struct shape shape = {.rank = 4, .dims = {1, 4, 64, 64}};
    char text[32], small[6];

    cr_expect_str_eq(shape_format(&shape, text, sizeof text), "1x4x64x64");
    cr_expect_str_eq(shape_format(&(struct shape){0}, text, sizeof text), "scalar");
    cr_expect_str_eq(shape_format(&shape, small, sizeof small), "1x4x6");
}

Test(tensor, names_dtypes_both_ways) {
    for (int i = 0; i < VAEMARK_DTYPE_COUNT; i++) {
        enum vaemark_dtype dtype;
        cr_assert(dtype_from_name(dtype_name((enum vaemark_dtype)i), &dtype));
        cr_expect_eq((int)dtype, i);
        cr_expect_gt(dtype_size_bytes(dtype), 0);
    }
    enum vaemark_dtype dtype;
    cr_expect_not(dtype_from_name("F8", &dtype));
}

Test(tensor, strides_count_elements_row_major) {
    const struct shape shape = {.rank = 3, .dims = {2, 3, 4}};
    const struct vaemark_tensor tensor = tensor_make("x", VAEMARK_F32, &shape, NULL);

    cr_expect(tensor.strides[0] == 12 && tensor.strides[1] == 4 && tensor.strides[2] == 1);
    cr_expect_eq(tensor_size_bytes(&tensor), 96);
}
