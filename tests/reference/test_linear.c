#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(linear, .fini = ops_free_all);

struct linear_trial {
    int n, in, out, height, width; /* height 0: rank 2 */
    bool bias;
};

/* One channel, one pixel, rank 2 with small and large batches, borders of tile (64) and depth (256). */
static const struct linear_trial TRIALS[] = {
    {1, 1, 1, 1, 1, true},  {2, 5, 3, 3, 7, true},    {1, 257, 19, 5, 13, true}, {1, 512, 8, 8, 9, false},
    {1, 9, 4, 0, 0, true},  {3, 300, 33, 0, 0, true}, {9, 12, 5, 0, 0, false},   {70, 3, 2, 0, 0, true},
    {1, 4, 17, 1, 9, true}, {2, 3, 4, 64, 1, true},
};

static void expect_definition(const struct linear_trial *t, enum ops_fill fill) {
    const bool flat = t->height == 0;
    const int pixels = flat ? 1 : t->height * t->width;
    struct ops_case c = {
        .op = OP_LINEAR,
        .in_shapes = {flat ? ops_shape(2, t->n, t->in) : ops_shape(4, t->n, t->in, t->height, t->width)},
        .in_count = 1,
        .parameter_shapes = {ops_shape(2, t->out, t->in), ops_shape(1, t->out)},
        .out_shape = flat ? ops_shape(2, t->n, t->out) : ops_shape(4, t->n, t->out, t->height, t->width),
    };
    double *expected = ops_zeros(&c.out_shape), *magnitude = ops_zeros(&c.out_shape);
    int64_t at = 0;

    c.in[0] = ops_numbers(&c.in_shapes[0], 1, fill);
    c.parameters[0] = ops_numbers(&c.parameter_shapes[0], 2, fill);
    c.parameters[1] = t->bias ? ops_numbers(&c.parameter_shapes[1], 3, fill) : NULL;
    for (int n = 0; n < t->n; n++) {
        for (int o = 0; o < t->out; o++) {
            for (int p = 0; p < pixels; p++, at++) {
                expected[at] = t->bias ? c.parameters[1][o] : 0;
                magnitude[at] = fabs(expected[at]);
                for (int k = 0; k < t->in; k++) {
                    const double product = c.parameters[0][o * t->in + k] * c.in[0][(n * t->in + k) * pixels + p];
                    expected[at] += product;
                    magnitude[at] += fabs(product);
                }
            }
        }
    }
    ops_expect(&c, expected, magnitude, fill == OPS_INTEGERS ? 0 : 2.0 + t->in);
    ops_free_all();
}

/* Whole numbers have exact sums in either precision. */
Test(linear, is_exact_on_whole_numbers) {
    for (size_t i = 0; i < sizeof TRIALS / sizeof TRIALS[0]; i++) {
        expect_definition(&TRIALS[i], OPS_INTEGERS);
    }
}

Test(linear, stays_within_the_rounding_of_its_sum) {
    for (size_t i = 0; i < sizeof TRIALS / sizeof TRIALS[0]; i++) {
        expect_definition(&TRIALS[i], OPS_REALS);
    }
}
