/* Checks that an image depends on its latents alone: fresh (not on decodes before), threads (not on how many), batch
 * (not on its place in a batch nor on its neighbours there). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks/checks.h"
#include "harness/checks/observe.h"

/* The one decode more that threads and batch take each is made up to this much work: less than a second for the slowest
 * backend on one thread. What they look for, a race or a mixed-up index, shows in small pictures as in large ones. */
static const uint64_t largest_extra_flops = 5000000000;

static bool is_cheap(const struct judgement *j) {
    return j->graph_flops <= largest_extra_flops;
}

enum vaemark_status check_fresh(struct judgement *j, struct error *error) {
    struct vaemark_tensor image = session_image(&j->session);
    if (!j->deterministic) {
        return check_same_within_bound(j, "fresh", &image, &j->first_image, "the first decode of the same latents",
                                       error);
    }
    bool same = memcmp(image.data, j->first_image.data, tensor_size_bytes(&image)) == 0;
    struct finding finding = plain_finding("fresh", same, "the backend declares that decodes are bit-identical");
    check_record(j, &finding, "decoded again after other latents, with a NaN, the image is %s",
                 same ? "the same bit by bit" : "another");
    return VAEMARK_OK;
}

/* A backend that does not take the option now is not judged; a dead worker is for the caller. */
enum vaemark_status check_threads(struct judgement *j, struct error *error) {
    struct error refusal = {0};
    struct worker_sample sample;
    const char *asked = option_list_find(&j->open_options, "threads");
    if (!is_cheap(j) || !asked || j->threads < 2) {
        return VAEMARK_OK;
    }
    enum vaemark_status status = session_set_option(&j->session, "threads", "1", &refusal);
    if (status != VAEMARK_OK) {
        if (session_fate(&j->session)->kind != WORKER_ALIVE) {
            *error = refusal;
            return status;
        }
        return VAEMARK_OK;
    }
    status = session_decode(&j->session, 0, 1, 1, 1, &sample, NULL, error);
    if (status == VAEMARK_OK) {
        struct vaemark_tensor image = session_image(&j->session);
        status = check_same_within_bound(j, "threads", &image, &j->first_image, "the one of all threads", error);
    }
    return status == VAEMARK_OK ? session_set_option(&j->session, "threads", asked, error) : status;
}

/* Puts member 0 in the place of every member. */
static void repeat_first_member(struct vaemark_tensor *tensor, int64_t batch) {
    const size_t member_bytes = tensor_size_bytes(tensor) / (size_t)batch;
    for (int64_t b = 1; b < batch; b++) {
        memcpy((unsigned char *)tensor->data + (size_t)b * member_bytes, tensor->data, member_bytes);
    }
}

bool check_batch_is_made(const struct judgement *j) {
    bool split = j->item->batch > 1 && is_cheap(j);
    for (size_t i = 0; split && i < j->sets[0].count; i++) {
        split = j->sets[0].tensors[i].rank > 1 && j->sets[0].tensors[i].shape[0] == j->item->batch;
    }
    return split;
}

enum vaemark_status check_batch_make_inputs(struct judgement *j, struct error *error) {
    enum vaemark_status status = case_make_inputs(j->item, j->seed, 0, &j->sets[j->set_count], error);
    if (status != VAEMARK_OK) {
        return status;
    }
    for (size_t i = 0; i < j->sets[j->set_count].count; i++) {
        repeat_first_member(&j->sets[j->set_count].tensors[i], j->item->batch);
    }
    j->set_count++;
    return VAEMARK_OK;
}

enum vaemark_status check_batch(struct judgement *j, struct error *error) {
    struct worker_sample sample;
    if (!check_batch_is_made(j)) {
        return VAEMARK_OK;
    }
    struct vaemark_tensor wanted = j->first_image;
    const size_t size_bytes = tensor_size_bytes(&wanted), set = j->set_count - 1;
    wanted.data = malloc(size_bytes);
    if (!wanted.data) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the images of a batch");
    }
    memcpy(wanted.data, j->first_image.data, size_bytes);
    repeat_first_member(&wanted, j->item->batch);
    enum vaemark_status status = session_decode(&j->session, set, j->ring, 1, 1, &sample, NULL, error);
    if (status == VAEMARK_OK) {
        struct vaemark_tensor image = session_image(&j->session);
        status = check_same_within_bound(j, "batch", &image, &wanted,
                                         "the first member's, whose latents are every member's now", error);
    }
    free(wanted.data);
    return status;
}
