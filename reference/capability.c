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

#define MUST        CAPABILITY_MUST, CAPABILITY_MAY, NULL
#define MUST_REFUSE CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE

#define OWN_TILES "the sizes of its tiles follow from its configuration, and its class lets nobody set them"
#define NO_TILES  "its decode has no tiles whose size could be set"

/* Types that are not in the table must refuse everything, so a new type starts strict. */
static const struct capability_row rows[] = {
    {"AutoencoderKL", "fuse_qkv", MUST},
    {"AutoencoderTiny", "fuse_qkv", MUST_REFUSE, "it has no attention whose projections could be fused"},
    {"ConsistencyDecoderVAE", "fuse_qkv", MUST_REFUSE,
     "its decoder is a UNet without attention, so there are no projections to fuse"},
    {"AsymmetricAutoencoderKL", "fuse_qkv", MUST_REFUSE,
     "it contains AutoencoderKL's attention, but its class does not offer to fuse it"},
    {"VQModel", "fuse_qkv", MUST_REFUSE,
     "where it has attention, that is AutoencoderKL's, but its class does not offer to fuse it"},
    {"AutoencoderDC", "fuse_qkv", MUST_REFUSE,
     "its attention is linear and of many heads, whose q, k and v are not what its projections' names say"},
    {"AutoencoderKLFlux2", "fuse_qkv", MUST_REFUSE,
     "it contains AutoencoderKL's attention, but is another class, and fusing is defined for that one alone"},
    {"AutoencoderKLHunyuanImage", "fuse_qkv", MUST_REFUSE,
     "its projections are convolutions, and its class does not offer to fuse them"},
    {"AutoencoderKLQwenImage", "fuse_qkv", MUST_REFUSE, "its projections are one by construction"},
    {"AutoencoderKLWan", "fuse_qkv", MUST_REFUSE, "its projections are one by construction"},
    {NULL, "fuse_qkv", MUST_REFUSE, "fusing is defined for one VAE type alone"},

    {"AutoencoderKL", "tiling", MUST},
    {"AutoencoderTiny", "tiling", MUST},
    {"ConsistencyDecoderVAE", "tiling", MUST_REFUSE,
     "its decode has no tiled form, and taking the option would change nothing in silence"},
    {"AsymmetricAutoencoderKL", "tiling", MUST_REFUSE, "its class has no tiled decode"},
    {"VQModel", "tiling", MUST_REFUSE, "its class has no tiled decode"},
    {"AutoencoderDC", "tiling", MUST},
    {"AutoencoderKLFlux2", "tiling", MUST},
    {"AutoencoderKLHunyuanImage", "tiling", MUST},
    {"AutoencoderKLQwenImage", "tiling", MUST},
    {"AutoencoderKLWan", "tiling", MUST},
    {NULL, "tiling", MUST_REFUSE, "no tiled form of its decode is defined"},

    {"AutoencoderDC", "tile", MUST},
    {"AutoencoderKLQwenImage", "tile", MUST},
    {"AutoencoderKLWan", "tile", MUST},
    {"AutoencoderKL", "tile", MUST_REFUSE, OWN_TILES},
    {"AutoencoderTiny", "tile", MUST_REFUSE, OWN_TILES},
    {"AutoencoderKLFlux2", "tile", MUST_REFUSE, OWN_TILES},
    {"AutoencoderKLHunyuanImage", "tile", MUST_REFUSE,
     "its class takes a size for encoding and decoding at once, of which encoding fails; here it keeps its own"},
    {NULL, "tile", MUST_REFUSE, NO_TILES},
    {"AutoencoderDC", "tile_stride", MUST},
    {"AutoencoderKLQwenImage", "tile_stride", MUST},
    {"AutoencoderKLWan", "tile_stride", MUST},
    {"AutoencoderKL", "tile_stride", MUST_REFUSE, OWN_TILES},
    {"AutoencoderTiny", "tile_stride", MUST_REFUSE, OWN_TILES},
    {"AutoencoderKLFlux2", "tile_stride", MUST_REFUSE, OWN_TILES},
    {"AutoencoderKLHunyuanImage", "tile_stride", MUST_REFUSE, OWN_TILES},
    {NULL, "tile_stride", MUST_REFUSE, NO_TILES},

    {"AutoencoderKL", "slicing", MUST},
    {"AutoencoderTiny", "slicing", MUST},
    {"ConsistencyDecoderVAE", "slicing", MUST_REFUSE,
     "its decode has no sliced form, and taking the option would change nothing in silence"},
    {"AsymmetricAutoencoderKL", "slicing", MUST_REFUSE, "its class has no sliced decode"},
    {"VQModel", "slicing", MUST_REFUSE, "its class has no sliced decode"},
    {"AutoencoderDC", "slicing", MUST},
    {"AutoencoderKLFlux2", "slicing", MUST},
    {"AutoencoderKLHunyuanImage", "slicing", MUST},
    {"AutoencoderKLQwenImage", "slicing", MUST},
    {"AutoencoderKLWan", "slicing", MUST},
    {NULL, "slicing", MUST_REFUSE, "no sliced form of its decode is defined"},

    {"VQModel", "quantize", MUST},
    {NULL, "quantize", MUST_REFUSE, "it has no codebook"},
};

