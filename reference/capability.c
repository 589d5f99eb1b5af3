/* The capability table, VAE type x option: who must take an option, who may, and who must refuse it, with the reason
 * that a refusal gives. After the original framework (diffusers) where it is right: it fuses AutoencoderKL alone. Where
 * it takes an option and ignores it in silence, the table says must-refuse. */
#include <stdio.h>
#include <string.h>

#include "reference/model.h"

struct capability_row {
    const char *vae_type; /* NULL: every type that no row before names */
    const char *option;
    enum capability own, others;
    const char *reason; /* of a refusal: "it has no ..." */
};

/* Types that are not in the table must refuse everything, so a new type starts strict. */
static const struct capability_row rows[] = {
    {"AutoencoderKL", "fuse_qkv", CAPABILITY_MUST, CAPABILITY_MAY, NULL},
    {"AutoencoderTiny", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE,
     "it has no attention whose projections could be fused"},
    {"ConsistencyDecoderVAE", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE,
     "its decoder is a UNet without attention, so there are no projections to fuse"},
    {NULL, "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE, "fusing is defined for one VAE type alone"},
    {"AutoencoderKL", "tiling", CAPABILITY_MUST, CAPABILITY_MAY, NULL},
    {"AutoencoderTiny", "tiling", CAPABILITY_MUST, CAPABILITY_MAY, NULL},
    {"ConsistencyDecoderVAE", "tiling", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE,
     "its decode has no tiled form, and taking the option would change nothing in silence"},
    {NULL, "tiling", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE, "no tiled form of its decode is defined"},
    {"AutoencoderKL", "slicing", CAPABILITY_MUST, CAPABILITY_MAY, NULL},
    {"AutoencoderTiny", "slicing", CAPABILITY_MUST, CAPABILITY_MAY, NULL},
    {"ConsistencyDecoderVAE", "slicing", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE,
     "its decode has no sliced form, and taking the option would change nothing in silence"},
    {NULL, "slicing", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE, "no sliced form of its decode is defined"},
};

/* What the framework gets wrong. */
static const struct {
    const char *vae_type, *option, *text;
} notes[] = {
    {"AutoencoderKL", "tiling",
     "'on' is the framework's result, which is wrong unless sample_size is a multiple of the factor between latents "
     "and "
     "image and the quotient one of 4: then the image has another size (sample_size 60 at factor 2 makes 130 pixels of "
     "64 "
     "latents) and seams; it fails where sample_size is a list or less than two latents. 'corrected' is right in all "
     "of "
     "these, and the same elsewhere"},
    {"AutoencoderTiny", "tiling",
     "the framework takes 2 to the power of out_channels for the factor between latents and image, and fails unless "
     "both "
     "are what TAESD has; 'corrected' decodes the others, too. Up to 56 x 56 latents are one tile, bit by bit the "
     "untiled "
     "image"},
    {"ConsistencyDecoderVAE", "tiling", "the framework takes enable_tiling() and ignores it in decode()"},
    {"ConsistencyDecoderVAE", "slicing", "the framework takes enable_slicing() and ignores it in decode()"},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const char *const capability_options[] = {"fuse_qkv", "tiling", "slicing", NULL};

static const struct capability_row *capability_find(const char *vae_type, const char *option) {
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].option, option) == 0 &&
            (rows[i].vae_type == NULL || strcmp(rows[i].vae_type, vae_type) == 0)) {
            return &rows[i];
        }
    }
    return NULL;
}

enum capability capability_of(const char *vae_type, const char *option, bool own) {
    const struct capability_row *row = capability_find(vae_type, option);

    if (row == NULL) {
        return CAPABILITY_MUST_REFUSE;
    }
    return own ? row->own : row->others;
}

const char *capability_note(const char *vae_type, const char *option) {
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        if (strcmp(notes[i].vae_type, vae_type) == 0 && strcmp(notes[i].option, option) == 0) {
            return notes[i].text;
        }
    }
    return NULL;
}

const char *capability_name(enum capability capability) {
    static const char *const names[] = {
        [CAPABILITY_MUST] = "must", [CAPABILITY_MAY] = "may", [CAPABILITY_MUST_REFUSE] = "must-refuse"};

    return names[capability];
}

/* "only AutoencoderKL takes it", "AutoencoderKL and AutoencoderTiny take it". */
static void capability_takers(const char *option, char *text, size_t size_bytes) {
    const char *takers[ROW_COUNT] = {NULL};
    size_t count = 0, used = 0;

    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].option, option) == 0 && rows[i].own != CAPABILITY_MUST_REFUSE) {
            takers[count++] = rows[i].vae_type;
        }
    }
    if (count == 1) {
        snprintf(text, size_bytes, "only %s takes it", takers[0]);
        return;
    }
    for (size_t i = 0; i < count && used < size_bytes; i++) {
        const char *before = i == 0 ? "" : i + 1 == count ? " and " : ", ";
        const int wrote =
            snprintf(text + used, size_bytes - used, "%s%s%s", before, takers[i], i + 1 == count ? " take it" : "");
        used += wrote > 0 ? (size_t)wrote : 0;
    }
}

enum vaemark_status capability_check(const char *vae_type, const char *option, struct error *error) {
    const struct capability_row *row = capability_find(vae_type, option);
    char takers[256] = "nobody takes it";

    if (row == NULL) {
        return error_set(error, VAEMARK_UNKNOWN_OPTION, "there is no option %s", option);
    }
    if (row->own != CAPABILITY_MUST_REFUSE) {
        return VAEMARK_OK;
    }
    capability_takers(option, takers, sizeof takers);
    return error_set(error, VAEMARK_UNSUPPORTED_OPTION, "%s does not support the option %s: %s; %s", vae_type, option,
                     row->reason, takers);
}
