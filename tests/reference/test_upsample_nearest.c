#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(upsample_nearest, .fini = ops_free_all);

static void expect_definition(int height, int width, int factor) {
    struct ops_case c = {.op = OP_UPSAMPLE_NEAREST,
                         .in_shapes = {ops_shape(4, 2, 3, height, width)},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 2, 3, height * factor, width * factor)};
    double *expected = ops_zeros(&c.out_shape);
    int64_t at = 0;

    c.attributes.upsample_nearest.factor = factor;
    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    for (int plane = 0; plane < 6; plane++) {
        for (int i = 0; i < height * factor; i++) {
            for (int j = 0; j < width * factor; j++, at++) {
                expected[at] = c.in[0][(plane * height + i / factor) * width + j / factor];
            }
        }
    }
    ops_expect(&c, expected, NULL, 0);
    ops_free_all();
}

Test(upsample_nearest, repeats_each_pixel) {
    expect_definition(1, 1, 2);
    expect_definition(3, 5, 2);
    expect_definition(1, 7, 3);
    expect_definition(4, 2, 8);
    expect_definition(2, 3, 1);
}
