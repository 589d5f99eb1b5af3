/* Oracles: what the reference says, in FP32 and FP64, and the bounds that follow from the two. Computed in reference
 * workers at first use and kept for the run. */
#ifndef HARNESS_ORACLE_H
#define HARNESS_ORACLE_H

#include "harness/case.h"
#include "harness/inputs.h"
#include "harness/metrics.h"

struct oracle {
    char key[640];                                /* model, shape, latents, ring member */
    struct vaemark_tensor image_fp32, image_fp64; /* owned */
    struct metrics own_error;                     /* FP32 against FP64 */
};

struct oracles {
    struct oracle **items;
    size_t count, capacity;
    uint64_t seed;
    int64_t threads;
    double timeout_s;
};

/* The oracle of a case's ring member `ring`. On failure `error` says so as a fault of the harness. */
enum vaemark_status oracles_get(struct oracles *oracles, const struct run_case *item, int64_t ring,
                                const struct oracle **found, struct error *error);
void oracles_free(struct oracles *oracles);

/* Makes the inputs of a case's ring member, synthetic or from its file. */
enum vaemark_status case_make_inputs(const struct run_case *item, uint64_t seed, int64_t ring, struct input_set *set,
                                     struct error *error);

/* The error that a decoder of this precision may have against the FP32 oracle (docs/bounds.md):
 * K x |FP32 reference - FP64| x (unit roundoff of the precision / that of FP32), but at least
 * 16 x unit roundoff x max |oracle|. */
struct bound {
    double value;
    char derivation[256];
};
/* `reference_error`: the reference's own, in the norm that is bounded (largest, RMS, RMS of the worst tile). */
struct bound bound_derive(double reference_error, double oracle_max_abs, const char *precision);

#endif
