#include <criterion/criterion.h>

#include "tests/reference/support_ops.h"

TestSuite(embedding, .fini = ops_free_all);

/* The op is given its one row by the executor; which row that is, test_executor asks. */
Test(embedding, is_its_row) {
    const double row[] = {1, -2, 3.5, 0x1p-20};
    const struct ops_case c = {.op = OP_EMBEDDING,
                               .parameter_shapes = {ops_shape(2, 1, 4)},
                               .parameters = {row},
                               .out_shape = ops_shape(2, 1, 4)};

    ops_expect(&c, row, NULL, 0);
}
