/* Cases: model x decoder x latent shape x batch, expanded from a suite. */
#ifndef HARNESS_CASE_H
#define HARNESS_CASE_H

#include "harness/decoder_spec.h"
#include "harness/models.h"
#include "harness/suite.h"

struct run_case {
    char id[512]; /* MODEL/BACKEND/PRECISION/OPTIONS/SHAPE */
    const struct suite_block *block;
    const struct decoder_spec *decoder;
    struct run_model *model;
    char precision[16];
    char options_text[256];     /* "plain", or those not at their default, joined by '+' */
    struct option_list options; /* all that are sent at open, without precision */
    bool fuse_qkv;
    bool from_file; /* latents are in latents_path, else synthetic */
    char latents_path[600];
    int64_t batch, height, width; /* of the latents */
    char shape[96];               /* "1x4x8x8" */
};

struct case_list {
    struct run_case *items;
    size_t count, capacity;
};

/* What narrows a suite down; every member may be NULL or zero. */
struct case_filter {
    const char *const *case_globs; /* NULL-terminated; a case must match one */
    const char *const *models;     /* NULL-terminated names */
    int64_t shard, shard_count;    /* 1-based; 0: all */
};

/* Expands the suite for the decoders. Wrong suites are VAEMARK_BAD_INPUT, also two cases of one id; an empty selection
 * is VAEMARK_INVALID_ARGUMENT. */
enum vaemark_status cases_expand(const struct suite *suite, const struct decoder_spec *decoders, size_t decoder_count,
                                 struct models *models, const struct case_filter *filter, struct case_list *cases,
                                 struct error *error);
/* Number `index` of the options that the case asks for and its VAE type must refuse, or NULL. */
const char *case_must_refuse(const struct run_case *item, size_t index);
void cases_free(struct case_list *cases);

#endif
