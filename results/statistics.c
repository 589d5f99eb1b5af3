/* The interval of the median rests on order alone: the number of samples below the true median is binomial(n, 1/2),
 * whatever their distribution (Hollander & Wolfe 1999, 3.6). No sample is assumed normal, none is dropped. */
#include "results/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* A sorted copy; NULL for no values, for a NaN among them, and when memory is short. */
static double *copy_sorted(const double *values, size_t count) {
    double *sorted = count > 0 ? malloc(count * sizeof *sorted) : NULL;
    if (!sorted) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i])) {
            free(sorted);
            return NULL;
        }
        sorted[i] = values[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    return sorted;
}

static double median_of_sorted(const double *sorted, size_t count) {
    double upper = sorted[count / 2];
    return count % 2 ? upper : 0.5 * sorted[count / 2 - 1] + 0.5 * upper;
}

/* The largest k with P(fewer than k of n fair coins show heads) <= 2.5 %; *tail is that probability. 0 if there is
 * none. In logarithms, because 2^-n vanishes for the sample counts of long runs. */
static size_t find_rank(size_t count, double *tail) {
    double n = (double)count;
    double below = 0.0;
    for (size_t k = 0; k <= count; k++) {
        int sign;
        double i = (double)k;
        double log_choose = lgamma_r(n + 1.0, &sign) - lgamma_r(i + 1.0, &sign) - lgamma_r(n - i + 1.0, &sign);
        double next = below + exp(log_choose - n * log(2.0));
        if (!(next <= 0.025)) {
            *tail = below;
            return k;
        }
        below = next;
    }
    *tail = below;
    return count;
}

struct median_interval statistics_median(const double *values, size_t count) {
    double *sorted = copy_sorted(values, count);
    if (!sorted) {
        return (struct median_interval){.median = NAN, .low = NAN, .high = NAN, .confidence = NAN};
    }
    double tail;
    size_t rank = find_rank(count, &tail);
    if (rank == 0) { /* too few samples for 95 %: all there is, and what it covers */
        rank = 1;
        tail = exp2(-(double)count);
    }
    struct median_interval interval = {.median = median_of_sorted(sorted, count),
                                       .low = sorted[rank - 1],
                                       .high = sorted[count - rank],
                                       .confidence = 1.0 - 2.0 * tail};
    free(sorted);
    return interval;
}

double statistics_mad(const double *values, size_t count) {
    double *sorted = copy_sorted(values, count);
    if (!sorted) {
        return NAN;
    }
    double median = median_of_sorted(sorted, count);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = fabs(sorted[i] - median);
    }
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    double mad = median_of_sorted(sorted, count);
    free(sorted);
    return mad;
}

/* Linear between the order statistics around q (n - 1): Hyndman & Fan 1996, definition 7. */
double statistics_quantile(const double *values, size_t count, double q) {
    double *sorted = q >= 0.0 && q <= 1.0 ? copy_sorted(values, count) : NULL;
    if (!sorted) {
        return NAN;
    }
    double place = q * (double)(count - 1);
    size_t low = (size_t)place;
    size_t high = low + 1 < count ? low + 1 : low;
    double fraction = place - (double)low;
    double value = fraction > 0.0 ? sorted[low] * (1.0 - fraction) + sorted[high] * fraction : sorted[low];
    free(sorted);
    return value;
}
