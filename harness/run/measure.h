/* Timing: samples of decodes on changing latents, until the median is known well enough or the budget is spent. */
#ifndef HARNESS_RUN_MEASURE_H
#define HARNESS_RUN_MEASURE_H

#include "harness/checks/checks.h"

struct measurement {
    struct worker_sample *samples; /* owned */
    int64_t *outside_ns;           /* a sample's share of its message, by the harness's clock; owned */
    size_t count;
    struct worker_sample *warmups; /* before them, a decode each; owned */
    int64_t *warmup_outside_ns;    /* owned */
    size_t warmup_count;
    int64_t decodes_per_sample;
};

/* `oracle` true: one sample, no claim (measurement.md: the reference's time is information). */
enum vaemark_status measure_decodes(struct judgement *j, bool oracle, double budget_s, struct measurement *measurement,
                                    struct error *error);
/* Seconds that samples of this case may take. */
double measure_budget_s(const struct judgement *j);
void measurement_free(struct measurement *measurement);
void measurement_record_samples(struct judgement *j, const struct measurement *measurement, int64_t launch);
/* Writes statistics into the case's row: of one launch's samples, or of several launches' medians. */
void measurements_summarise(struct judgement *j, const struct measurement *launches, size_t count);

#endif
