/* Oracles: what the reference says, in FP32 and FP64, and the bounds that follow from the two. Taken from the oracle
 * store, or computed in reference workers at first use and kept there; in memory they stay for the run. */
#ifndef HARNESS_ORACLE_ORACLE_H
#define HARNESS_ORACLE_ORACLE_H

#include "harness/case.h"
#include "harness/inputs.h"
#include "harness/metrics.h"
#include "harness/oracle/oracle_store.h"

struct oracle {
    char key[65]; /* of the store: SHA-256 of all that decides the images */
    struct oracle_label label;
    const char *source;                           /* "computed in this run", "store" */
    struct vaemark_tensor image_fp32, image_fp64; /* owned */
    struct metrics own_error;                     /* FP32 against FP64 */
};

struct oracles {
    struct oracle **items;
    size_t count, capacity;
    uint64_t seed;
    int64_t threads;
    double timeout_s;
    struct oracle_store store;      /* folder NULL: nothing is kept */
    void (*note)(const char *text); /* told of damaged entries, and once when oracles cannot be kept; may be NULL */
    bool unkept;                    /* an oracle could not be kept */
};

/* Lets them be taken from and kept in the user's store. Without one a run goes on, and `note` says so. */
void oracles_use_store(struct oracles *oracles);
/* The oracle of a case's ring member `ring`. On failure `error` says so as a fault of the harness. */
enum vaemark_status oracles_get(struct oracles *oracles, const struct run_case *item, int64_t ring,
                                const struct oracle **found, struct error *error);
/* Forgets the images in memory; the store stays open. */
void oracles_forget(struct oracles *oracles);
void oracles_free(struct oracles *oracles);

/* What the oracle of a case's ring member is of, with its key. The model's weights must be open. Options that leave the
 * reference's image as it is (fuse_qkv, slicing) and the number of threads are not part of it; tests/reference/
 * test_executor.c holds that the reference answers bit by bit the same with any number. */
enum vaemark_status oracle_label_make(const struct run_case *item, uint64_t seed, int64_t ring,
                                      const struct input_set *set, struct oracle_label *label, struct error *error);

/* The tiles of a case, its image's shape among them, and what they cost (`flops` may be NULL).
 * VAEMARK_UNSUPPORTED_OPTION where the framework has no tiled result. */
enum vaemark_status case_plan_tiles(const struct run_case *item, const struct input_set *set, struct tiling *tiling,
                                    uint64_t *flops, struct error *error);
/* "off", "on" or "corrected": the one option that changes what is right. */
const char *case_tiling(const struct run_case *item);
/* Fills in both images and when they were made, in workers of their own; twice tried. The caller frees the images. */
enum vaemark_status oracle_compute(const struct oracles *oracles, const struct run_case *item,
                                   const struct input_set *set, struct oracle *oracle, struct error *error);

/* Makes the inputs of a case's ring member, synthetic or from its file. */
enum vaemark_status case_make_inputs(const struct run_case *item, uint64_t seed, int64_t ring, struct input_set *set,
                                     struct error *error);

/* The error that a decoder of this precision may have against the FP32 oracle (docs/bounds.md):
 * K x |FP32 reference - FP64| x (unit roundoff of the precision / that of FP32) x a factor of the algorithm, but at
 * least 16 x unit roundoff x max |oracle|. */
struct bound {
    double value;
    char derivation[320];
};
/* `reference_error`: the reference's own, in the norm that is bounded (largest, RMS, RMS of the worst tile). */
/* `algorithm`: as the decoder declares it for this precision, "winograd"; NULL and what is unknown: nothing special. */
struct bound bound_derive(double reference_error, double oracle_max_abs, const char *precision, const char *algorithm);

#endif
