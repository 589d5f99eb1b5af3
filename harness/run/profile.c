#include "harness/run/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "harness/environment.h"
#include "harness/run/measure.h"
#include "results/roofline.h"
#include "results/statistics.h"

enum { PROFILE_DECODES = 5 };

/* ---- Ceilings ---- */

/* Threads that the decoder was opened with. */
static int thread_count(const struct judgement *j) {
    const char *asked = option_list_find(&j->open_options, "threads");
    long threads = asked ? strtol(asked, NULL, 10) : 0;
    int cpus = environment_cpu_count();
    return threads < 1 || threads > cpus ? cpus : (int)threads;
}

static const struct peaks_ceilings *find_ceilings(const struct judgement *j) {
    int threads = thread_count(j);
    for (size_t i = 0; i < j->ceilings->count; i++) {
        if (j->ceilings->items[i].threads == threads) {
            return &j->ceilings->items[i];
        }
    }
    return NULL;
}

void profile_prepare(struct judgement *j) {
    static const struct doctor_pace pace = {.round_s = 0.002, .rounds = 25, .memory_bytes = 0x1p31};
    if (!j->ceilings || find_ceilings(j) || j->ceilings->count == CEILINGS_MAX) {
        return;
    }
    struct machine machine;
    struct error failure = {0};
    machine_read(&machine);
    /* What could not be measured is NaN: the row says that it is missing. */
    (void)peaks_measure_ceilings(&machine, &pace, thread_count(j), &j->ceilings->items[j->ceilings->count], &failure);
    j->ceilings->count++;
}

/* ---- Decodes ---- */

struct profile {
    size_t first, step_count; /* rows of /trace */
    double *times_ns;         /* (step, decode) */
    double decodes_ns[PROFILE_DECODES];
    size_t decode_count;
    const char *note;
};

/* The case's rows of /trace are the last ones: each case appends its own. */
static void find_steps(const struct judgement *j, struct profile *profile) {
    size_t end = j->record->tables[TABLE_TRACE].count;
    profile->first = end;
    while (profile->first > 0 &&
           strcmp(RECORD_ROW(j->record, TABLE_TRACE, profile->first - 1, trace_row)->case_id, j->row->id) == 0) {
        profile->first--;
    }
    profile->step_count = end - profile->first;
}

/* Notes why the times of this trace cannot be used: steps must be those of the first decode. */
static void take_times(const struct judgement *j, const struct worker_trace *trace, struct profile *profile) {
    bool any = false, same = trace->count == profile->step_count;
    for (size_t i = 0; same && i < trace->count; i++) {
        const struct worker_trace_entry *entry = &trace->entries[i];
        const struct trace_row *row = RECORD_ROW(j->record, TABLE_TRACE, profile->first + i, trace_row);
        same = strcmp(entry->module, row->module) == 0 && strcmp(entry->op, row->op) == 0 &&
               strcmp(entry->kernel, row->kernel) == 0;
        profile->times_ns[i * PROFILE_DECODES + profile->decode_count] = (double)entry->time_ns;
        any |= entry->time_ns > 0;
    }
    profile->note = trace->count == 0 ? "the decoder's trace is empty"
                    : !same           ? "the decoder's trace changes from decode to decode"
                    : !any            ? "the decoder's trace has no times"
                                      : "";
}

static enum vaemark_status decode_and_trace(struct judgement *j, struct profile *profile, struct error *error) {
    struct worker_sample sample;
    struct worker_trace trace = {0};
    enum vaemark_status status =
        session_decode(&j->session, profile->decode_count % j->ring, j->ring, 1, 1, &sample, NULL, error);
    if (status == VAEMARK_OK) {
        status = worker_trace(j->session.worker, &trace, error);
    }
    if (status == VAEMARK_OK) {
        take_times(j, &trace, profile);
        profile->decodes_ns[profile->decode_count++] = (double)sample.wall_ns;
    }
    worker_trace_free(&trace);
    return status;
}

/* At least one decode, and more as long as they fit into the time that the case's samples have, too. */
static enum vaemark_status take_decodes(struct judgement *j, struct profile *profile, struct error *error) {
    int64_t start_ns = clock_monotonic_ns();
    double spent_s = 0, budget_s = measure_budget_s(j);
    enum vaemark_status status = VAEMARK_OK;
    while (status == VAEMARK_OK && profile->decode_count < PROFILE_DECODES && !profile->note[0] &&
           (profile->decode_count == 0 || spent_s < budget_s)) {
        status = decode_and_trace(j, profile, error);
        spent_s = (double)(clock_monotonic_ns() - start_ns) * 1e-9;
    }
    return status;
}

/* ---- Rows ---- */

/* The ceilings of this processor say nothing of a device with memory of its own. */
static struct roofline find_roofline(const struct judgement *j, struct profile_row *row) {
    const struct peaks_ceilings *ceilings = find_ceilings(j);
    bool device = j->row->memory_device_peak_bytes >= 0;
    if (device || !ceilings) {
        return (struct roofline){NAN, NAN};
    }
    row->threads = ceilings->threads;
    row->isa = ceilings->isa;
    row->peak_flops_per_s = ceilings->flops_per_s;
    row->peak_bytes_per_s = ceilings->memory_bytes_per_s;
    return (struct roofline){ceilings->flops_per_s, ceilings->memory_bytes_per_s};
}

static const char *note_on_ceilings(const struct judgement *j, const struct roofline *roof) {
    return j->row->memory_device_peak_bytes >= 0 ? "the decoder works on a device whose ceilings are not measured"
           : isnan(roof->flops_per_s)            ? "this machine's ceilings could not be measured"
           : isnan(roof->bytes_per_s)            ? "the bandwidth of memory could not be measured: too little is free"
                                                 : "";
}

static void record_profile(struct judgement *j, const struct profile *profile) {
    struct profile_row *row = record_append(j->record, TABLE_PROFILES);
    if (!row) {
        return;
    }
    row->case_id = j->row->id;
    row->decodes = (int64_t)profile->decode_count;
    row->decode_ns = statistics_median(profile->decodes_ns, profile->decode_count).median;
    row->note = profile->note;
    if (profile->note[0]) {
        return;
    }
    struct roofline roof = find_roofline(j, row);
    row->note = note_on_ceilings(j, &roof);
    row->steps_ns = 0;
    struct trace_row *steps = (struct trace_row *)j->record->tables[TABLE_TRACE].rows + profile->first;
    for (size_t i = 0; i < profile->step_count; i++) {
        const double *times_ns = profile->times_ns + i * PROFILE_DECODES;
        double median_ns = statistics_median(times_ns, profile->decode_count).median;
        roofline_judge(&roof, &steps[i], median_ns);
        row->steps_ns += median_ns;
    }
}

enum vaemark_status profile_decodes(struct judgement *j, struct error *error) {
    struct profile profile = {.note = ""};
    if (!j->ceilings || j->failed_checks > 0) {
        return VAEMARK_OK;
    }
    find_steps(j, &profile);
    profile.times_ns = calloc(profile.step_count + 1, PROFILE_DECODES * sizeof *profile.times_ns);
    if (!profile.times_ns) {
        return error_set(error, VAEMARK_INTERNAL, "not enough memory for a profile of %zu steps", profile.step_count);
    }
    enum vaemark_status status = take_decodes(j, &profile, error);
    if (status == VAEMARK_OK) {
        record_profile(j, &profile);
    }
    free(profile.times_ns);
    return status;
}
