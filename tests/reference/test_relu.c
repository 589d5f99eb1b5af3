#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(relu, .fini = ops_free_all);

/* NaN stays NaN: a maximum by comparison could turn it into 0 and hide a fault upstream. */
Test(relu, clears_what_is_negative_and_keeps_nan) {
    const double x[] = {-1, 0, 2.5, -INFINITY, INFINITY, NAN, -0x1p-149, 0x1p-149, -3};
    const double expected[] = {0, 0, 2.5, 0, INFINITY, NAN, 0, 0x1p-149, 0};
    const struct ops_case c = {.op = OP_RELU,
                               .in_shapes = {ops_shape(4, 1, 1, 3, 3)},
                               .in = {x},
                               .in_count = 1,
                               .out_shape = ops_shape(4, 1, 1, 3, 3)};

    ops_expect(&c, expected, NULL, 0);
}
