#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(slice, .fini = ops_free_all);

Test(slice, takes_channels_of_every_sample) {
    struct ops_case c = {
        .op = OP_SLICE, .in_shapes = {ops_shape(4, 2, 6, 3, 1)}, .in_count = 1, .out_shape = ops_shape(4, 2, 3, 3, 1)};
    double *expected = ops_zeros(&c.out_shape);

    c.attributes.slice.first = 2;
    c.attributes.slice.count = 3;
    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    for (int i = 0; i < 18; i++) {
        expected[i] = c.in[0][i / 9 * 18 + 2 * 3 + i % 9];
    }
    ops_expect(&c, expected, NULL, 0);
}
