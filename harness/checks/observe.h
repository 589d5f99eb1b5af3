/* What a decoder is seen to be from outside: its memory, and its image of ring member 0. */
#ifndef HARNESS_CHECKS_OBSERVE_H
#define HARNESS_CHECKS_OBSERVE_H

#include "harness/checks/checks.h"

struct observation {
    struct worker_memory memory;
    struct worker_sample sample;
};

/* Decodes once and looks. */
enum vaemark_status observe_decoder(struct judgement *j, struct observation *observation, struct error *error);
bool observe_same_image(const struct observation *a, const struct observation *b);
bool observe_same_memory(const struct worker_memory *a, const struct worker_memory *b);

/* A finding that is not about a number. */
struct finding plain_finding(const char *name, bool passed, const char *derivation);

#endif
