/* The decoder of the latent diffusion models, which several VAE types build with other widths, norms and additions
 * (Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, CVPR 2022):
 *
 *   z -> conv_in -> resnet, attention, resnet -> levels of resnets, x2 between -> norm, SiLU, conv_out -> image
 */
#ifndef REFERENCE_MODELS_KL_DECODER_H
#define REFERENCE_MODELS_KL_DECODER_H

#include "reference/models/blocks.h"
#include "reference/models/config.h"

/* Of norms in every VAE of this family. */
#define KL_NORM_EPSILON 1e-6

struct kl_decoder {
    int64_t in, out;           /* channels of z and of the image */
    struct config_list widths; /* of levels, finest first, as config.json lists them */
    int32_t resnets;           /* of a level: layers_per_block + 1, as a rule */
    struct norm norm;          /* its condition_scale is filled in level by level */
    bool mid_attention;
    bool level_attention[CONFIG_MAX_LEVELS]; /* behind each resnet; coarsest level first */
    /* Where there is one: called with what enters level 0, 1, ..., and what leaves the last one. */
    value (*at_level)(struct builder *b, value x, int32_t level, const void *context);
    const void *context;
};

/* Image pixels a latent pixel, each way. */
int64_t kl_decoder_factor(const struct kl_decoder *decoder);
value kl_decoder_build(struct builder *b, value z, const struct kl_decoder *decoder);

#endif
