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

value norm_build(struct builder *b, value x, int64_t channels, const struct norm *norm, const char *module) {
    const struct conv2d_options pointwise = {.in = norm->condition_channels, .out = channels, .kernel = 1, .gain = 1.0};
    if (norm->condition_channels == 0) {
        return builder_group_norm(b, x, channels, norm->groups, norm->epsilon, module);
    }
    value f = builder_group_norm(b, x, channels, norm->groups, norm->epsilon, builder_path(b, "%s.norm_layer", module));
    value q = norm->condition;
    if (norm->condition_scale > 1) {
        q = builder_upsample_nearest(b, q, norm->condition_scale);
    }
    f = builder_multiply(b, f, builder_conv2d(b, q, pointwise, builder_path(b, "%s.conv_y", module)));
    return builder_add(b, f, builder_conv2d(b, q, pointwise, builder_path(b, "%s.conv_b", module)));
}

value attention_block_build(struct builder *b, value x, struct attention_block block, const char *module) {
    const int64_t c = block.channels;
    value y = norm_build(b, x, c, &block.norm, builder_path(b, "%s.%s", module, block.norm_leaf));
    value q = builder_linear(b, y, c, c, builder_path(b, "%s.to_q", module));
    value k = builder_linear(b, y, c, c, builder_path(b, "%s.to_k", module));
    value v = builder_linear(b, y, c, c, builder_path(b, "%s.to_v", module));
    value o = builder_attention(b, q, k, v, module);
    o = builder_linear(b, o, c, c, builder_path(b, "%s.%s", module, block.out_leaf));
    return builder_add(b, x, o);
}

value resnet_build(struct builder *b, value x, struct resnet resnet, const char *module) {
    value skip = resample(b, x, resnet.resample);
    value t = norm_build(b, x, resnet.in, &resnet.norm, builder_path(b, "%s.norm1", module));
    t = resample(b, builder_silu(b, t), resnet.resample);
    t = builder_conv2d(b, t, (struct conv2d_options){.in = resnet.in, .out = resnet.out},
                       builder_path(b, "%s.conv1", module));
    t = norm_build(b, t, resnet.out, &resnet.norm, builder_path(b, "%s.norm2", module));
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
