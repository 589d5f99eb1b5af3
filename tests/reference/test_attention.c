#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "tests/reference/support_ops.h"

TestSuite(attention, .fini = ops_free_all);

static struct ops_case attention_case(int n, int channels, int height, int width, double logit_scale) {
    struct ops_case c = {.op = OP_ATTENTION, .in_count = 3, .out_shape = ops_shape(4, n, channels, height, width)};

    for (int i = 0; i < 3; i++) {
        double *x = ops_numbers(&c.out_shape, (uint64_t)i + 1, OPS_REALS);
        for (int64_t j = 0; i == 0 && j < shape_element_count(&c.out_shape); j++) {
            x[j] *= logit_scale;
        }
        c.in_shapes[i] = c.out_shape;
        c.in[i] = x;
    }
    return c;
}

static void expect_definition(const struct ops_case *c) {
    const int64_t channels = c->out_shape.dims[1], tokens = c->out_shape.dims[2] * c->out_shape.dims[3];
    double *expected = ops_zeros(&c->out_shape), *magnitude = ops_zeros(&c->out_shape);
    const struct shape row_shape = {.rank = 1, .dims = {tokens}};
    double *scores = ops_zeros(&row_shape);

    for (int64_t n = 0; n < c->out_shape.dims[0]; n++) {
        const double *q = c->in[0] + n * channels * tokens, *k = c->in[1] + n * channels * tokens;
        const double *v = c->in[2] + n * channels * tokens;
        for (int64_t i = 0; i < tokens; i++) {
            double largest = -INFINITY, sum = 0, spread = 0;
            for (int64_t j = 0; j < tokens; j++) {
                double terms = 0;
                scores[j] = 0;
                for (int64_t d = 0; d < channels; d++) {
                    scores[j] += q[d * tokens + i] * k[d * tokens + j] / sqrt((double)channels);
                    terms += fabs(q[d * tokens + i] * k[d * tokens + j]) / sqrt((double)channels);
                }
                largest = fmax(largest, scores[j]);
                spread = fmax(spread, terms);
            }
            for (int64_t j = 0; j < tokens; j++) {
                sum += exp(scores[j] - largest);
            }
            for (int64_t d = 0; d < channels; d++) {
                const int64_t at = (n * channels + d) * tokens + i;
                for (int64_t j = 0; j < tokens; j++) {
                    expected[at] += exp(scores[j] - largest) / sum * v[d * tokens + j];
                }
                /* a score's rounding error goes into every weight through the exponential; |v| <= 1 */
                magnitude[at] = 1 + spread;
            }
        }
    }
    ops_expect(c, expected, magnitude, 8.0 + 2.0 * (double)channels + (double)tokens);
}

/* One token, fewer and more tokens than a block of queries (32), a tile (64) and a depth (256); one and many channels.
 */
Test(attention, is_the_definition_on_awkward_shapes) {
    static const int shapes[][4] = {{1, 1, 1, 1},  {1, 8, 1, 9},   {2, 5, 3, 11},
                                    {1, 16, 9, 9}, {1, 300, 2, 3}, {1, 3, 17, 16}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct ops_case c = attention_case(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], 1.0);
        expect_definition(&c);
        ops_free_all();
    }
}

/* Logits of +-1000: their exponentials are infinite unless the largest is subtracted first. */
Test(attention, survives_logits_of_a_thousand) {
    const struct ops_case c = attention_case(1, 16, 6, 6, 1000.0);

    expect_definition(&c);
}

/* Equal keys weigh all values alike: the mean, exactly. */
Test(attention, averages_where_all_keys_are_equal) {
    struct ops_case c = attention_case(1, 2, 2, 2, 1.0);
    const double keys[8] = {0}, values[] = {1, 2, 3, 6, -4, 0, 0, 8}, expected[] = {3, 3, 3, 3, 1, 1, 1, 1};

    c.in[1] = keys;
    c.in[2] = values;
    ops_expect(&c, expected, NULL, 0);
}

/* A packed qkv is the same three tensors one below the other: not a bit may differ. */
Test(attention, reads_packed_projections_alike) {
    const struct ops_case apart = attention_case(2, 5, 3, 13, 2.0);
    struct ops_case packed = {
        .op = OP_ATTENTION, .in_count = 1, .in_shapes = {ops_shape(4, 2, 15, 3, 13)}, .out_shape = apart.out_shape};
    double *qkv = ops_zeros(&packed.in_shapes[0]), *a = ops_zeros(&apart.out_shape), *b = ops_zeros(&apart.out_shape);
    const size_t plane = 5 * 3 * 13;

    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; i < 3; i++) {
            memcpy(qkv + (3 * n + i) * plane, apart.in[i] + n * plane, plane * sizeof *qkv);
        }
    }
    packed.in[0] = qkv;
    for (int bits = 32; bits <= 64; bits += 32) {
        ops_run(&apart, bits, 1, a);
        ops_run(&packed, bits, 2, b);
        cr_assert_arr_eq(a, b, 2 * plane * sizeof *a);
    }
}

/* A NaN in one query spoils that token alone; in a key, all of them. */
Test(attention, passes_nan_on) {
    struct ops_case c = attention_case(1, 2, 2, 3, 1.0);
    double *q = ops_numbers(&c.out_shape, 1, OPS_REALS), *out = ops_zeros(&c.out_shape);
    const double *clean = c.in[0];

    q[4] = NAN;
    c.in[0] = q;
    ops_run(&c, 32, 1, out);
    for (int i = 0; i < 12; i++) {
        cr_expect_eq(isnan(out[i]) != 0, i % 6 == 4, "query: element %d", i);
    }
    c.in[0] = clean;
    c.in[1] = q;
    ops_run(&c, 32, 1, out);
    for (int i = 0; i < 12; i++) {
        cr_expect(isnan(out[i]), "key: element %d", i);
    }
}

/* Memory grows with the tokens, not with their square. */
Test(attention, needs_scratch_linear_in_the_tokens) {
    struct op_call call = {.threads = 1, .out_shape = ops_shape(4, 1, 8, 64, 64)};
    const size_t small = op_kernels_fp32[OP_ATTENTION].scratch_size_bytes(&call);
    size_t large;

    call.out_shape = ops_shape(4, 1, 8, 128, 128);
    large = op_kernels_fp32[OP_ATTENTION].scratch_size_bytes(&call);
    cr_assert_lt(large, 5 * small);
}
