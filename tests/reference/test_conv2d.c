#include <criterion/criterion.h>
#include <math.h>

#include "tests/reference/support_ops.h"

TestSuite(conv2d, .fini = ops_free_all);

struct conv2d_trial {
    int n, in, out, height, width, kernel_height, kernel_width, stride, padding, groups;
    bool bias;
};

/* Shapes that hurt: one channel, one pixel, rows and columns of one, odd sizes, tile and depth borders (64 pixels, 256
 * products), stride, groups, depthwise, even kernels, kernels larger than the image, no padding. */
static const struct conv2d_trial TRIALS[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, true},     {1, 1, 1, 1, 1, 3, 3, 1, 1, 1, true},
    {1, 3, 5, 1, 9, 3, 3, 1, 1, 1, true},     {1, 3, 5, 9, 1, 3, 3, 1, 1, 1, false},
    {2, 4, 6, 7, 5, 3, 3, 1, 1, 1, true},     {1, 29, 17, 8, 9, 3, 3, 1, 1, 1, true},
    {1, 300, 20, 5, 13, 1, 1, 1, 0, 1, true}, {1, 4, 4, 13, 11, 3, 3, 2, 1, 1, true},
    {1, 6, 4, 9, 8, 3, 3, 1, 1, 2, true},     {2, 7, 7, 6, 11, 5, 5, 1, 2, 7, true},
    {1, 4, 8, 10, 9, 4, 4, 2, 1, 1, true},    {1, 3, 2, 10, 12, 3, 5, 3, 0, 1, true},
    {1, 2, 3, 3, 3, 5, 5, 1, 2, 1, true},     {1, 2, 70, 16, 33, 3, 3, 1, 1, 1, true},
};

/* The definition, element by element. */
static double conv2d_at(const struct conv2d_trial *t, const double *x, const double *w, const double *bias, int n,
                        int o, int i, int j, double *magnitude) {
    const int channels = t->in / t->groups, group = o / (t->out / t->groups);
    double sum = bias == NULL ? 0 : bias[o];

    *magnitude = fabs(sum);
    for (int c = 0; c < channels; c++) {
        for (int u = 0; u < t->kernel_height; u++) {
            for (int v = 0; v < t->kernel_width; v++) {
                const int y = i * t->stride + u - t->padding, z = j * t->stride + v - t->padding;
                if (y >= 0 && y < t->height && z >= 0 && z < t->width) {
                    const double product = w[((o * channels + c) * t->kernel_height + u) * t->kernel_width + v] *
                                           x[((n * t->in + group * channels + c) * t->height + y) * t->width + z];
                    sum += product;
                    *magnitude += fabs(product);
                }
            }
        }
    }
    return sum;
}

static struct ops_case conv2d_case(const struct conv2d_trial *t, enum ops_fill fill, double scale) {
    const int height = (t->height + 2 * t->padding - t->kernel_height) / t->stride + 1;
    const int width = (t->width + 2 * t->padding - t->kernel_width) / t->stride + 1;
    struct ops_case c = {
        .op = OP_CONV2D,
        .in_shapes = {ops_shape(4, t->n, t->in, t->height, t->width)},
        .in_count = 1,
        .parameter_shapes = {ops_shape(4, t->out, t->in / t->groups, t->kernel_height, t->kernel_width),
                             ops_shape(1, t->out)},
        .out_shape = ops_shape(4, t->n, t->out, height, width),
    };
    double *x = ops_numbers(&c.in_shapes[0], 1, fill);

    for (int64_t i = 0; i < shape_element_count(&c.in_shapes[0]); i++) {
        x[i] *= scale;
    }
    c.attributes.conv2d.stride = t->stride;
    c.attributes.conv2d.padding = t->padding;
    c.attributes.conv2d.groups = t->groups;
    c.in[0] = x;
    c.parameters[0] = ops_numbers(&c.parameter_shapes[0], 2, fill);
    c.parameters[1] = t->bias ? ops_numbers(&c.parameter_shapes[1], 3, fill) : NULL;
    return c;
}

static void expect_definition(const struct conv2d_trial *t, enum ops_fill fill, double scale) {
    const struct ops_case c = conv2d_case(t, fill, scale);
    double *expected = ops_zeros(&c.out_shape), *magnitude = ops_zeros(&c.out_shape);
    const int height = (int)c.out_shape.dims[2], width = (int)c.out_shape.dims[3];
    int64_t at = 0;

    for (int n = 0; n < t->n; n++) {
        for (int o = 0; o < t->out; o++) {
            for (int i = 0; i < height; i++) {
                for (int j = 0; j < width; j++, at++) {
                    expected[at] = conv2d_at(t, c.in[0], c.parameters[0], c.parameters[1], n, o, i, j, &magnitude[at]);
                }
            }
        }
    }
    ops_expect(&c, expected, magnitude,
               fill == OPS_INTEGERS ? 0 : 2.0 + (double)(t->in / t->groups * t->kernel_height * t->kernel_width));
    ops_free_all();
}

/* Whole numbers have exact sums in either precision: one wrong tap anywhere shows. */
Test(conv2d, is_exact_on_whole_numbers) {
    for (size_t i = 0; i < sizeof TRIALS / sizeof TRIALS[0]; i++) {
        expect_definition(&TRIALS[i], OPS_INTEGERS, 1.0);
    }
}

Test(conv2d, stays_within_the_rounding_of_its_sum) {
    for (size_t i = 0; i < sizeof TRIALS / sizeof TRIALS[0]; i++) {
        expect_definition(&TRIALS[i], OPS_REALS, 1.0);
    }
}

/* Scaling by powers of two must not cost a digit, also close to overflow and among subnormals of a float. */
Test(conv2d, takes_huge_and_tiny_inputs) {
    const struct conv2d_trial t = {1, 3, 4, 5, 6, 3, 3, 1, 1, 1, false};

    expect_definition(&t, OPS_INTEGERS, 0x1p110);
    expect_definition(&t, OPS_INTEGERS, 0x1p-140);
}

/* A NaN reaches exactly the outputs whose window holds it. */
Test(conv2d, passes_nan_on_to_its_window_only) {
    const struct conv2d_trial t = {1, 2, 2, 5, 5, 3, 3, 1, 1, 1, true};
    struct ops_case c = conv2d_case(&t, OPS_INTEGERS, 1.0);
    double *x = ops_numbers(&c.in_shapes[0], 1, OPS_INTEGERS), *out = ops_zeros(&c.out_shape);

    x[25 + 2 * 5 + 3] = NAN;
    c.in[0] = x;
    ops_run(&c, 32, 2, out);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            const bool inside = i >= 1 && i <= 3 && j >= 2 && j <= 4;
            cr_expect_eq(isnan(out[i * 5 + j]) != 0, inside, "pixel %d,%d", i, j);
        }
    }
}
