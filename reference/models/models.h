/* The builders, for the table in reference/model.c. */
#ifndef REFERENCE_MODELS_MODELS_H
#define REFERENCE_MODELS_MODELS_H

#include <jansson.h>

#include "reference/weights_names.h"

enum vaemark_status autoencoder_kl_build(const json_t *config, const struct weights *weights,
                                         struct vaemark_graph **graph, struct error *error);
enum vaemark_status autoencoder_dc_build(const json_t *config, const struct weights *weights,
                                         struct vaemark_graph **graph, struct error *error);
enum vaemark_status autoencoder_kl_qwen_image_build(const json_t *config, const struct weights *weights,
                                                    struct vaemark_graph **graph, struct error *error);
enum vaemark_status autoencoder_kl_wan_build(const json_t *config, const struct weights *weights,
                                             struct vaemark_graph **graph, struct error *error);
enum vaemark_status autoencoder_tiny_build(const json_t *config, const struct weights *weights,
                                           struct vaemark_graph **graph, struct error *error);
enum vaemark_status consistency_decoder_vae_build(const json_t *config, const struct weights *weights,
                                                  struct vaemark_graph **graph, struct error *error);

enum vaemark_status asymmetric_autoencoder_kl_build(const json_t *config, const struct weights *weights,
                                                    struct vaemark_graph **graph, struct error *error);
enum vaemark_status vq_model_build(const json_t *config, const struct weights *weights, struct vaemark_graph **graph,
                                   struct error *error);
enum vaemark_status autoencoder_kl_flux2_build(const json_t *config, const struct weights *weights,
                                               struct vaemark_graph **graph, struct error *error);
enum vaemark_status autoencoder_kl_hunyuanimage_build(const json_t *config, const struct weights *weights,
                                                      struct vaemark_graph **graph, struct error *error);

enum vaemark_status operation_build(const json_t *config, const struct weights *weights, struct vaemark_graph **graph,
                                    struct error *error);

/* Their names, for checkpoints of other layouts. */
extern const struct naming autoencoder_kl_naming, autoencoder_tiny_naming, consistency_decoder_vae_naming,
    asymmetric_autoencoder_kl_naming, vq_model_naming, autoencoder_kl_hunyuanimage_naming;
extern const struct naming autoencoder_kl_qwen_image_naming, autoencoder_kl_wan_naming, autoencoder_dc_naming;
extern const struct naming operation_naming;

/* What types with AutoencoderKL's decoder share of its naming. */
const char *autoencoder_kl_canonical_name(const char *name, int32_t levels, char *canonical, size_t size_bytes);
int32_t autoencoder_kl_level_of(const char *name);
const char *autoencoder_kl_config_key(const char *name, int32_t axis, const json_t *config);

#endif
