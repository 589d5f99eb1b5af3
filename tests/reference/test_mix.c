#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(mix, .fini = ops_free_all);

static struct ops_case images(void) {
    struct ops_case c = {.op = OP_MIX,
                         .in_shapes = {ops_shape(4, 2, 3, 2, 5), ops_shape(4, 2, 3, 2, 5), ops_shape(4, 2, 1, 2, 5)},
                         .in_count = 3,
                         .out_shape = ops_shape(4, 2, 3, 2, 5)};
    for (int i = 0; i < 3; i++) {
        c.in[i] = ops_numbers(&c.in_shapes[i], (uint64_t)i + 1, OPS_INTEGERS);
    }
    return c;
}

/* One mask for the channels of a sample; not only zeros and ones. */
Test(mix, takes_the_first_image_where_the_mask_is_one) {
    const struct ops_case c = images();
    double *expected = ops_zeros(&c.out_shape);
    for (int i = 0; i < 60; i++) {
        const double m = c.in[2][i / 30 * 10 + i % 10];
        expected[i] = c.in[0][i] * m + c.in[1][i] * (1 - m);
    }
    ops_expect(&c, expected, NULL, 0);
}

/* Without a condition the decode goes on as if there were no such node. */
Test(mix, passes_the_first_image_on_where_another_input_is_absent) {
    for (int absent = 1; absent < 3; absent++) {
        struct ops_case c = images();
        c.in_shapes[absent] = (struct shape){0};
        c.in[absent] = NULL;
        ops_expect(&c, c.in[0], NULL, 0);
        ops_free_all();
    }
}
