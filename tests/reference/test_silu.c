#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(silu, .fini = ops_free_all);

Test(silu, is_x_times_its_sigmoid) {
    struct ops_case c = {.op = OP_SILU, .in_shapes = {ops_shape(4, 2, 3, 5, 7)}, .in_count = 1};
    double *x, *expected, *magnitude;

    c.out_shape = c.in_shapes[0];
    x = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    expected = ops_zeros(&c.out_shape);
    magnitude = ops_zeros(&c.out_shape);
    for (int i = 0; i < 210; i++) {
        x[i] *= 16;
        expected[i] = x[i] * 1 / (1 + exp(-x[i]));
        magnitude[i] = fabs(expected[i]);
    }
    c.in[0] = x;
    ops_expect(&c, expected, magnitude, 8);
}

/* exp(1000) is infinite: far on the left the limit is 0, not NaN. */
Test(silu, keeps_its_limits) {
    const double x[] = {-1000, 1000, 0, INFINITY, NAN}, expected[] = {0, 1000, 0, INFINITY, NAN};
    const struct ops_case c = {
        .op = OP_SILU, .in_shapes = {ops_shape(2, 1, 5)}, .in = {x}, .in_count = 1, .out_shape = ops_shape(2, 1, 5)};

    ops_expect(&c, expected, NULL, 0);
}
