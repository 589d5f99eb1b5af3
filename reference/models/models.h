/* The builders, for the table in reference/model.c. */
#ifndef REFERENCE_MODELS_MODELS_H
#define REFERENCE_MODELS_MODELS_H

#include <jansson.h>

#include "reference/weights_names.h"

enum vaemark_status autoencoder_kl_build(const json_t *config, const struct weights *weights,
                                         struct vaemark_graph **graph, struct error *error);
enum vaemark_status autoencoder_tiny_build(const json_t *config, const struct weights *weights,
                                           struct vaemark_graph **graph, struct error *error);
enum vaemark_status consistency_decoder_vae_build(const json_t *config, const struct weights *weights,
                                                  struct vaemark_graph **graph, struct error *error);

/* Their names, for checkpoints of other layouts. */
extern const struct naming autoencoder_kl_naming, autoencoder_tiny_naming, consistency_decoder_vae_naming;

#endif
