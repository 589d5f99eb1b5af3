/* The builders, for the table in reference/model.c. */
#ifndef REFERENCE_MODELS_MODELS_H
#define REFERENCE_MODELS_MODELS_H

#include <jansson.h>

#include "reference/weights.h"

enum vaemark_status autoencoder_kl_build(const json_t *config, const struct weights *weights,
                                         struct vaemark_graph **graph, struct error *error);
enum vaemark_status autoencoder_tiny_build(const json_t *config, const struct weights *weights,
                                           struct vaemark_graph **graph, struct error *error);
void autoencoder_tiny_canonical_name(const char *name, char *canonical, size_t size_bytes);
enum vaemark_status consistency_decoder_vae_build(const json_t *config, const struct weights *weights,
                                                  struct vaemark_graph **graph, struct error *error);

#endif
