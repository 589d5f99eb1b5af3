#include "harness/checks/observe.h"

#include <math.h>
#include <string.h>

struct finding plain_finding(const char *name, bool passed, const char *derivation) {
    return (struct finding){
        .name = name, .passed = passed, .value = (double)NAN, .bound = (double)NAN, .derivation = derivation};
}

enum vaemark_status observe_decoder(struct judgement *j, struct observation *observation, struct error *error) {
    enum vaemark_status status = session_decode(&j->session, 0, 1, 1, 1, &observation->sample, NULL, error);
    return status == VAEMARK_OK ? worker_memory(j->session.worker, false, &observation->memory, error) : status;
}

bool observe_same_image(const struct observation *a, const struct observation *b) {
    return strcmp(a->sample.output_hash, b->sample.output_hash) == 0;
}

bool observe_same_memory(const struct worker_memory *a, const struct worker_memory *b) {
    return memcmp(a->current_bytes, b->current_bytes, sizeof a->current_bytes) == 0;
}
