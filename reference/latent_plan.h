/* What a VAE type's convention and a configuration make of diffusion-space latents; for latent_space.c alone. */
#ifndef REFERENCE_LATENT_PLAN_H
#define REFERENCE_LATENT_PLAN_H

#include "reference/latent_space.h"

enum latent_arithmetic {
    LATENT_AS_IS,     /* decode() takes what the diffusion model makes */
    LATENT_SCALED,    /* x / scaling_factor + shift_factor; with both latents_mean and latents_std
                         x * std / scaling_factor + mean */
    LATENT_STATISTIC, /* x * latents_std + latents_mean */
    LATENT_BATCH_NORM /* x * sqrt(bn.running_var + batch_norm_eps) + bn.running_mean, over channels still packed */
};

enum { LATENT_TOKENS_NEVER = 0, LATENT_TOKENS_ALWAYS = -1 };

/* One VAE type's convention: a row of the table. */
struct latent_convention {
    const char *vae_type;
    enum latent_arithmetic arithmetic;
    const char *channels_key;
    int64_t channels;         /* the class's default */
    double scaling_factor;    /* the class's default; 0: none, the file must have it */
    const double *mean, *std; /* the class's defaults, `channels` each; NULL: none */
    int32_t rank;             /* of the latents that decode() takes */
    bool shifts;              /* the pipelines of the type know a shift_factor */
    bool shifts_tokens;       /* latents that come as tokens are always shifted */
    bool patched;             /* diffusion space has 4C channels at half the height and width */
    int64_t token_channels;   /* tokens are known where there are so many channels, or never, or always */
};

const struct latent_convention *latent_convention_find(const char *vae_type); /* NULL if there is none */

/* z[c] = x * multiplier[c] / divisor + shift[c]; c counts channels as packed where `by_packed_channel`, else those of
 * decode(). */
struct latent_plan {
    const struct latent_convention *convention;
    int64_t channels; /* of the latents that decode() takes */
    double *multiplier, *shift;
    double divisor;
    bool by_packed_channel;
    bool takes_plain, takes_tokens, takes_patched;
    bool scaled_by_statistics; /* LATENT_SCALED with latents_mean and latents_std */
    double shift_factor;
    bool has_shift_factor;
    double epsilon; /* of the batch norm */
};

/* Reads the configuration; the batch norm's statistics are left out (latent_plan_read_batch_norm). */
enum vaemark_status latent_plan_make(const struct model *model, struct latent_plan *plan, struct error *error);
enum vaemark_status latent_plan_read_batch_norm(const struct model *model, struct latent_plan *plan,
                                                struct error *error);
void latent_plan_free(struct latent_plan *plan);

#endif
