/* The decoder of video VAEs with causal convolutions, of one picture: what AutoencoderKLQwenImage and AutoencoderKLWan
 * share. */
#ifndef REFERENCE_MODELS_CAUSAL_DECODER_H
#define REFERENCE_MODELS_CAUSAL_DECODER_H

#include "reference/builder.h"
#include "reference/models/config.h"

struct causal_decoder {
    int64_t latent_channels, out_channels, base_channels; /* out_channels: of the last convolution */
    struct config_list multipliers;                       /* of base_channels, finest first */
    int32_t layers_per_block;                             /* residual blocks a level, but one */
    struct config_list halves_frames;                     /* of the encoder's levels, finest first */
    bool residual; /* levels have a shortcut without weights, and keep their width while they grow (Wan 2.2) */
    int32_t patch; /* the last convolution's channels become patch x patch pixels */
};

/* Reads what both types call alike. */
void causal_decoder_read(struct config *config, struct causal_decoder *decoder);
/* clamps_tiles: whether the framework clamps what it decoded in tiles. */
enum vaemark_status causal_decoder_build(const struct causal_decoder *decoder, bool clamps_tiles,
                                         struct vaemark_graph **graph, struct error *error);

#endif
