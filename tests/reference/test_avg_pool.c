#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(avg_pool, .fini = ops_free_all);

static void expect_definition(int height, int width) {
    struct ops_case c = {.op = OP_AVG_POOL,
                         .in_shapes = {ops_shape(4, 2, 3, height, width)},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 2, 3, height / 2, width / 2)};
    double *expected = ops_zeros(&c.out_shape);
    int64_t at = 0;

    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_INTEGERS);
    for (int plane = 0; plane < 6; plane++) {
        for (int i = 0; i < height / 2; i++) {
            for (int j = 0; j < width / 2; j++, at++) {
                for (int k = 0; k < 4; k++) {
                    expected[at] += c.in[0][(plane * height + 2 * i + k / 2) * width + 2 * j + k % 2] / 4;
                }
            }
        }
    }
    ops_expect(&c, expected, NULL, 0);
    ops_free_all();
}

/* Odd sizes drop the last row and column, as the framework does. */
Test(avg_pool, is_the_mean_of_four) {
    expect_definition(2, 2);
    expect_definition(6, 4);
    expect_definition(5, 7);
    expect_definition(3, 2);
}
