#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(channels_to_space, .fini = ops_free_all);

/* The channel of the input that a pixel of output channel c at (row, column) within its square comes from. */
typedef int channel_of(int c, int row, int column);

static void expect_map(const union op_attributes *attributes, int in_channels, int out_channels, channel_of *wanted) {
    const int factor = attributes->channels_to_space.factor, height = 3, width = 5;
    struct ops_case c = {.op = OP_CHANNELS_TO_SPACE,
                         .attributes = *attributes,
                         .in_shapes = {ops_shape(4, 2, in_channels, height, width)},
                         .in_count = 1,
                         .out_shape = ops_shape(4, 2, out_channels, height * factor, width * factor)};
    double *expected = ops_zeros(&c.out_shape);
    int64_t at = 0;

    c.in[0] = ops_numbers(&c.in_shapes[0], 1, OPS_REALS);
    for (int n = 0; n < 2; n++) {
        for (int k = 0; k < out_channels; k++) {
            for (int i = 0; i < height * factor; i++) {
                for (int j = 0; j < width * factor; j++, at++) {
                    const int channel = n * in_channels + wanted(k, i % factor, j % factor);
                    expected[at] = c.in[0][(channel * height + i / factor) * width + j / factor];
                }
            }
        }
    }
    ops_expect(&c, expected, NULL, 0);
    ops_free_all();
}

static int pixel_shuffle(int c, int row, int column) {
    return 4 * c + 2 * row + column;
}
static int hunyuan(int c, int row, int column) {
    return (2 * row + column) * 3 + c;
}
static int unpatchify(int c, int row, int column) {
    return (2 * c + column) * 2 + row;
}
static int repeated_shuffle(int c, int row, int column) {
    return (4 * c + 2 * row + column) / 3;
}
static int wan_shortcut(int c, int row, int column) {
    return (((c * 2 + 1) * 2 + row) * 2 + column) / 4;
}
static int repeated(int c, int row, int column) {
    (void)row;
    (void)column;
    return c / 4;
}

/* Three orders for enlarging twice are in use (spec 5.15), and each can come with repeated channels. */
Test(channels_to_space, knows_every_order) {
    union op_attributes a = {.channels_to_space = {2, 3, 4, 2, 1, 0, 1}};
    expect_map(&a, 12, 3, pixel_shuffle);
    a = (union op_attributes){.channels_to_space = {2, 3, 1, 6, 3, 0, 1}};
    expect_map(&a, 12, 3, hunyuan);
    a = (union op_attributes){.channels_to_space = {2, 3, 4, 1, 2, 0, 1}};
    expect_map(&a, 12, 3, unpatchify);
    a = (union op_attributes){.channels_to_space = {2, 3, 4, 2, 1, 0, 3}};
    expect_map(&a, 4, 3, repeated_shuffle);
    a = (union op_attributes){.channels_to_space = {2, 2, 8, 2, 1, 4, 4}};
    expect_map(&a, 4, 2, wan_shortcut);
    a = (union op_attributes){.channels_to_space = {1, 12, 1, 0, 0, 0, 4}};
    expect_map(&a, 3, 12, repeated);
}
