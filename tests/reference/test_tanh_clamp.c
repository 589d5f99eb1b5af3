#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(tanh_clamp, .fini = ops_free_all);

Test(tanh_clamp, is_the_limit_times_tanh_of_the_share) {
    struct ops_case c = {.op = OP_TANH_CLAMP,
                         .in_shapes = {ops_shape(4, 1, 4, 3, 5)},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 1, 4, 3, 5)};
    double *x = ops_numbers(&c.out_shape, 1, OPS_REALS), *expected = ops_zeros(&c.out_shape);
    double *magnitude = ops_zeros(&c.out_shape);

    for (int i = 0; i < 60; i++) {
        x[i] *= 8;
        expected[i] = 3 * tanh(x[i] / 3);
        magnitude[i] = fabs(expected[i]);
    }
    c.in[0] = x;
    c.attributes.tanh_clamp.limit = 3;
    ops_expect(&c, expected, magnitude, 8);
}

Test(tanh_clamp, saturates_at_its_limit_and_keeps_nan) {
    const double x[] = {-1e6, 1e6, 0, NAN}, expected[] = {-2, 2, 0, NAN};
    struct ops_case c = {.op = OP_TANH_CLAMP,
                         .in_shapes = {ops_shape(2, 2, 2)},
                         .in = {x},
                         .in_count = 1,
                         .out_shape = ops_shape(2, 2, 2)};

    c.attributes.tanh_clamp.limit = 2;
    ops_expect(&c, expected, NULL, 0);
}
