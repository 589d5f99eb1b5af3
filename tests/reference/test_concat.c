#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(concat, .fini = ops_free_all);

/* By sample, the first operand's channels first: UNets put the running value before the skip. */
Test(concat, puts_channels_one_behind_the_other_in_every_sample) {
    struct ops_case c = {.op = OP_CONCAT,
                         .in_shapes = {ops_shape(4, 2, 3, 1, 5), ops_shape(4, 2, 2, 1, 5)},
                         .in_count = 2,
                         .out_shape = ops_shape(4, 2, 5, 1, 5)};
    double *expected = ops_zeros(&c.out_shape);

    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    c.in[1] = ops_numbers(&c.in_shapes[1], 2, OPS_REALS);
    for (int n = 0; n < 2; n++) {
        for (int i = 0; i < 25; i++) {
            expected[n * 25 + i] = i < 15 ? c.in[0][n * 15 + i] : c.in[1][n * 10 + i - 15];
        }
    }
    ops_expect(&c, expected, NULL, 0);
}
