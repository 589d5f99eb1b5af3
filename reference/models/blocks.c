/* Blocks that several VAE types share. */
#include "reference/models/blocks.h"

static value resample(struct builder *b, value x, enum resample how) {
    switch (how) {
    case RESAMPLE_UP:
        return builder_upsample_nearest(b, x, 2);
    case RESAMPLE_DOWN:
        return builder_avg_pool(b, x);
    case RESAMPLE_NONE:
    default:
        return x;
    }
}

value resnet_build(struct builder *b, value x, struct resnet resnet, const char *module) {
    value skip = resample(b, x, resnet.resample);
    value t = builder_group_norm(b, x, resnet.in, resnet.groups, resnet.epsilon, builder_path(b, "%s.norm1", module));
    t = resample(b, builder_silu(b, t), resnet.resample);
    t = builder_conv2d(b, t, (struct conv2d_options){.in = resnet.in, .out = resnet.out},
                       builder_path(b, "%s.conv1", module));
    t = builder_group_norm(b, t, resnet.out, resnet.groups, resnet.epsilon, builder_path(b, "%s.norm2", module));
    if (resnet.time_channels > 0) {
        value e = builder_linear(b, resnet.time_embedding, resnet.time_channels, 2 * resnet.out,
                                 builder_path(b, "%s.time_emb_proj", module));
        t = builder_scale_shift(b, t, e);
    }
    t = builder_silu(b, t);
    t = builder_conv2d(b, t, (struct conv2d_options){.in = resnet.out, .out = resnet.out},
                       builder_path(b, "%s.conv2", module));
    if (resnet.in != resnet.out) {
        struct conv2d_options pointwise = {.in = resnet.in, .out = resnet.out, .kernel = 1, .gain = 1.0};
        skip = builder_conv2d(b, skip, pointwise, builder_path(b, "%s.conv_shortcut", module));
    }
    return builder_add(b, skip, t);
}
