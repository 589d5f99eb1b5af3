#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(linear_attention, .fini = ops_free_all);

static double rectified(double x) {
    return x > 0 ? x : 0;
}

/* Over pairs of pixels, whatever their number: the formula in which neither form of the op is written. */
static void expect_definition(int batch, int heads, int d, int height, int width, double epsilon) {
    const int pixels = height * width;
    struct ops_case c = {.op = OP_LINEAR_ATTENTION,
                         .in_shapes = {ops_shape(4, batch, 3 * d * heads, height, width)},
                         .in_count = 1,
                         .out_shape = ops_shape(4, batch, d * heads, height, width)};
    double *expected = ops_zeros(&c.out_shape), *magnitude = ops_zeros(&c.out_shape);

    c.attributes.linear_attention.head_channels = d;
    c.attributes.linear_attention.epsilon = epsilon;
    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    for (int head = 0; head < batch * heads; head++) {
        const double *q = c.in[0] + head * 3 * d * pixels, *k = q + d * pixels, *v = k + d * pixels;
        for (int n = 0; n < pixels; n++) {
            double divisor = epsilon;
            for (int m = 0; m < pixels; m++) {
                double score = 0;
                for (int e = 0; e < d; e++) {
                    score += rectified(q[e * pixels + n]) * rectified(k[e * pixels + m]);
                }
                divisor += score;
                for (int i = 0; i < d; i++) {
                    expected[(head * d + i) * pixels + n] += v[i * pixels + m] * score;
                    magnitude[(head * d + i) * pixels + n] += fabs(v[i * pixels + m]) * score;
                }
            }
            for (int i = 0; i < d; i++) {
                expected[(head * d + i) * pixels + n] /= divisor;
                magnitude[(head * d + i) * pixels + n] /= divisor;
            }
        }
    }
    ops_expect(&c, expected, magnitude, 64);
    ops_free_all();
}

/* At, below and above as many pixels as channels of a head, where the form changes. */
Test(linear_attention, is_its_formula_in_either_form) {
    expect_definition(1, 2, 4, 2, 2, 1e-15);
    expect_definition(2, 3, 4, 1, 3, 1e-15);
    expect_definition(2, 3, 4, 5, 1, 1e-15);
    expect_definition(1, 2, 8, 7, 9, 1e-15);
    expect_definition(1, 1, 1, 1, 1, 1e-15);
    expect_definition(1, 2, 4, 3, 3, 0.5);
}

/* Where no key answers a query only epsilon is left below: zero, not NaN. */
Test(linear_attention, is_zero_where_every_score_is) {
    const double x[] = {-1, -2, 1, 1, 3, 4}; /* (1,3,1,2): q, k, v of one channel, 2 pixels */
    const double expected[] = {0, 0};
    struct ops_case c = {.op = OP_LINEAR_ATTENTION,
                         .in_shapes = {ops_shape(4, 1, 3, 1, 2)},
                         .in = {x},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 1, 1, 1, 2)};

    c.attributes.linear_attention.head_channels = 1;
    c.attributes.linear_attention.epsilon = 1e-15;
    ops_expect(&c, expected, NULL, 0);
}
