#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(multiply, .fini = ops_free_all);

static void expect_definition(int channels_of_b) {
    struct ops_case c = {.op = OP_MULTIPLY,
                         .in_shapes = {ops_shape(4, 2, 3, 5, 1), ops_shape(4, 2, channels_of_b, 5, 1)},
                         .in_count = 2,
                         .out_shape = ops_shape(4, 2, 3, 5, 1)};
    double *expected = ops_zeros(&c.out_shape);

    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_INTEGERS);
    c.in[1] = ops_numbers(&c.in_shapes[1], 2, OPS_INTEGERS);
    for (int i = 0; i < 30; i++) {
        expected[i] = c.in[0][i] * c.in[1][channels_of_b == 3 ? i : i / 15 * 5 + i % 5];
    }
    ops_expect(&c, expected, NULL, 0);
    ops_free_all();
}

Test(multiply, takes_a_factor_for_each_element_or_one_for_all_channels) {
    expect_definition(3);
    expect_definition(1);
}
