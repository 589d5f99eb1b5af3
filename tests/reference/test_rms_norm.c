#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(rms_norm, .fini = ops_free_all);

static void expect_definition(int batch, int channels, int height, int width, double epsilon, double floor,
                              bool biased) {
    struct ops_case c = {.op = OP_RMS_NORM,
                         .in_shapes = {ops_shape(4, batch, channels, height, width)},
                         .in_count = 1,
                         .parameter_shapes = {ops_shape(1, channels), ops_shape(1, channels)},
                         .out_shape = ops_shape(4, batch, channels, height, width)};
    double *expected = ops_zeros(&c.out_shape), *magnitude = ops_zeros(&c.out_shape);
    const int pixels = height * width;

    c.attributes.rms_norm.epsilon = epsilon;
    c.attributes.rms_norm.floor = floor;
    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    c.parameters[0] = ops_numbers(&c.parameter_shapes[0], 2, OPS_REALS);
    c.parameters[1] = biased ? ops_numbers(&c.parameter_shapes[1], 3, OPS_REALS) : NULL;
    for (int n = 0; n < batch; n++) {
        for (int i = 0; i < pixels; i++) {
            double squares = 0;
            for (int k = 0; k < channels; k++) {
                squares += pow(c.in[0][(n * channels + k) * pixels + i], 2);
            }
            const double divisor = fmax(sqrt(squares / channels + epsilon), floor);
            for (int k = 0; k < channels; k++) {
                const int at = (n * channels + k) * pixels + i;
                const double product = c.in[0][at] / divisor * c.parameters[0][k],
                             bias = biased ? c.parameters[1][k] : 0;
                expected[at] = product + bias;
                magnitude[at] = fabs(product) + fabs(bias);
            }
        }
    }
    ops_expect(&c, expected, magnitude, 8);
    ops_free_all();
}

/* More than a block of pixels, fewer, one channel; with an epsilon and a bias as AutoencoderDC, with a floor as Wan. */
Test(rms_norm, normalises_each_pixel_over_its_channels) {
    expect_definition(2, 5, 9, 15, 1e-5, 0, true);
    expect_definition(1, 1, 1, 1, 1e-5, 0, true);
    expect_definition(2, 3, 1, 7, 0, 1e-12, false);
    expect_definition(1, 48, 8, 8, 0, 1e-12, false);
}

/* Zeros are divided by the floor or by the root of epsilon, not by zero; a NaN stays in its pixel. */
Test(rms_norm, has_a_floor_and_keeps_nan) {
    const double x[] = {0, NAN, 4, 0, 1, 3}; /* (1,2,1,3) */
    const double weight[] = {2, 0.5};
    const double rms = sqrt(12.5);
    const double expected[] = {0, NAN, 8 / rms, 0, NAN, 1.5 / rms}, magnitude[] = {0, 0, 3, 0, 0, 1};
    struct ops_case c = {.op = OP_RMS_NORM,
                         .in_shapes = {ops_shape(4, 1, 2, 1, 3)},
                         .in = {x},
                         .in_count = 1,
                         .parameter_shapes = {ops_shape(1, 2)},
                         .parameters = {weight},
                         .out_shape = ops_shape(4, 1, 2, 1, 3)};

    c.attributes.rms_norm.floor = 1e-12;
    ops_expect(&c, expected, magnitude, 8);
}

/* A floor above the root takes its place. */
Test(rms_norm, divides_by_no_less_than_the_floor) {
    const double x[] = {0.25, -0.5}, weight[] = {1}, expected[] = {0.125, -0.25};
    struct ops_case c = {.op = OP_RMS_NORM,
                         .in_shapes = {ops_shape(4, 1, 1, 1, 2)},
                         .in = {x},
                         .in_count = 1,
                         .parameter_shapes = {ops_shape(1, 1)},
                         .parameters = {weight},
                         .out_shape = ops_shape(4, 1, 1, 1, 2)};

    c.attributes.rms_norm.floor = 2;
    ops_expect(&c, expected, NULL, 0);
}