#define GAPS                                                                                                        \
    "a tile that is set without a stride keeps the class's own, and where that is larger the framework leaves out " \
    "what "                                                                                                         \
    "lies between: "

/* What the framework gets wrong, or does otherwise. */
static const struct {
    const char *vae_type, *option, *text;
} notes[] = {
    {"AutoencoderKLFlux2", "fuse_qkv",
     "a difference, not a defect: the framework's class fuses, its pipelines refuse (they take AutoencoderKL alone)"},
    {"ConsistencyDecoderVAE", "fuse_qkv",
     "the framework takes fuse_qkv_projections() and does nothing: a generic method looks for attention of another "
     "kind"},
    {"AutoencoderKL", "tiling",
     "'on' is the framework's result, which is wrong unless sample_size is a multiple of the factor between latents "
     "and "
     "image and the quotient one of 4: then the image has another size (sample_size 60 at factor 2 makes 130 pixels of "
     "64 latents) and seams; it fails where sample_size is a list or less than two latents. 'corrected' is right in "
     "all "
     "of these, and the same elsewhere"},
    {"AutoencoderTiny", "tiling",
     "the framework takes 2 to the power of out_channels for the factor between latents and image, and fails unless "
     "both "
     "are what TAESD has; 'corrected' decodes the others, too. Up to 56 x 56 latents are one tile, bit by bit the "
     "untiled image"},
    {"ConsistencyDecoderVAE", "tiling", "the framework takes enable_tiling() and ignores it in decode()"},
    {"ConsistencyDecoderVAE", "slicing", "the framework takes enable_slicing() and ignores it in decode()"},
    {"AsymmetricAutoencoderKL", "tiling",
     "the framework refuses (NotImplementedError) until disable_tiling() was called once, then takes it and ignores "
     "it"},
    {"AsymmetricAutoencoderKL", "slicing",
     "the framework refuses (NotImplementedError) until disable_slicing() was called once, then takes it and ignores "
     "it"},
    {"VQModel", "tiling",
     "the framework refuses (NotImplementedError) until disable_tiling() was called once, then takes it and ignores "
     "it"},
    {"VQModel", "slicing",
     "the framework refuses (NotImplementedError) until disable_slicing() was called once, then takes it and ignores "
     "it"},
    {"AutoencoderDC", "tiling",
     "at a factor that does not divide tile and stride (128: 448 pixels are 3.5 latents) the framework's image is too "
     "large, 1152 pixels for 1024; 'corrected' has the right size"},
    {"AutoencoderDC", "tile",
     GAPS "256 makes 640 x 640 pixels for 1024 x 1024. 'corrected' keeps the class's proportion"},
    {"AutoencoderKLQwenImage", "tiling",
     "the framework does not clamp a tiled image to [-1, 1], though it clamps a whole one; 'corrected' clamps both"},
    {"AutoencoderKLQwenImage", "tile",
     GAPS "128 makes 384 x 384 pixels for 512 x 512. 'corrected' keeps the class's proportion"},
    {"AutoencoderKLWan", "tile",
     GAPS "128 makes 384 x 384 pixels for 512 x 512. 'corrected' keeps the class's proportion"},
    {"AutoencoderKLHunyuanImage", "tiling",
     "as AutoencoderKL: wrong unless the tile in latents, sample_size over the ratio, is a multiple of 4; the "
     "published "
     "one is (12)"},
    {"AutoencoderKLFlux2", "tiling", "as AutoencoderKL, whose tiles it has"},
    {"VQModel", "quantize",
     "the framework quantises unless it is told not to (force_not_quantize); pipelines tell it, and so does vaemark "
     "without this option"},
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const char *const capability_options[] = {"fuse_qkv", "tiling", "tile", "tile_stride", "slicing", "quantize", NULL};

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
    char takers[400] = "nobody takes it";

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
