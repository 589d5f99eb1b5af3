#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(batch_norm, .fini = ops_free_all);

/* Four parameters that must not be taken for one another; the variance is of training, not of these pixels. */
Test(batch_norm, uses_the_statistics_that_it_is_given) {
    struct ops_case c = {.op = OP_BATCH_NORM,
                         .in_shapes = {ops_shape(4, 2, 3, 5, 3)},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 2, 3, 5, 3)};
    const double mean[] = {0.5, -1, 4}, variance[] = {0.25, 2, 0}, weight[] = {1, -2, 3}, bias[] = {0, 0.5, -8};
    double *expected = ops_zeros(&c.out_shape), *magnitude = ops_zeros(&c.out_shape);

    c.parameters[0] = mean;
    c.parameters[1] = variance;
    c.parameters[2] = weight;
    c.parameters[3] = bias;
    for (int i = 0; i < 4; i++) {
        c.parameter_shapes[i] = ops_shape(1, 3);
    }
    c.attributes.batch_norm.epsilon = 0.125; /* a float can hold it, and it counts */
    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_INTEGERS);
    for (int i = 0; i < 90; i++) {
        const int k = i / 15 % 3;
        const double product = (c.in[0][i] - mean[k]) / sqrt(variance[k] + 0.125) * weight[k];
        expected[i] = product + bias[k];
        magnitude[i] = fabs(product) + fabs(bias[k]);
    }
    ops_expect(&c, expected, magnitude, 8);
}
