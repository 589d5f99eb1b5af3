/* Statistics of samples. Sources: order-statistic interval of the median: Hollander & Wolfe 1999, 3.6. */
#ifndef RESULTS_STATISTICS_H
#define RESULTS_STATISTICS_H

#include <stddef.h>

struct median_interval {
    double median, low,
        high;          /* 95 % confidence interval; where there are too few samples (below 6) smallest and largest */
    double confidence; /* what the interval really covers */
};
/* Does not change `values`. NaN for no values. */
struct median_interval statistics_median(const double *values, size_t count);
/* Median absolute deviation from the median, not scaled. */
double statistics_mad(const double *values, size_t count);
double statistics_quantile(const double *values, size_t count, double q);

#endif
