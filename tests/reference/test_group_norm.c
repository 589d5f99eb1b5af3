#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(group_norm, .fini = ops_free_all);

static struct ops_case group_norm_case(int n, int channels, int height, int width, int groups, double epsilon) {
    struct ops_case c = {
        .op = OP_GROUP_NORM,
        .in_shapes = {ops_shape(4, n, channels, height, width)},
        .in_count = 1,
        .parameter_shapes = {ops_shape(1, channels), ops_shape(1, channels)},
        .out_shape = ops_shape(4, n, channels, height, width),
    };

    c.attributes.group_norm.groups = groups;
    c.attributes.group_norm.epsilon = epsilon;
    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    c.parameters[0] = ops_numbers(&c.parameter_shapes[0], 2, OPS_REALS);
    c.parameters[1] = ops_numbers(&c.parameter_shapes[1], 3, OPS_REALS);
    return c;
}

/* In long double, so that it is right to more digits than either precision. */
static void expect_definition(const struct ops_case *c) {
    const int64_t channels = c->in_shapes[0].dims[1], groups = c->attributes.group_norm.groups;
    const int64_t pixels = c->in_shapes[0].dims[2] * c->in_shapes[0].dims[3], count = channels / groups * pixels;
    double *expected = ops_zeros(&c->out_shape), *magnitude = ops_zeros(&c->out_shape);

    for (int64_t g = 0; g < c->in_shapes[0].dims[0] * groups; g++) {
        const double *x = c->in[0] + g * count;
        long double mean = 0, variance = 0;
        for (int64_t i = 0; i < count; i++) {
            mean += (long double)x[i] / count;
        }
        for (int64_t i = 0; i < count; i++) {
            variance += (x[i] - mean) * (x[i] - mean) / count;
        }
        for (int64_t i = 0; i < count; i++) {
            const int64_t channel = g % groups * (channels / groups) + i / pixels;
            const long double deviation = sqrtl(variance + (long double)c->attributes.group_norm.epsilon);
            const long double normal = (x[i] - mean) / deviation * (long double)c->parameters[0][channel];
            expected[g * count + i] = (double)(normal + (long double)c->parameters[1][channel]);
            magnitude[g * count + i] = (double)(fabsl(normal) + fabsl((long double)c->parameters[1][channel]));
        }
    }
    ops_expect(c, expected, magnitude, 0x1p6);
}

/* One element a group (variance 0), one group, a group a channel, odd sizes, several samples. */
Test(group_norm, is_the_definition_on_awkward_shapes) {
    static const int shapes[][5] = {{1, 1, 1, 1, 1}, {2, 4, 1, 1, 4},   {1, 6, 3, 5, 3},
                                    {3, 8, 7, 1, 2}, {1, 32, 9, 9, 32}, {2, 12, 5, 4, 1}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct ops_case c =
            group_norm_case(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], shapes[i][4], 1e-6);
        expect_definition(&c);
        ops_free_all();
    }
}

/* Two elements, -1 and 1: the biased variance is 1, the unbiased one 2. */
Test(group_norm, divides_by_the_biased_variance) {
    const double x[] = {-1, 1}, one[] = {1}, zero[] = {0}, expected[] = {-0.5, 0.5};
    struct ops_case c = group_norm_case(1, 1, 1, 2, 1, 3.0); /* sqrt(1 + 3) = 2 exactly */

    c.in[0] = x;
    c.parameters[0] = one;
    c.parameters[1] = zero;
    ops_expect(&c, expected, NULL, 0);
}

/* A constant image has variance 0: what remains is the bias, exactly. */
Test(group_norm, leaves_the_bias_of_a_constant_image) {
    struct ops_case c = group_norm_case(1, 4, 5, 7, 2, 1e-6);
    double *x = ops_zeros(&c.in_shapes[0]), *expected = ops_zeros(&c.out_shape);

    for (int i = 0; i < 140; i++) {
        x[i] = 3.0;
        expected[i] = c.parameters[1][i / 35];
    }
    c.in[0] = x;
    ops_expect(&c, expected, NULL, 0);
}

/* |mean| four million times the deviation: E[x^2] - E[x]^2 would keep two digits even in double precision. */
Test(group_norm, keeps_its_digits_where_the_mean_is_large) {
    struct ops_case c = group_norm_case(1, 1, 59, 17, 1, 0.0);
    const double one[] = {1}, zero[] = {0};
    double *x = ops_zeros(&c.in_shapes[0]), *out = ops_zeros(&c.out_shape), mean = 0, variance = 0;

    for (int i = 0; i < 59 * 17; i++) {
        x[i] = 5592405.5 + 0.5 * (i % 7);
        mean += 0.5 * (i % 7) / (59 * 17); /* of what is above the large part */
    }
    for (int i = 0; i < 59 * 17; i++) {
        variance += (0.5 * (i % 7) - mean) * (0.5 * (i % 7) - mean) / (59 * 17);
    }
    c.in[0] = x;
    c.parameters[0] = one;
    c.parameters[1] = zero;
    for (int bits = 32; bits <= 64; bits += 32) {
        ops_run(&c, bits, 1, out);
        for (int i = 0; i < 59 * 17; i++) {
            const double expected = (0.5 * (i % 7) - mean) / sqrt(variance);
            cr_assert(fabs(out[i] - expected) <= (bits == 32 ? 2e-7 : 1e-8), "%d bits: %.12g, not %.12g", bits, out[i],
                      expected);
        }
    }
}

/* The epsilon decides where the variance is as small. */
Test(group_norm, uses_its_epsilon) {
    struct ops_case c = group_norm_case(1, 2, 3, 3, 1, 1e-5);
    double *x = ops_numbers(&c.in_shapes[0], 7, OPS_REALS);

    for (int i = 0; i < 18; i++) {
        x[i] *= 0x1p-8;
    }
    c.in[0] = x;
    expect_definition(&c);
}

Test(group_norm, passes_nan_on_to_its_group_only) {
    struct ops_case c = group_norm_case(1, 4, 2, 2, 2, 1e-6);
    double *x = ops_numbers(&c.in_shapes[0], 1, OPS_REALS), *out = ops_zeros(&c.out_shape);

    x[9] = NAN;
    c.in[0] = x;
    ops_run(&c, 32, 1, out);
    for (int i = 0; i < 16; i++) {
        cr_expect_eq(isnan(out[i]) != 0, i >= 8, "element %d", i);
    }
}
