#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(add, .fini = ops_free_all);

static void expect_sum(double alpha, double beta) {
    struct ops_case c = {.op = OP_ADD, .in_count = 2, .out_shape = ops_shape(4, 2, 3, 5, 3)};
    double *expected = ops_zeros(&c.out_shape);

    c.attributes.add.alpha = alpha;
    c.attributes.add.beta = beta;
    for (int i = 0; i < 2; i++) {
        c.in_shapes[i] = c.out_shape;
        c.in[i] = ops_numbers(&c.out_shape, (uint64_t)i + 1, OPS_INTEGERS);
    }
    for (int i = 0; i < 90; i++) {
        expected[i] = alpha * c.in[0][i] + beta * c.in[1][i];
    }
    ops_expect(&c, expected, NULL, 0);
}

/* Unequal weights, so that exchanged operands show. */
Test(add, weighs_its_operands) {
    expect_sum(1, 1);
    expect_sum(0.5, -4);
}

Test(add, keeps_nan_of_either_operand) {
    const double a[] = {NAN, 1, 2}, b[] = {1, NAN, 3}, expected[] = {NAN, NAN, 5};
    struct ops_case c = {.op = OP_ADD,
                         .in_shapes = {ops_shape(2, 1, 3), ops_shape(2, 1, 3)},
                         .in = {a, b},
                         .in_count = 2,
                         .out_shape = ops_shape(2, 1, 3)};

    c.attributes.add.alpha = c.attributes.add.beta = 1;
    ops_expect(&c, expected, NULL, 0);
}
