#include "harness/run/measure.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "results/statistics.h"

void measurement_free(struct measurement *m) {
    free(m->samples);
    free(m->outside_ns);
    free(m->warmups);
    free(m->warmup_outside_ns);
    *m = (struct measurement){0};
}

static double sample_time(const struct measurement *m, size_t i) {
    return (double)m->samples[i].wall_ns / (double)m->decodes_per_sample;
}

/* Decodes that nobody counts; tells how many decodes make a sample long enough. */
static enum vaemark_status warm_up(struct judgement *j, struct measurement *m, struct error *error) {
    enum { MAX_DECODES_PER_SAMPLE = 10000 };
    enum vaemark_status status = VAEMARK_OK;
    while (status == VAEMARK_OK && m->warmup_count < j->suite->measure.warmups) {
        struct worker_sample *sample = &m->warmups[m->warmup_count];
        status = session_decode(&j->session, 0, j->ring, 1, 1, sample, &m->warmup_outside_ns[m->warmup_count], error);
        m->warmup_count += status == VAEMARK_OK;
    }
    int64_t last_ns = m->warmup_count > 0 ? m->warmups[m->warmup_count - 1].wall_ns : 1;
    double wanted = ceil(j->suite->measure.min_sample_ms * 1e6 / (double)(last_ns > 0 ? last_ns : 1));
    m->decodes_per_sample = (int64_t)fmin(fmax(wanted, 1), MAX_DECODES_PER_SAMPLE);
    return status;
}

/* True when the 95 % interval of the median is as narrow as the suite wants. */
static bool is_precise(const struct judgement *j, const struct measurement *m) {
    enum { RECENT_SAMPLES = 1024 };
    double times[RECENT_SAMPLES];
    size_t count = m->count < RECENT_SAMPLES ? m->count : RECENT_SAMPLES;
    for (size_t i = 0; i < count; i++) {
        times[i] = sample_time(m, m->count - count + i);
    }
    struct median_interval interval = statistics_median(times, count);
    return (interval.high - interval.low) / 2 <= interval.median * j->suite->measure.interval_percent / 100;
}

static bool reserve(struct measurement *m, size_t capacity, size_t warmups) {
    m->warmups = calloc(warmups + 1, sizeof *m->warmups);
    m->warmup_outside_ns = calloc(warmups + 1, sizeof *m->warmup_outside_ns);
    m->samples = calloc(capacity, sizeof *m->samples);
    m->outside_ns = calloc(capacity, sizeof *m->outside_ns);
    return m->samples && m->outside_ns && m->warmups && m->warmup_outside_ns;
}

/* One message of `count` samples that goes on in the ring where the last one stopped. */
static enum vaemark_status take_samples(struct judgement *j, size_t count, struct measurement *m, struct error *error) {
    int64_t outside_ns = 0;
    enum vaemark_status status = session_decode(&j->session, m->count % j->ring, j->ring, (int64_t)count,
                                                m->decodes_per_sample, m->samples + m->count, &outside_ns, error);
    for (size_t i = 0; status == VAEMARK_OK && i < count; i++) {
        m->outside_ns[m->count + i] = outside_ns / (int64_t)count;
    }
    m->count += status == VAEMARK_OK ? count : 0;
    return status;
}

double measure_budget_s(const struct judgement *j) {
    return j->item->block->budget_s > 0 ? j->item->block->budget_s : j->suite->measure.budget_s;
}

enum vaemark_status measure_decodes(struct judgement *j, bool oracle, double budget_s, struct measurement *m,
                                    struct error *error) {
    const struct suite_measure *settings = &j->suite->measure;
    *m = (struct measurement){.decodes_per_sample = 1};
    if (!reserve(m, settings->max_samples + j->ring, settings->warmups)) {
        return error_set(error, VAEMARK_INTERNAL, "not enough memory for samples");
    }
    if (oracle) {
        return take_samples(j, 1, m, error);
    }
    enum vaemark_status status = warm_up(j, m, error);
    int64_t start_ns = clock_monotonic_ns();
    bool done = false;
    while (status == VAEMARK_OK && !done) {
        status = take_samples(j, m->count == 0 ? j->ring : 1, m, error);
        double spent_s = (double)(clock_monotonic_ns() - start_ns) * 1e-9;
        done = (m->count >= settings->min_samples && is_precise(j, m)) || spent_s >= budget_s ||
               m->count >= settings->max_samples;
    }
    return status;
}

