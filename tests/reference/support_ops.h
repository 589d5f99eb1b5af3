/* One op at a time: the same operands in both precisions, with one, two and three threads, against a formula written
 * out in the test. Operands are doubles that a float can hold, so both precisions see the same numbers. */
#ifndef TESTS_REFERENCE_SUPPORT_OPS_H
#define TESTS_REFERENCE_SUPPORT_OPS_H

#include "reference/ops/ops.h"

struct ops_case {
    enum op op;
    union op_attributes attributes;
    struct shape in_shapes[GRAPH_MAX_NODE_INPUTS];
    const double *in[GRAPH_MAX_NODE_INPUTS];
    int32_t in_count;
    struct shape parameter_shapes[GRAPH_MAX_NODE_PARAMETERS];
    const double *parameters[GRAPH_MAX_NODE_PARAMETERS]; /* NULL: absent */
    struct shape out_shape;
};

struct shape ops_shape(int32_t rank, ...); /* dimensions as int */

enum ops_fill {
    OPS_INTEGERS, /* -4 .. 4: sums of products stay exact in a float */
    OPS_REALS     /* [-1, 1) in steps of 2^-20 */
};
/* Fresh pseudo-random numbers; freed by ops_free_all(). */
double *ops_numbers(const struct shape *shape, uint64_t seed, enum ops_fill fill);
/* Zeros, freed likewise. */
double *ops_zeros(const struct shape *shape);
void ops_free_all(void);

/* Runs once into `out`. Fails the test where an output element stays unwritten or memory beside it was touched. */
void ops_run(const struct ops_case *c, int bits, int threads, double *out);
/* Runs in every precision and thread count: threads must agree bit by bit, and each element must lie within
 * units * u * magnitude[i] of expected[i] (u: 2^-24, 2^-53; units 0: exactly equal, NaN to NaN). */
void ops_expect(const struct ops_case *c, const double *expected, const double *magnitude, double units);

#endif
