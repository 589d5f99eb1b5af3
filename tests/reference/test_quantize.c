#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(quantize, .fini = ops_free_all);

/* Row 1 and row 3 are the same, and pixel 2 is as far from row 0 as from row 2: the first of them is taken. Written as
 * x + (row - x), which for these numbers rounds nothing. */
Test(quantize, takes_the_first_of_the_nearest_rows) {
    const double table[] = {0, 0, 4, 4, 2, 0, 4, 4};      /* (4,2) */
    const double x[] = {0.25, 3, 1, -8, -0.5, 3.5, 0, 9}; /* (1,2,1,4) */
    const double expected[] = {0, 4, 0, 0, 0, 4, 0, 0};
    struct ops_case c = {.op = OP_QUANTIZE,
                         .in_shapes = {ops_shape(4, 1, 2, 1, 4)},
                         .in = {x},
                         .in_count = 1,
                         .parameter_shapes = {ops_shape(2, 4, 2)},
                         .parameters = {table},
                         .out_shape = ops_shape(4, 1, 2, 1, 4)};
    ops_expect(&c, expected, NULL, 0);
}

/* The framework adds the difference to what was there: far from its row a value keeps rounding's mark. */
Test(quantize, keeps_the_rounding_of_the_framework) {
    const double table[] = {0x1p-30}, x[] = {1};
    const struct ops_case c = {.op = OP_QUANTIZE,
                               .in_shapes = {ops_shape(4, 1, 1, 1, 1)},
                               .in = {x},
                               .in_count = 1,
                               .parameter_shapes = {ops_shape(2, 1, 1)},
                               .parameters = {table},
                               .out_shape = ops_shape(4, 1, 1, 1, 1)};
    double found;

    ops_run(&c, 32, 1, &found);
    cr_expect_eq(found, 0, "found %g", found);
    ops_run(&c, 64, 1, &found);
    cr_expect_eq(found, 0x1p-30, "found %g", found);
}
