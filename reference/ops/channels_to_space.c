/* Channels become pixels: Shi et al. 2016, sub-pixel convolution (torch.nn.PixelShuffle), and every other order of the
 * same in use; with a divisor, channels are repeated first (torch.repeat_interleave); with factor 1, that alone.
 *
 * y[n, c, f i + a, f j + b] = x[n, (by_channel c + by_row a + by_column b + offset) / divisor, i, j]
 */
#include "reference/ops/real.h"

void REAL_NAME(channels_to_space)(const struct op_call *call) {
    const union op_attributes *map = call->attributes;
    const struct shape *in = &call->in_shapes[0], *out = &call->out_shape;
    const int64_t factor = map->channels_to_space.factor, height = out->dims[2], width = out->dims[3];

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t row = 0; row < out->dims[0] * out->dims[1] * height; row++) {
        const int64_t i = row % height, c = row / height % out->dims[1], n = row / height / out->dims[1];
        real *y = (real *)call->out + row * width;
        for (int64_t b = 0; b < factor; b++) {
            const int64_t channel =
                (map->channels_to_space.by_channel * c + map->channels_to_space.by_row * (i % factor) +
                 map->channels_to_space.by_column * b + map->channels_to_space.offset) /
                map->channels_to_space.divisor;
            const real *x =
                (const real *)call->in[0] + ((n * in->dims[1] + channel) * in->dims[2] + i / factor) * in->dims[3];
            for (int64_t j = 0; j < in->dims[3]; j++) {
                y[j * factor + b] = x[j];
            }
        }
    }
}
