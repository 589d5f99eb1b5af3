/* Checks: one property each that a case must have, with a name, a bound and the reason for the bound. */
#ifndef HARNESS_CHECKS_CHECKS_H
#define HARNESS_CHECKS_CHECKS_H

#include "harness/oracle/oracle.h"
#include "harness/session.h"
#include "results/record.h"

/* A row of `vaemark list checks`. */
struct check_description {
    const char *name, *holds_when;
};
extern const struct check_description check_descriptions[];
extern const size_t check_description_count;

struct ceilings;    /* harness/run/profile.h */
struct measurement; /* harness/run/measure.h */

/* A case while it is being judged. */
struct judgement {
    const struct run_case *item;
    const struct suite *suite;
    struct record *record;
    struct oracles *oracles;
    uint64_t seed;
    struct option_list open_options; /* the case's, with threads, without fuse_qkv and what must be refused */
    struct session session;
    struct input_set sets[SESSION_MAX_SETS]; /* the ring, then one with a NaN, then check_batch's where it is made */
    size_t ring, set_count;
    int64_t threads;             /* that the decoder may use */
    struct ceilings *ceilings;   /* that its profile is held against; NULL: no profile */
    const struct oracle *oracle; /* of ring member 0 */
    struct case_row *row;
    struct vaemark_tensor first_image; /* of ring member 0; owned */
    char first_hash[65];
    struct measurement *launches; /* timed decodes, a measurement a launch; the caller's */
    struct tiling tiling;         /* of the case: passes, image, places of seams */
    uint64_t graph_flops;         /* of all passes */
    bool deterministic;           /* as declared */
    char algorithm[32];           /* ... for the case's precision; "" where nothing is */
    int64_t passed_checks, failed_checks;
    char first_failure[600];
};

/* What a check found. `passed` false fails the case. value and bound are NaN where the check is not about a number. */
struct finding {
    const char *name;
    bool passed;
    double value, bound;
    const char *derivation;
    bool decoders_word; /* evidence is the decoder's own word, not what the harness saw */
};

/* Records a finding with a message; an unknown name is a defect and fails the case. */
void check_record(struct judgement *j, const struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Plans for the inputs, before anything is decoded: the image has the size that it must. Nothing can be compared where
 * it has not, so that is an error, too. */
enum vaemark_status check_image_size(struct judgement *j, struct error *error);
/* The image that lies in the segment, against an oracle: written, finite, quality, largest-error, worst-tile, psnr.
 * `prefix` is put before what is recorded in the row (the first image's figures only). */
enum vaemark_status check_image(struct judgement *j, const struct oracle *oracle, bool fill_row, struct error *error);
/* One name for one quality check of the segment's image against another image, bound as derived for the case. */
enum vaemark_status check_same_within_bound(struct judgement *j, const char *name, const struct vaemark_tensor *image,
                                            const struct vaemark_tensor *wanted, const char *what, struct error *error);

/* Guards, inputs and weights are as they were; weights_before is the hash from before the decodes. */
enum vaemark_status check_in_bounds(struct judgement *j, const char *weights_before, struct error *error);
enum vaemark_status check_deterministic(struct judgement *j, struct error *error);
enum vaemark_status check_nan_shows(struct judgement *j, struct error *error);
enum vaemark_status check_memory_planned(struct judgement *j, struct error *error);
/* The image of ring member 0 that check_memory_planned() left in the segment, decoded after other latents, is the first
 * one again. */
enum vaemark_status check_fresh(struct judgement *j, struct error *error);
/* One thread and all of them agree. */
enum vaemark_status check_threads(struct judgement *j, struct error *error);
/* A batch whose members all have the first one's latents has its image everywhere. The inputs for that come behind the
 * others, before the session starts. */
bool check_batch_is_made(const struct judgement *j);
enum vaemark_status check_batch_make_inputs(struct judgement *j, struct error *error);
enum vaemark_status check_batch(struct judgement *j, struct error *error);
/* The member above 0 of the ring of inputs that a case's timed decodes are held to an oracle for; 0 where there is no
 * other. Drawn from seed and case, neither from times nor from images: a run that was resumed asks for the same one,
 * and the oracle store can hold it. */
size_t ring_member_held_to_oracle(const char *case_id, uint64_t seed, size_t ring);
/* Timed outputs: other inputs, other outputs; and one of them, drawn by lot, agrees with its oracle. */
enum vaemark_status check_not_cached(struct judgement *j, const struct worker_sample *samples, size_t sample_count,
                                     struct error *error);
/* Closes the decoder: the allocator's balance is zero. */
enum vaemark_status check_memory_returned(struct judgement *j, struct error *error);

/* Fuse-QKV where it must work, what fails recorded and gone on from where that makes sense: leaves the decoder fused.
 */
enum vaemark_status check_fuse_qkv_works(struct judgement *j, struct error *error);
/* An option of the case that must be refused; leaves the decoder open without it. */
enum vaemark_status check_option_refused(struct judgement *j, const char *option, struct error *error);

/* The error where tiles were mixed, and beside. */
struct seam_error {
    double rms, largest; /* NaN where anything is */
};
enum vaemark_status check_measure_seams(const struct tiling *tiling, const struct vaemark_tensor *image,
                                        const struct vaemark_tensor *wanted, struct seam_error *found,
                                        struct error *error);

#endif
