/* AutoencoderKLQwenImage: the image decoder of Qwen-Image (Wu et al., Qwen-Image Technical Report, 2025), as diffusers'
 * class of that name builds it: the topology of Wan 2.1's, trained for pictures.
 */
#include "reference/models/causal_decoder.h"
#include "reference/models/models.h"

enum vaemark_status autoencoder_kl_qwen_image_build(const json_t *json, const struct weights *weights,
                                                    struct vaemark_graph **graph, struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    struct causal_decoder decoder = {
        .base_channels = config_channels(&config, "base_dim", 96),
        .out_channels = config_channels(&config, "input_channels", 3),
        .patch = 1,
    };
    causal_decoder_read(&config, &decoder);
    enum vaemark_status status = config_finish(&config, error);
    return status == VAEMARK_OK ? causal_decoder_build(&decoder, false, graph, error) : status;
}
