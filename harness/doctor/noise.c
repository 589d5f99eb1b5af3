/* How much one and the same work differs from time to time on this machine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/doctor/doctor.h"
#include "kernels/cpu/peak.h"

enum { NOISE_MAX_SAMPLES = 4096, LEAST_SAMPLES = 10 };
static const double SAMPLE_S = 0.010;

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts a copy. */
static double median_of(const double *values, size_t count) {
    double sorted[NOISE_MAX_SAMPLES];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* Iterations of the loop that take about SAMPLE_S, from its fastest of a few tries. */
static size_t calibrate(const struct peak_kernels *kernels, double *consumed) {
    enum { TRIES = 5, TRIED_ITERATIONS = 100000 };
    double fastest_ns = 1e18;
    for (int i = 0; i < TRIES; i++) {
        int64_t start_ns = clock_monotonic_ns();
        *consumed += kernels->multiply_add(TRIED_ITERATIONS, i);
        double taken_ns = (double)(clock_monotonic_ns() - start_ns);
        fastest_ns = taken_ns < fastest_ns ? taken_ns : fastest_ns;
    }
    return (size_t)(SAMPLE_S * 1e9 / fastest_ns * TRIED_ITERATIONS) + 1;
}

/* The largest difference between medians of neighbouring groups; NaN with fewer than two. */
static double largest_step(const double *samples, size_t count, double median) {
    double largest = (double)NAN;
    for (size_t i = 0; i + 2 * NOISE_GROUP <= count; i += NOISE_GROUP) {
        double step = fabs(median_of(samples + i, NOISE_GROUP) - median_of(samples + i + NOISE_GROUP, NOISE_GROUP));
        largest = !(step / median <= largest) ? step / median : largest;
    }
    return largest;
}

static void summarise(const double *samples, size_t count, struct noise *noise) {
    double deviations[NOISE_MAX_SAMPLES], sorted[NOISE_MAX_SAMPLES];
    memcpy(sorted, samples, count * sizeof *samples);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    noise->sample_count = count;
    noise->median_ns = median_of(samples, count);
    for (size_t i = 0; i < count; i++) {
        deviations[i] = fabs(samples[i] - noise->median_ns);
    }
    noise->mad_ns = median_of(deviations, count);
    noise->p99_ns = sorted[(size_t)ceil(0.99 * (double)count) - 1];
    noise->slowest_ns = sorted[count - 1];
    /* MAD -> standard deviation 1.4826, of a median sqrt(pi / 2) / sqrt(n), of a difference sqrt(2), 95 %: 1.96 */
    double spread = 1.96 * sqrt(2) * sqrt(M_PI / 2) * 1.4826 * noise->mad_ns / sqrt(NOISE_GROUP) / noise->median_ns;
    double step = largest_step(samples, count, noise->median_ns);
    noise->smallest_difference = step > spread ? step : spread;
}

static double share(int64_t before_ns, int64_t after_ns, double whole_ns) {
    return before_ns < 0 || after_ns < 0 ? (double)NAN : (double)(after_ns - before_ns) / whole_ns;
}

enum vaemark_status noise_measure(const struct doctor_pace *pace, struct noise *noise, struct error *error) {
    double samples[NOISE_MAX_SAMPLES];
    struct process_usage before, after;
    size_t known = 0, count = 0;
    const struct peak_kernels *const *all = peak_kernel_sets(&known), *kernels = NULL;
    for (size_t i = 0; i < known && !kernels; i++) {
        kernels = all[i]->is_supported() ? all[i] : NULL;
    }
    if (!kernels) {
        return error_set(error, VAEMARK_INTERNAL, "no instruction set of this build runs here");
    }
    volatile double sink = 0;
    double consumed = 0;
    size_t iterations = calibrate(kernels, &consumed);
    process_usage_read(&before);
    int64_t start_ns = clock_monotonic_ns(), now_ns = start_ns;
    while (count < NOISE_MAX_SAMPLES && (count < LEAST_SAMPLES || (double)(now_ns - start_ns) < pace->noise_s * 1e9)) {
        consumed += kernels->multiply_add(iterations, (double)count);
        int64_t end_ns = clock_monotonic_ns();
        samples[count++] = (double)(end_ns - now_ns);
        now_ns = end_ns;
    }
    process_usage_read(&after);
    sink = consumed;
    (void)sink;
    double whole_ns = (double)(now_ns - start_ns);
    summarise(samples, count, noise);
    noise->run_delay_share = share(before.run_delay_ns, after.run_delay_ns, whole_ns);
    noise->steal_share = share(before.steal_ns, after.steal_ns, whole_ns * (double)sysconf(_SC_NPROCESSORS_ONLN));
    noise->involuntary_switches = before.involuntary_switches < 0
                                      ? (double)NAN
                                      : (double)(after.involuntary_switches - before.involuntary_switches);
    return VAEMARK_OK;
}
