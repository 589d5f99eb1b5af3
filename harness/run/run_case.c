#include "harness/run/run_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "harness/checks/checks.h"
#include "harness/environment.h"
#include "harness/run/case_record.h"
#include "harness/run/launches.h"
#include "harness/run/memory_phases.h"
#include "harness/run/profile.h"

/* ---- Outcomes ---- */

static void set_outcome(struct judgement *j, const char *outcome, const char *reason) {
    j->row->outcome = record_text(j->record, outcome);
    j->row->reason = record_text(j->record, reason);
}

/* Failed by its checks: the first one in full, and how many there are. */
static void set_failed(struct judgement *j) {
    char reason[700];
    long long more = (long long)j->failed_checks - 1;
    snprintf(reason, sizeof reason, "%s", j->first_failure);
    if (more > 0) {
        size_t used = strlen(reason);
        snprintf(reason + used, sizeof reason - used, " (and %lld more check%s failed)", more, more == 1 ? "" : "s");
    }
    set_outcome(j, "failed", reason);
}

/* What a failed step means: the worker's fate first, then the typed error it answered with. */
static void set_outcome_of_failure(struct judgement *j, const struct error *error) {
    const struct worker_fate *fate = session_fate(&j->session);
    char reason[1400];
    if (fate->kind != WORKER_ALIVE) {
        const char *outcome = fate->kind == WORKER_CRASHED         ? "crashed"
                              : fate->kind == WORKER_TIMED_OUT     ? "timed_out"
                              : fate->kind == WORKER_OUT_OF_MEMORY ? "out_of_memory"
                                                                   : "failed";
        set_outcome(j, outcome, fate->reason);
        return;
    }
    if (j->failed_checks > 0 && error->status != VAEMARK_OUT_OF_MEMORY) {
        set_failed(j);
        return;
    }
    snprintf(reason, sizeof reason, "%s: %s", status_name(error->status), error->message);
    set_outcome(j, error->status == VAEMARK_OUT_OF_MEMORY ? "out_of_memory" : "failed", reason);
}

