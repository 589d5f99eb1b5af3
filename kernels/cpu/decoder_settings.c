/* A decoder's settings, and its weights and graph as they want them. A change of settings builds what is new beside
 * what is there and swaps at the end. */
#include "kernels/cpu/decoder.h"
#include "reference/fuse_qkv.h"
#include "reference/quantize.h"

static void rewriting_free(struct rewriting *rewriting) {
    packed_free(rewriting->packed);
    graph_free(rewriting->graph);
    *rewriting = (struct rewriting){0};
}

static enum vaemark_status pack(const struct vaemark_decoder *decoder, const struct vaemark_graph *graph,
                                const struct packed *shared, const struct settings *settings, struct packed **packed,
                                struct error *error) {
    const struct packed_settings wanted = {.panels = settings_storage(settings), .threads = settings->threads};
    return packed_create(&decoder->host, graph, shared, &wanted, packed, error);
}

/* What these settings make of the model's graph, whose weights are packed; nothing where it stays as it is. */
static enum vaemark_status rewriting_create(const struct vaemark_decoder *decoder, const struct packed *packed,
                                            const struct settings *settings, struct rewriting *rewriting,
                                            struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    *rewriting = (struct rewriting){0};
    if (settings->fuse_qkv) {
        status = fuse_qkv(decoder->graph, &rewriting->graph, &rewriting->fused_modules, error);
    } else if (settings->quantize) {
        status = quantize_latents(decoder->graph, &rewriting->graph, error);
    } else {
        return VAEMARK_OK;
    }
    if (status == VAEMARK_OK) {
        status = pack(decoder, rewriting->graph, packed, settings, &rewriting->packed, error);
    }
    if (status != VAEMARK_OK) {
        rewriting_free(rewriting);
    }
    return status;
}

enum vaemark_status decoder_begin_settings(struct vaemark_decoder *decoder, const struct settings *settings,
                                           struct error *error) {
    decoder->settings = *settings;
    enum vaemark_status status = tiling_check(decoder->graph, settings->tiling.mode, error);
    if (status == VAEMARK_OK) {
        status = pack(decoder, decoder->graph, NULL, settings, &decoder->packed, error);
    }
    if (status == VAEMARK_OK) {
        status = rewriting_create(decoder, decoder->packed, settings, &decoder->rewriting, error);
    }
    return status;
}

/* Weights and graph as new settings want them; what they leave as it is, is the decoder's own. */
struct change {
    bool repacks, rewrites;
    struct packed *packed;
    struct rewriting rewriting;
};

static enum vaemark_status change_create(const struct vaemark_decoder *decoder, const struct settings *settings,
                                         struct change *change, struct error *error) {
    const struct settings *old = &decoder->settings;
    enum vaemark_status status = VAEMARK_OK;
    *change = (struct change){.repacks = settings_storage(settings) != settings_storage(old),
                              .packed = decoder->packed,
                              .rewriting = decoder->rewriting};
    change->rewrites = change->repacks || settings->fuse_qkv != old->fuse_qkv || settings->quantize != old->quantize;
    if (change->repacks) {
        status = pack(decoder, decoder->graph, NULL, settings, &change->packed, error);
        change->repacks = status == VAEMARK_OK; /* on failure there is nothing to free */
    }
    if (status != VAEMARK_OK) {
        change->rewrites = false;
    } else if (change->rewrites) {
        status = rewriting_create(decoder, change->packed, settings, &change->rewriting, error);
    }
    return status;
}

/* Frees what `packed` and `rewriting` have of their own in `change`. */
static void change_free(const struct change *change, struct packed *packed, struct rewriting *rewriting) {
    if (change->rewrites) {
        rewriting_free(rewriting);
    }
    if (change->repacks) {
        packed_free(packed);
    }
}

enum vaemark_status decoder_change_settings(struct vaemark_decoder *decoder, const struct settings *settings,
                                            struct error *error) {
    struct change change;
    enum vaemark_status status = tiling_check(decoder->graph, settings->tiling.mode, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    status = change_create(decoder, settings, &change, error);
    if (status == VAEMARK_OK && decoder->plan != NULL) {
        status = decoder_make_plan(decoder, &decoder->inputs, settings, change.packed, &change.rewriting, error);
    }
    if (status != VAEMARK_OK) {
        change_free(&change, change.packed, &change.rewriting);
        return status;
    }
    change_free(&change, decoder->packed, &decoder->rewriting);
    decoder->packed = change.packed;
    decoder->rewriting = change.rewriting;
    decoder->settings = *settings;
    return VAEMARK_OK;
}

void decoder_free_weights(struct vaemark_decoder *decoder) {
    rewriting_free(&decoder->rewriting);
    packed_free(decoder->packed);
}
