#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(subsample, .fini = ops_free_all);

static void expect_definition(int height, int width, int factor) {
    struct ops_case c = {.op = OP_SUBSAMPLE,
                         .in_shapes = {ops_shape(4, 2, 3, height * factor, width * factor)},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 2, 3, height, width)};
    double *expected = ops_zeros(&c.out_shape);
    int64_t at = 0;

    c.attributes.subsample.factor = factor;
    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    for (int plane = 0; plane < 6; plane++) {
        for (int i = 0; i < height; i++) {
            for (int j = 0; j < width; j++, at++) {
                expected[at] = c.in[0][(plane * height * factor + i * factor) * width * factor + j * factor];
            }
        }
    }
    ops_expect(&c, expected, NULL, 0);
    ops_free_all();
}

Test(subsample, takes_the_first_of_each_square) {
    expect_definition(1, 1, 2);
    expect_definition(3, 5, 2);
    expect_definition(4, 1, 8);
    expect_definition(2, 3, 1);
}
