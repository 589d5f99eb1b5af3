/* Latent spaces: diffusion models work on latents that are scaled, shifted, normalised or packed into tokens. What a
 * pipeline does to them before it calls decode() is a convention of the VAE type (docs/latents.md); here it is one
 * table. */
#ifndef REFERENCE_LATENT_SPACE_H
#define REFERENCE_LATENT_SPACE_H

#include "reference/model.h"

/* Height and width of the latents that decode() takes; 0, 0: not said. */
struct latent_size {
    int64_t height, width;
};

enum { LATENT_SPACE_TEXT_BYTES = 200 };

/* Whether the type has a row in the table; every one of model_types[] has. */
bool latent_space_is_known(const char *vae_type);
/* False where diffusion space is VAE space, so that there is nothing to convert (VQModel). */
bool latent_space_converts(const char *vae_type);
/* The step with the configuration's numbers, "x / 0.3611 + 0.1159 (tokens are unpacked)", or what the configuration
 * lacks; returns `text`. */
const char *latent_space_describe(const struct model *model, char text[LATENT_SPACE_TEXT_BYTES]);

/* Converts diffusion-space latents x of any floating dtype, where latent_space_converts(): computed in double, z F32
 * with memory of its own (free its data). Tokens (N,T,4C) are taken as a square unless `size` says otherwise. FLUX.2's
 * statistics are read from the model's weights. VAEMARK_BAD_INPUT names the configuration or checkpoint and what it
 * lacks, or the tensor, what was found and what is wanted. */
enum vaemark_status latent_space_convert(const struct model *model, const struct vaemark_tensor *x,
                                         const struct latent_size *size, struct vaemark_tensor *z, struct error *error);

#endif