static bool must_be_refused(const struct run_case *item, const char *option) {
    for (size_t i = 0; case_must_refuse(item, i); i++) {
        if (strcmp(case_must_refuse(item, i), option) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the backend declared beforehand that it does not do this case. An option that must be refused is refused, not
 * declared away. */
static bool is_declared_unsupported(struct judgement *j) {
    const struct worker_hello *hello = worker_hello(j->session.worker);
    const char *vae_type = j->item->model->model->type->name;
    char precision[32];
    snprintf(precision, sizeof precision, "precision=%s", j->item->precision);
    size_t index;
    json_t *entry;
    json_array_foreach(hello->unsupported, index, entry) {
        const char *type = json_string_value(json_object_get(entry, "vae_type"));
        const char *option = json_string_value(json_object_get(entry, "option"));
        const char *reason = json_string_value(json_object_get(entry, "reason"));
        bool asked =
            !option || strcmp(option, precision) == 0 ||
            (option_is_asked(option_list_find(&j->item->options, option)) && !must_be_refused(j->item, option));
        if (asked && (!type || strcmp(type, vae_type) == 0)) {
            set_outcome(j, "unsupported", reason ? reason : "declared by the backend");
            return true;
        }
    }
    return false;
}

/* ---- Preparing ---- */

/* The ring of inputs and, behind it, ring member 0 with one NaN in the middle of its latents. */
static enum vaemark_status make_inputs(struct judgement *j, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t r = 0; status == VAEMARK_OK && r <= j->ring; r++) {
        status = case_make_inputs(j->item, j->seed, r < j->ring ? (int64_t)r : 0, &j->sets[r], error);
        j->set_count += status == VAEMARK_OK;
    }
    if (status == VAEMARK_OK && j->sets[j->ring].tensors[0].dtype == VAEMARK_F32) {
        struct shape shape = tensor_shape(&j->sets[j->ring].tensors[0]);
        ((float *)j->sets[j->ring].tensors[0].data)[shape_element_count(&shape) / 2] = NAN;
    }
    return status;
}

/* The passes of the case and its image's size. Where the framework's tiles have no result, nobody can be held to one:
 * the outcome says so. */
static enum vaemark_status measure_shapes(struct judgement *j, struct error *error) {
    struct error refusal = {0};
    enum vaemark_status status = case_plan_tiles(j->item, &j->sets[0], &j->tiling, &j->graph_flops, &refusal);
    const struct shape *image = &j->tiling.image;
    if (status == VAEMARK_UNSUPPORTED_OPTION) {
        set_outcome(j, "unsupported", refusal.message);
        return VAEMARK_OK;
    }
    if (status != VAEMARK_OK) {
        *error = refusal;
        return status;
    }
    j->row->flops = (double)j->graph_flops;
    j->row->image_height = image->dims[image->rank - 2];
    j->row->image_width = image->dims[image->rank - 1];
    return VAEMARK_OK;
}

/* The case's options for open: threads, and what is switched on or refused under observation left out. */
static enum vaemark_status set_open_options(struct judgement *j, int64_t threads, struct error *error) {
    char text[24];
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < j->item->options.count; i++) {
        const struct option_text *option = &j->item->options.items[i];
        if (strcmp(option->key, "fuse_qkv") != 0 && !must_be_refused(j->item, option->key)) {
            status = option_list_set(&j->open_options, option->key, option->value, error);
        }
    }
    snprintf(text, sizeof text, "%lld", (long long)threads);
    if (status == VAEMARK_OK && !option_list_find(&j->open_options, "threads")) {
        status = option_list_set(&j->open_options, "threads", text, error);
    }
    return status;
}

/* ---- The passes over a worker ---- */

static enum vaemark_status open_plain(struct judgement *j, struct error *error) {
    memory_phase_record_start(j);
    enum vaemark_status status = session_open(&j->session, &j->open_options, j->item->precision, error);
    j->row->open_time_ns = (double)j->session.open_ns;
    if (status == VAEMARK_OK) {
        status = memory_phase_end(j, "open", error);
    }
    if (status == VAEMARK_OK) {
        status = check_image_size(j, error);
    }
    return status == VAEMARK_OK ? memory_phase_end(j, "prepare", error) : status;
}

static enum vaemark_status judge_first_image(struct judgement *j, struct error *error) {
    struct worker_memory memory;
    struct worker_sample sample;
    enum vaemark_status status = worker_memory(j->session.worker, false, &memory, error);
    if (status == VAEMARK_OK) {
        status = session_decode(&j->session, 0, 1, 1, 1, &sample, NULL, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    j->row->first_decode_ns = (double)sample.wall_ns;
    strcpy(j->first_hash, sample.output_hash);
    j->first_image = session_copy_image(&j->session);
    if (!j->first_image.data) {
        return error_set(error, VAEMARK_INTERNAL, "no memory for a copy of the image");
    }
    status = check_image(j, j->oracle, true, error);
    return status == VAEMARK_OK ? check_in_bounds(j, memory.weights_hash, error) : status;
}

static enum vaemark_status record_trace(struct judgement *j, struct error *error) {
    struct worker_trace trace = {0};
    enum vaemark_status status = worker_trace(j->session.worker, &trace, error);
    for (size_t i = 0; status == VAEMARK_OK && i < trace.count; i++) {
        const struct worker_trace_entry *entry = &trace.entries[i];
        struct trace_row *row = record_append(j->record, TABLE_TRACE);
        if (row) { /* of a profile nothing is known yet */
            row->case_id = j->row->id;
            row->order = (int64_t)i;
            row->module = record_text(j->record, entry->module);
            row->op = record_text(j->record, entry->op);
            row->kernel = record_text(j->record, entry->kernel);
            row->why = record_text(j->record, entry->why);
            row->time_ns = (int64_t)entry->time_ns;
            row->flops = (int64_t)entry->flops;
            row->bytes = (int64_t)entry->bytes;
        }
    }
    worker_trace_free(&trace);
    return status;
}

static bool is_reference(const struct judgement *j) {
    return strcmp(j->item->decoder->backend, "reference") == 0;
}

static enum vaemark_status time_decodes(struct judgement *j, struct error *error) {
    enum vaemark_status status = measure_decodes(j, is_reference(j), measure_budget_s(j), j->launches, error);
    if (status == VAEMARK_OK) {
        measurement_record_samples(j, j->launches, 0);
        measurements_summarise(j, j->launches, 1);
        status = check_not_cached(j, j->launches[0].samples, j->launches[0].count, error);
    }
    return status;
}

/* The reference's time is information: one launch of it is enough. */
static enum vaemark_status time_other_launches(struct judgement *j, const struct session_start *start,
                                               struct error *error) {
    size_t count = is_reference(j) ? 1 : j->suite->measure.launches;
    enum vaemark_status status = launches_measure_others(j, start, j->launches, count, error);
    if (status == VAEMARK_OK && count > 1) {
        measurements_summarise(j, j->launches, count);
    }
    return status;
}

/* Everything after the decoder is open (and fused, where that is the case). */
static enum vaemark_status judge_decoder(struct judgement *j, struct error *error) {
    enum vaemark_status (*const steps[])(struct judgement *, struct error *) = {
        judge_first_image, record_trace,    check_deterministic, check_nan_shows, check_memory_planned, check_fresh,
        time_decodes,      profile_decodes, check_batch,         check_threads,   check_memory_returned};
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < sizeof steps / sizeof *steps; i++) {
        status = steps[i](j, error);
        if (j->row->memory_rss_peak_bytes < worker_rss_peak_bytes(j->session.worker)) {
            j->row->memory_rss_peak_bytes = worker_rss_peak_bytes(j->session.worker);
        }
    }
    return status;
}

static enum vaemark_status judge_plain(struct judgement *j, struct error *error) {
    enum vaemark_status status = open_plain(j, error);
    return status == VAEMARK_OK ? judge_decoder(j, error) : status;
}

static enum vaemark_status judge_fused(struct judgement *j, struct error *error) {
    enum vaemark_status status = open_plain(j, error);
    if (status == VAEMARK_OK) {
        status = check_fuse_qkv_works(j, error);
    }
    return status == VAEMARK_OK ? judge_decoder(j, error) : status;
}

/* Every option that must be refused, one after the other, each on a decoder of its own. */
static enum vaemark_status judge_refused(struct judgement *j, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && case_must_refuse(j->item, i); i++) {
        if (i > 0) {
            status = worker_close(j->session.worker, NULL, error);
        }
        if (status == VAEMARK_OK) {
            status = check_option_refused(j, case_must_refuse(j->item, i), error);
        }
    }
    return status;
}

/* ---- The case ---- */

/* Without an oracle the case cannot be judged; the others can. A refusal is judged without one, and a decoder that
 * does not do the case costs none either: it may take minutes. */
static bool need_oracle(struct judgement *j) {
    struct error error = {0};
    char reason[1400];
    if (oracles_get(j->oracles, j->item, 0, &j->oracle, &error) == VAEMARK_OK) {
        return true;
    }
    snprintf(reason, sizeof reason, "the oracle could not be computed: %s", error.message);
    set_outcome(j, error.status == VAEMARK_OUT_OF_MEMORY ? "out_of_memory" : "failed", reason);
    return false;
}

/* `must_refuse`: the option that was asked for to be refused, or NULL. */
static void set_outcome_of_checks(struct judgement *j, const char *must_refuse) {
    char reason[128] = "";
    if (j->failed_checks > 0) {
        set_failed(j);
    } else if (j->passed_checks == 0) {
        set_outcome(j, "failed", "no check was made");
    } else {
        if (must_refuse) {
            snprintf(reason, sizeof reason, "%s was refused, as it must be on this VAE type", must_refuse);
        }
        set_outcome(j, must_refuse ? "refused" : "passed", reason);
    }
}

/* A decoder may say by which algorithm it computes in a precision, and is then held to that one's bound. */
static void note_algorithm(struct judgement *j, const struct worker_hello *hello) {
    char key[64];
    snprintf(key, sizeof key, "algorithm.%.40s", j->item->precision);
    const char *algorithm = json_string_value(json_object_get(hello->facts, key));
    snprintf(j->algorithm, sizeof j->algorithm, "%s", algorithm ? algorithm : "");
}

static void judge_case(struct judgement *j, const struct run_settings *settings) {
    struct error error = {0};
    if (!case_must_refuse(j->item, 0)) { /* a refusal has no decodes to profile */
        profile_prepare(j);
    }
    struct session_start start = {.decoder = j->item->decoder,
                                  .model = j->item->model,
                                  .options = &j->item->options,
                                  .sets = j->sets,
                                  .set_count = j->set_count,
                                  .timeout_s = settings->timeout_s,
                                  .memory_limit_bytes = settings->memory_limit_bytes};
    enum vaemark_status status = session_start(&j->session, &start, &error);
    if (status != VAEMARK_OK) {
        set_outcome_of_failure(j, &error);
        return;
    }
    const struct worker_hello *hello = worker_hello(j->session.worker);
    j->deterministic = hello->deterministic;
    note_algorithm(j, hello);
    case_record_facts(j, hello);
    if (!hello->available) {
        set_outcome(j, "unsupported", hello->reason);
        return;
    }
    const char *must_refuse = case_must_refuse(j->item, 0);
    if (is_declared_unsupported(j) || (!must_refuse && !need_oracle(j))) {
        return;
    }
    status = must_refuse         ? judge_refused(j, &error)
             : j->item->fuse_qkv ? judge_fused(j, &error)
                                 : judge_plain(j, &error);
    if (status == VAEMARK_OK && !must_refuse) {
        status = time_other_launches(j, &start, &error);
    }
    if (status != VAEMARK_OK) {
        set_outcome_of_failure(j, &error);
    } else {
        set_outcome_of_checks(j, must_refuse);
    }
}

enum vaemark_status run_case(const struct run_settings *settings, const struct run_case *item, struct oracles *oracles,
                             struct record *record, const char *repro, const char **outcome, struct error *error) {
    int64_t start_ns = clock_monotonic_ns();
    struct judgement *j = calloc(1, sizeof *j);
    struct case_row *row = record_append(record, TABLE_CASES);
    struct measurement *launches = calloc(settings->suite->measure.launches, sizeof *launches);
    if (!j || !row || !launches) {
        free(j);
        free(launches);
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a case");
    }
    *j = (struct judgement){.item = item,
                            .suite = settings->suite,
                            .record = record,
                            .oracles = oracles,
                            .seed = settings->seed,
                            .ring = settings->suite->measure.ring,
                            .threads = settings->threads > 0 ? settings->threads : environment_cpu_count(),
                            .ceilings = settings->ceilings,
                            .launches = launches,
                            .row = row};
    case_record_identity(j, settings->threads, repro);
    enum vaemark_status status = make_inputs(j, error);
    if (status == VAEMARK_OK) {
        status = measure_shapes(j, error);
    }
    if (status == VAEMARK_OK) {
        status = set_open_options(j, settings->threads, error);
    }
    if (status == VAEMARK_OK && check_batch_is_made(j)) {
        status = check_batch_make_inputs(j, error);
    }
    if (status == VAEMARK_OK) {
        if (!row->outcome[0]) {
            judge_case(j, settings);
            case_record_pictures(j);
            case_record_oracle(j);
        }
        *outcome = row->outcome;
    }
    session_stop(&j->session);
    for (size_t i = 0; i < j->set_count; i++) {
        inputs_free(&j->sets[i]);
    }
    row->duration_ns = clock_monotonic_ns() - start_ns;
    for (size_t i = 0; i < settings->suite->measure.launches; i++) {
        measurement_free(&launches[i]);
    }
    free(launches);
    free(j->first_image.data);
    free(j);
    return status;
}
