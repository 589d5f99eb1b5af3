#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(lookup, .fini = ops_free_all);

/* Rows become channels; a row may come twice or not at all. */
Test(lookup, puts_the_rows_of_codes_on_the_channel_axis) {
    const double codes[] = {2, 0, 1, 2, 3, 3, 0, 2, 1, 0, 0, 3}; /* (2,2,3) */
    struct ops_case c = {.op = OP_LOOKUP,
                         .in_shapes = {ops_shape(3, 2, 2, 3)},
                         .in = {codes},
                         .in_count = 1,
                         .parameter_shapes = {ops_shape(2, 4, 5)},
                         .out_shape = ops_shape(4, 2, 5, 2, 3)};
    double *expected = ops_zeros(&c.out_shape);

    c.parameters[0] = ops_numbers(&c.parameter_shapes[0], 1, OPS_REALS);
    for (int i = 0; i < 60; i++) {
        const int code = (int)codes[i / 30 * 6 + i % 6];
        expected[i] = c.parameters[0][code * 5 + i / 6 % 5];
    }
    ops_expect(&c, expected, NULL, 0);
}
