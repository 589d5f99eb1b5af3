#include "results/statistics.h"

#include <criterion/criterion.h>
#include <math.h>

/* 1..count in an order that is not sorted. */
static void fill(double *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        values[i] = (double)((i * 7919) % count) + 1;
    }
}

Test(statistics, median_of_odd_and_even_counts) {
    cr_expect_eq(statistics_median((double[]){3, 1, 2}, 3).median, 2);
    cr_expect_eq(statistics_median((double[]){4, 1, 3, 2}, 4).median, 2.5);
    cr_expect_eq(statistics_median((double[]){7}, 1).median, 7);
}

/* Ranks from tables of the sign test: Hollander & Wolfe, table A.2 (n = 6: 1 and 6, 96.88 %; 10: 2 and 9, 97.85 %;
 * 20: 6 and 15, 95.86 %; 25: 8 and 18, 95.67 %), and from the exact binomial for 100 (40 and 61, 96.48 %). */
Test(statistics, interval_has_the_ranks_of_the_binomial) {
    static const struct {
        size_t count;
        double low, high, confidence;
    } known[] = {{6, 1, 6, 0.96875},    {10, 2, 9, 0.978516}, {20, 6, 15, 0.958611}, {25, 8, 18, 0.956715},
                 {100, 40, 61, 0.9648}, {5, 1, 5, 0.9375},    {2, 1, 2, 0.5},        {1, 1, 1, 0}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        double values[100];
        fill(values, known[i].count);
        struct median_interval interval = statistics_median(values, known[i].count);
        cr_expect_eq(interval.low, known[i].low, "low of %zu is %g", known[i].count, interval.low);
        cr_expect_eq(interval.high, known[i].high, "high of %zu is %g", known[i].count, interval.high);
        cr_expect_float_eq(interval.confidence, known[i].confidence, 5e-5, "confidence of %zu is %g", known[i].count,
                           interval.confidence);
    }
}

/* 2^-n is zero in doubles from n = 1075 on. */
Test(statistics, many_samples_keep_their_interval) {
    static double values[10007];
    fill(values, 10007);
    struct median_interval interval = statistics_median(values, 10007);
    cr_expect_eq(interval.median, 5004);
    cr_expect_float_eq(interval.low, 5004 - 0.98 * sqrt(10007), 1.5);
    cr_expect_float_eq(interval.high, 5004 + 0.98 * sqrt(10007), 1.5);
    /* A rank more covers 2 * 0.0584 / (sqrt(n) / 2) = 0.0023 more. */
    cr_expect(interval.confidence >= 0.95 && interval.confidence < 0.9524, "%g", interval.confidence);
}

Test(statistics, input_is_not_sorted_in_place) {
    double values[] = {3, 1, 2};
    statistics_median(values, 3);
    cr_expect(values[0] == 3 && values[1] == 1 && values[2] == 2);
}

Test(statistics, mad_and_quantiles) {
    cr_expect_eq(statistics_mad((double[]){1, 1, 2, 2, 4, 6, 9}, 7), 1);
    const double values[] = {40, 10, 30, 20};
    cr_expect_eq(statistics_quantile(values, 4, 0), 10);
    cr_expect_eq(statistics_quantile(values, 4, 1), 40);
    cr_expect_float_eq(statistics_quantile(values, 4, 0.5), 25, 1e-12);
    cr_expect_float_eq(statistics_quantile(values, 4, 0.95), 38.5, 1e-12, "definition 7 of Hyndman and Fan");
}

Test(statistics, nothing_and_nan_give_nan) {
    cr_expect(isnan(statistics_median(NULL, 0).median));
    cr_expect(isnan(statistics_mad(NULL, 0)));
    cr_expect(isnan(statistics_quantile(NULL, 0, 0.5)));
    cr_expect(isnan(statistics_quantile((double[]){1}, 1, 1.5)));
    cr_expect(isnan(statistics_median((double[]){1, NAN, 2}, 3).high), "a NaN must not pass for a sample");
}
