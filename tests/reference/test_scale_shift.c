#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(scale_shift, .fini = ops_free_all);

static void expect_definition(int samples_of_e) {
    struct ops_case c = {.op = OP_SCALE_SHIFT,
                         .in_shapes = {ops_shape(4, 2, 3, 5, 1), ops_shape(2, samples_of_e, 6)},
                         .in_count = 2,
                         .out_shape = ops_shape(4, 2, 3, 5, 1)};
    double *expected = ops_zeros(&c.out_shape);

    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_INTEGERS);
    c.in[1] = ops_numbers(&c.in_shapes[1], 2, OPS_INTEGERS);
    for (int i = 0; i < 30; i++) {
        const double *e = c.in[1] + (samples_of_e == 1 ? 0 : i / 15 * 6);
        expected[i] = c.in[0][i] * (1 + e[i / 5 % 3]) + e[3 + i / 5 % 3];
    }
    ops_expect(&c, expected, NULL, 0);
}

/* The first half scales (by 1 + s), the second shifts; one row of e serves all samples, or each has its own. */
Test(scale_shift, takes_a_row_for_all_samples) {
    expect_definition(1);
}

Test(scale_shift, takes_a_row_a_sample) {
    expect_definition(2);
}
