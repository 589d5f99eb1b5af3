#include "harness/run/launches.h"

#include <math.h>
#include <string.h>

/* As the first launch was when its decodes were timed. */
static enum vaemark_status open_as_before(struct judgement *j, const struct session_start *start, struct error *error) {
    session_stop(&j->session);
    enum vaemark_status status = session_start(&j->session, start, error);
    if (status == VAEMARK_OK) {
        status = session_open(&j->session, &j->open_options, j->item->precision, error);
    }
    if (status == VAEMARK_OK && j->item->fuse_qkv) {
        status = session_set_option(&j->session, "fuse_qkv", "on", error);
    }
    return status == VAEMARK_OK ? session_prepare(&j->session, error) : status;
}

/* Sample i of either saw input i modulo the ring, and both went through the ring at least once. Where decodes need not
 * be bit-identical, other inputs must still make other images. */
static bool has_images_of(const struct judgement *j, const struct measurement *launch,
                          const struct measurement *first) {
    for (size_t i = 0; i < launch->count; i++) {
        for (size_t k = 0; k < j->ring; k++) {
            bool same_input = i % j->ring == k;
            bool same_image = strcmp(launch->samples[i].output_hash, first->samples[k].output_hash) == 0;
            if (same_image != same_input && (same_image || j->deterministic)) {
                return false;
            }
        }
    }
    return true;
}

enum vaemark_status launches_measure_others(struct judgement *j, const struct session_start *start,
                                            struct measurement *launches, size_t count, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    size_t other = 0; /* the first launch whose images are other ones */
    for (size_t i = 1; status == VAEMARK_OK && i < count; i++) {
        status = open_as_before(j, start, error);
        if (status == VAEMARK_OK) {
            status = measure_decodes(j, false, measure_budget_s(j), &launches[i], error);
            measurement_record_samples(j, &launches[i], (int64_t)i);
        }
        if (status == VAEMARK_OK && other == 0 && !has_images_of(j, &launches[i], &launches[0])) {
            other = i;
        }
    }
    if (status != VAEMARK_OK || count < 2) {
        return status;
    }
    struct finding finding = {.name = "launches",
                              .passed = other == 0,
                              .value = (double)NAN,
                              .bound = (double)NAN,
                              .derivation = j->deterministic ? "the backend declares that decodes are bit-identical"
                                                             : "timed decodes are real decodes"};
    if (other > 0) {
        check_record(j, &finding, "launch %zu decodes the same latents to other images than the first one", other + 1);
    } else {
        check_record(j, &finding, "%zu fresh workers decode the same latents to the same images", count);
    }
    return VAEMARK_OK;
}