static void record_sample(struct judgement *j, const struct sample_row *identity, const struct worker_sample *sample) {
    struct sample_row *row = record_append(j->record, TABLE_SAMPLES);
    if (row) {
        *row = *identity;
        row->case_id = j->row->id;
        row->order = (int64_t)j->record->tables[TABLE_SAMPLES].count;
        row->wall_ns = sample->wall_ns;
        row->cpu_ns = sample->cpu_ns;
        row->run_delay_ns = sample->run_delay_ns;
        row->involuntary_switches = sample->involuntary_switches;
        row->minor_faults = sample->minor_faults;
        row->major_faults = sample->major_faults;
        row->steal_ns = sample->steal_ns;
    }
}

void measurement_record_samples(struct judgement *j, const struct measurement *m, int64_t launch) {
    struct sample_row identity = {.launch = launch, .decodes = 1, .phase = "warm-up"};
    for (size_t i = 0; i < m->warmup_count; i++) {
        identity.outside_ns = m->warmup_outside_ns[i];
        record_sample(j, &identity, &m->warmups[i]);
    }
    identity.phase = "timed";
    identity.decodes = m->decodes_per_sample;
    for (size_t i = 0; i < m->count; i++) {
        identity.outside_ns = m->outside_ns[i];
        record_sample(j, &identity, &m->samples[i]);
    }
}

/* Of the samples of one launch, or of the medians of several, for a launch moves all of its samples alike. `values` has
 * room for the samples of any launch, `time` picks one's time. */
static struct median_interval median_of(const struct measurement *launches, size_t count, double *values,
                                        double (*time)(const struct measurement *, size_t)) {
    double medians[SUITE_MAX_LAUNCHES];
    for (size_t launch = 0; launch < count; launch++) {
        for (size_t i = 0; i < launches[launch].count; i++) {
            values[i] = time(&launches[launch], i);
        }
        if (count == 1) {
            return statistics_median(values, launches[0].count);
        }
        medians[launch] = statistics_median(values, launches[launch].count).median;
    }
    return statistics_median(medians, count);
}

static double cpu_time(const struct measurement *m, size_t i) {
    return (double)m->samples[i].cpu_ns / (double)m->decodes_per_sample;
}

static double outside_time(const struct measurement *m, size_t i) {
    return (double)m->outside_ns[i] / (double)m->decodes_per_sample;
}

void measurements_summarise(struct judgement *j, const struct measurement *launches, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += launches[i].count;
    }
    double *values = calloc(total + 1, sizeof *values);
    if (!values || total == 0) {
        free(values);
        return;
    }
    struct case_row *row = j->row;
    struct median_interval interval = median_of(launches, count, values, sample_time);
    row->latency_median_ns = interval.median;
    row->latency_low_ns = interval.low;
    row->latency_high_ns = interval.high;
    row->cpu_time_median_ns = median_of(launches, count, values, cpu_time).median;
    row->outside_median_ns = median_of(launches, count, values, outside_time).median;
    for (size_t i = 0, used = 0; i < count; i++) {
        for (size_t k = 0; k < launches[i].count; k++) {
            values[used++] = sample_time(&launches[i], k);
        }
    }
    row->latency_mad_ns = statistics_mad(values, total);
    row->latency_min_ns = statistics_quantile(values, total, 0);
    row->sample_count = (int64_t)total;
    row->launch_count = (int64_t)count;
    row->decodes_per_sample = launches[0].decodes_per_sample;
    double pixels = (double)row->batch * (double)row->image_height * (double)row->image_width;
    row->throughput_pixels_per_s = pixels / (interval.median * 1e-9);
    row->achieved_flops_per_s = row->flops / (interval.median * 1e-9);
    free(values);
}
