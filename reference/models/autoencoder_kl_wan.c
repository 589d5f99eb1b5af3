/* AutoencoderKLWan: the decoder of Wan 2.1 and 2.2 (Wan Team, Wan: Open and Advanced Large-Scale Video Generative
 * Models, 2025), of one picture, as diffusers' class of that name builds it. Wan 2.2's ("is_residual") levels have a
 * shortcut, and its last convolution makes patches of pixels.
 */
#include "reference/models/causal_decoder.h"
#include "reference/models/models.h"

enum { MAX_PATCH = 64 };

static struct causal_decoder read_config(struct config *c) {
    int64_t base = config_channels(c, "base_dim", 96);
    struct causal_decoder decoder = {
        .base_channels = config_integer_or_null(c, "decoder_base_dim", base, 1, CONFIG_MAX_CHANNELS),
        .out_channels = config_channels(c, "out_channels", 3),
        .residual = config_boolean(c, "is_residual", false),
        .patch = (int32_t)config_integer_or_null(c, "patch_size", 1, 1, MAX_PATCH),
    };
    causal_decoder_read(c, &decoder);
    if (c->error.status == VAEMARK_OK && decoder.out_channels % (decoder.patch * decoder.patch) != 0) {
        error_set(&c->error, VAEMARK_BAD_INPUT,
                  "\"out_channels\" is %lld, which is no multiple of the square of \"patch_size\" = %d",
                  (long long)decoder.out_channels, decoder.patch);
    }
    return decoder;
}

enum vaemark_status autoencoder_kl_wan_build(const json_t *json, const struct weights *weights,
                                             struct vaemark_graph **graph, struct error *error) {
    (void)weights;
    struct config config;
    config_begin(&config, json);
    struct causal_decoder decoder = read_config(&config);
    enum vaemark_status status = config_finish(&config, error);
    return status == VAEMARK_OK ? causal_decoder_build(&decoder, true, graph, error) : status;
}
