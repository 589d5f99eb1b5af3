/* Suites: named sets of cases and thresholds as YAML, in suites/NAME.yaml. docs/user-guide.md shows the format. */
#ifndef HARNESS_SUITE_H
#define HARNESS_SUITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { SUITE_MAX_LAUNCHES = 100 };

/* A block of cases: every model x latents x batch x precision x options. */
struct suite_block {
    char **models;
    unsigned models_count;
    char **latents; /* "8x8": height x width, synthetic; or the name of a safetensors file in the model's folder */
    unsigned latents_count;
    unsigned *batches;
    unsigned batches_count;
    char **precisions;
    unsigned precisions_count;
    char **options; /* "plain", "fuse_qkv", "fuse_qkv+slicing" */
    unsigned options_count;
    char **decoders; /* names of the suite's decoders that take the block; none: all */
    unsigned decoders_count;
    double min_psnr_db; /* of the image against the FP32 oracle */
    double budget_s;    /* of timed decodes a case; overrides measure.budget_s */
    bool pictures;      /* keep the picture and its error map in the result file */
};

struct suite_measure {
    unsigned launches; /* fresh worker processes a case */
    unsigned warmups;  /* decodes before the first sample, at least 2 */
    unsigned min_samples, max_samples;
    double interval_percent; /* stop when the 95 % interval of the median is this narrow */
    double budget_s;         /* or when this much time was spent on samples */
    double min_sample_ms;    /* shorter decodes are repeated within a sample */
    unsigned ring;           /* different inputs that timed decodes go through */
};

struct suite {
    char *name;
    char *description;
    unsigned version;
    char **decoders;
    unsigned decoders_count;
    double timeout_s;   /* of one message to a worker */
    char *memory_limit; /* of a worker: "4GiB"; NULL: the default */
    struct suite_measure measure;
    struct suite_block *blocks;
    unsigned blocks_count;
    char *path;                  /* not in the file */
    char sha256[65];             /* of the file */
    uint64_t memory_limit_bytes; /* memory_limit, read; 0: the default */
};

/* By name (suites/NAME.yaml in the data folder) or by path. Fields that are absent get their defaults. */
enum vaemark_status suite_load(const char *name_or_path, struct suite **suite, struct error *error);
/* Whether a decoder of this name takes the block. One that the suite does not have, because it was given by hand, takes
 * every block. */
bool suite_block_takes(const struct suite *suite, const struct suite_block *block, const char *decoder_name);
void suite_free(struct suite *suite);

#endif
