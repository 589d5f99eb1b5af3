/* Checks on how a decoder behaves: in-bounds, deterministic, nan-shows, memory-planned, memory-returned, not-cached. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "harness/checks/checks.h"
#include "harness/run/memory_phases.h"

/* True when every input in the segment is still what was put there. */
static bool inputs_unchanged(const struct judgement *j, const char **changed) {
    const struct segment *segment = worker_segment(j->session.worker);
    for (size_t s = 0; s < j->set_count; s++) {
        for (size_t i = 0; i < j->sets[s].count; i++) {
            const struct segment_tensor *placed = &j->session.inputs[s][i];
            if (memcmp(segment_data(segment, placed), j->sets[s].tensors[i].data, placed->size_bytes) != 0) {
                *changed = placed->name;
                return false;
            }
        }
    }
    return true;
}

enum vaemark_status check_in_bounds(struct judgement *j, const char *weights_before, struct error *error) {
    struct worker_memory memory;
    enum vaemark_status status = worker_memory(j->session.worker, false, &memory, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    char where[160] = "";
    const char *changed = NULL;
    struct finding finding = {.name = "in-bounds",
                              .value = (double)NAN,
                              .bound = (double)NAN,
                              .derivation = "a decode writes its image and its own memory, nothing else"};
    if (!segment_guards_intact(worker_segment(j->session.worker), where, sizeof where)) {
        check_record(j, &finding, "a guard band in shared memory was overwritten: %s", where);
    } else if (!inputs_unchanged(j, &changed)) {
        check_record(j, &finding, "input '%s' was changed by the decode", changed);
    } else if (memory.host_allocator && !memory.guards_intact) {
        check_record(j, &finding, "a guard band around one of the decoder's own allocations was overwritten");
    } else if (memory.host_allocator && strcmp(memory.weights_hash, weights_before) != 0) {
        check_record(j, &finding, "the decoder's weights were changed by the decode");
    } else {
        finding.passed = true;
        check_record(j, &finding, "guard bands, inputs%s untouched", memory.host_allocator ? " and weights" : "");
    }
    return VAEMARK_OK;
}

enum vaemark_status check_deterministic(struct judgement *j, struct error *error) {
    struct worker_sample sample;
    enum vaemark_status status = session_decode(&j->session, 0, 1, 1, 1, &sample, NULL, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    if (!j->deterministic) {
        struct vaemark_tensor image = session_image(&j->session);
        return check_same_within_bound(j, "deterministic", &image, &j->first_image,
                                       "the first decode (the backend declares that decodes may differ)", error);
    }
    bool same = strcmp(sample.output_hash, j->first_hash) == 0;
    struct finding finding = {.name = "deterministic",
                              .passed = same,
                              .value = (double)NAN,
                              .bound = (double)NAN,
                              .derivation = "the backend declares that decodes are bit-identical"};
    check_record(j, &finding, "two decodes of the same latents %s", same ? "are bit-identical" : "differ");
    return VAEMARK_OK;
}

enum vaemark_status check_nan_shows(struct judgement *j, struct error *error) {
    struct worker_sample sample;
    if (j->sets[j->ring].tensors[0].dtype != VAEMARK_F32) {
        return VAEMARK_OK; /* codes: there is no NaN among integers */
    }
    enum vaemark_status status = session_decode(&j->session, j->ring, j->ring, 1, 1, &sample, NULL, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct vaemark_tensor image = session_image(&j->session);
    struct shape shape = tensor_shape(&image);
    int64_t count = shape_element_count(&shape), shown = 0;
    int64_t unwritten = segment_count_poison(worker_segment(j->session.worker), &j->session.image);
    for (int64_t i = 0; i < count; i++) {
        double value = 0;
        tensor_read_f64(&value, &image, i, 1);
        shown += isnan(value) != 0;
    }
    shown -= unwritten; /* poison is a NaN, too */
    struct finding finding = {.name = "nan-shows",
                              .passed = shown > 0,
                              .value = (double)shown,
                              .bound = 1,
                              .derivation = "a NaN that vanishes would hide a broken model"};
    check_record(j, &finding, "one NaN in the latents makes %lld of %lld elements of the image NaN", (long long)shown,
                 (long long)count);
    return VAEMARK_OK;
}

static uint64_t sum_scratch(const uint64_t bytes[VAEMARK_MEMORY_CLASS_COUNT]) {
    return bytes[VAEMARK_MEMORY_ACTIVATIONS] + bytes[VAEMARK_MEMORY_WORKSPACE];
}

enum vaemark_status check_memory_planned(struct judgement *j, struct error *error) {
    struct worker_memory memory;
    struct worker_sample sample;
    enum vaemark_status status = worker_memory(j->session.worker, true, &memory, error);
    if (status == VAEMARK_OK) {
        status = session_decode(&j->session, 0, 1, 1, 1, &sample, NULL, error);
    }
    if (status == VAEMARK_OK) {
        status = worker_memory(j->session.worker, false, &memory, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    memory_phase_record(j, "decode", &memory);
    uint64_t planned = sum_scratch(j->session.plan.planned_bytes);
    j->row->memory_planned_bytes = planned ? (int64_t)planned : -1;
    j->row->memory_peak_bytes = (int64_t)memory.peak_total_bytes;
    j->row->memory_weights_bytes = (int64_t)memory.current_bytes[VAEMARK_MEMORY_WEIGHTS];
    j->row->memory_device_peak_bytes = memory.device_peak_bytes;
    if (!planned) {
        return VAEMARK_OK; /* a decoder that does not plan has nothing to be held to */
    }
    /* Class by class: where a decoder allocates as it goes, the two peaks need not fall on the same moment. */
    const uint64_t *plan = j->session.plan.planned_bytes;
    bool same = memory.peak_bytes[VAEMARK_MEMORY_ACTIVATIONS] == plan[VAEMARK_MEMORY_ACTIVATIONS] &&
                memory.peak_bytes[VAEMARK_MEMORY_WORKSPACE] == plan[VAEMARK_MEMORY_WORKSPACE];
    struct finding finding = {.name = "memory-planned",
                              .passed = same,
                              .value = (double)sum_scratch(memory.peak_bytes),
                              .bound = (double)planned,
                              .derivation = "the plan made before the decode, byte for byte, class by class",
                              .decoders_word = !memory.host_allocator};
    check_record(
        j, &finding, "the allocator's peaks are %llu bytes of activations and %llu of workspace, planned %llu and %llu",
        (unsigned long long)memory.peak_bytes[VAEMARK_MEMORY_ACTIVATIONS],
        (unsigned long long)memory.peak_bytes[VAEMARK_MEMORY_WORKSPACE],
        (unsigned long long)plan[VAEMARK_MEMORY_ACTIVATIONS], (unsigned long long)plan[VAEMARK_MEMORY_WORKSPACE]);
    return VAEMARK_OK;
}

enum vaemark_status check_memory_returned(struct judgement *j, struct error *error) {
    struct worker_memory memory;
    enum vaemark_status status = worker_close(j->session.worker, &memory, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    memory_phase_record(j, "close", &memory);
    uint64_t left = 0;
    for (int c = 0; c < VAEMARK_MEMORY_CLASS_COUNT; c++) {
        left += memory.current_bytes[c];
    }
    struct finding finding = {.name = "memory-returned",
                              .passed = left == 0,
                              .value = (double)left,
                              .bound = 0,
                              .derivation = "close releases everything",
                              .decoders_word = !memory.host_allocator};
    check_record(j, &finding, "%llu bytes are still held after close", (unsigned long long)left);
    return VAEMARK_OK;
}

/* The first two samples of which one must not be like the other; samples i and k saw inputs i % ring and k % ring. */
static bool hashes_fit(const struct judgement *j, const struct worker_sample *samples, size_t count, size_t *a,
                       size_t *b) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k < count; k++) {
            bool same_input = i % j->ring == k % j->ring;
            bool same_output = strcmp(samples[i].output_hash, samples[k].output_hash) == 0;
            if (same_output != same_input && (same_output || j->deterministic)) {
                *a = i;
                *b = k;
                return false;
            }
        }
    }
    return true;
}

size_t ring_member_held_to_oracle(const char *case_id, uint64_t seed, size_t ring) {
    char text[640], hex[65], head[9] = {0};
    if (ring < 2) {
        return 0;
    }
    snprintf(text, sizeof text, "%llu/%s", (unsigned long long)seed, case_id);
    hash_bytes(text, strlen(text), hex);
    memcpy(head, hex, 8);
    return 1 + strtoul(head, NULL, 16) % (ring - 1);
}

enum vaemark_status check_not_cached(struct judgement *j, const struct worker_sample *samples, size_t sample_count,
                                     struct error *error) {
    size_t timed = sample_count < j->ring ? sample_count : j->ring; /* ring members that were timed at all */
    size_t a = 0, b = 0, chosen = ring_member_held_to_oracle(j->item->id, j->seed, timed);
    struct finding finding = {.name = "not-cached",
                              .value = (double)NAN,
                              .bound = (double)NAN,
                              .derivation = "timed decodes are real decodes"};
    if (!hashes_fit(j, samples, sample_count, &a, &b)) {
        check_record(j, &finding, "timed decodes %zu and %zu of %s latents have %s images", a, b,
                     a % j->ring == b % j->ring ? "the same" : "different",
                     a % j->ring == b % j->ring ? "different" : "the same");
        return VAEMARK_OK;
    }
    struct worker_sample again;
    enum vaemark_status status = session_decode(&j->session, chosen, j->ring, 1, 1, &again, NULL, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    if (j->deterministic && strcmp(again.output_hash, samples[chosen].output_hash) != 0) {
        check_record(j, &finding, "input %zu, decoded again, gives another image than when it was timed", chosen);
        return VAEMARK_OK;
    }
    const struct oracle *oracle = NULL;
    struct metrics m;
    struct vaemark_tensor image = session_image(&j->session);
    status = oracles_get(j->oracles, j->item, (int64_t)chosen, &oracle, error);
    if (status == VAEMARK_OK) {
        status = metrics_compare(&image, &oracle->image_fp32, &m, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    const struct metrics *own = &oracle->own_error;
    struct bound bound = bound_derive(own->max_abs_error, own->oracle_max_abs, j->item->precision, j->algorithm);
    finding.passed = m.max_abs_error <= bound.value;
    finding.value = m.max_abs_error;
    finding.bound = bound.value;
    finding.derivation = bound.derivation;
    check_record(j, &finding, "%zu timed decodes differ as their latents do; input %zu, drawn by lot, is off by %.3g",
                 sample_count, chosen, m.max_abs_error);
    return VAEMARK_OK;
}
