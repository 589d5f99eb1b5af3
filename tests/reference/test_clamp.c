#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(clamp, .fini = ops_free_all);

Test(clamp, limits_both_ways_and_keeps_nan) {
    const double x[] = {-1, -1.5, 0.25, 2, 3, INFINITY, -INFINITY, NAN, -0x1p-149};
    const double expected[] = {-1, -1, 0.25, 2, 2, 2, -1, NAN, -0x1p-149};
    struct ops_case c = {.op = OP_CLAMP,
                         .in_shapes = {ops_shape(4, 1, 1, 3, 3)},
                         .in = {x},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 1, 1, 3, 3)};

    c.attributes.clamp.low = -1;
    c.attributes.clamp.high = 2;
    ops_expect(&c, expected, NULL, 0);
}
