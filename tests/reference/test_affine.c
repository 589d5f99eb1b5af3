#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(affine, .fini = ops_free_all);

static void expect_affine(int32_t count) {
    static const double scale[] = {2, -0.5, 4}, shift[] = {-1, 0.25, 8};
    struct ops_case c = {
        .op = OP_AFFINE, .in_shapes = {ops_shape(4, 2, 3, 3, 5)}, .in_count = 1, .out_shape = ops_shape(4, 2, 3, 3, 5)};
    double *expected = ops_zeros(&c.out_shape);

    c.attributes.affine.scale = scale;
    c.attributes.affine.shift = shift;
    c.attributes.affine.count = count;
    c.in[0] = ops_numbers(&c.out_shape, 1, OPS_INTEGERS);
    for (int i = 0; i < 90; i++) {
        const int channel = count == 1 ? 0 : i / 15 % 3;
        expected[i] = scale[channel] * c.in[0][i] + shift[channel];
    }
    ops_expect(&c, expected, NULL, 0);
}

/* Every channel by its own constants, in every sample; or all by one. */
Test(affine, takes_constants_by_channel) {
    expect_affine(3);
}

Test(affine, takes_one_constant_for_all) {
    expect_affine(1);
}
