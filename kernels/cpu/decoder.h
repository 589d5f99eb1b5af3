/* What is behind the verbs of the ABI (decoder.c): a decoder's settings, weights and graph (decoder_settings.c), its
 * plan and memory (decoder_plan.c). */
#ifndef KERNELS_CPU_DECODER_H
#define KERNELS_CPU_DECODER_H

#include "kernels/cpu/passes.h"
#include "kernels/cpu/settings.h"

enum { DECODER_MAX_INPUTS = sizeof((struct vaemark_graph *)0)->inputs / sizeof((struct vaemark_graph *)0)->inputs[0] };

/* The graph with fused projections or quantised latents (no type takes both), and the packed weights that it adds. */
struct rewriting {
    struct vaemark_graph *graph;
    struct packed *packed;
    int64_t fused_modules;
};

struct vaemark_decoder {
    struct vaemark_host host;
    const char *vae_type;
    const struct vaemark_graph *graph;
    struct packed *packed;
    struct settings settings;
    struct rewriting rewriting; /* all NULL while the graph is the model's */

    struct passes *plan; /* NULL until prepared */
    void *arena;
    struct vaemark_tensor input_items[DECODER_MAX_INPUTS]; /* what the plan is for; data is NULL */
    struct vaemark_tensors inputs;
};

/* decoder_settings.c */

/* Packs and rewrites for the settings that a new decoder begins with. */
enum vaemark_status decoder_begin_settings(struct vaemark_decoder *decoder, const struct settings *settings,
                                           struct error *error);
/* Settles on new settings: packs and rewrites where that changes, and plans anew where there is a plan. A failure
 * changes nothing. */
enum vaemark_status decoder_change_settings(struct vaemark_decoder *decoder, const struct settings *settings,
                                            struct error *error);
void decoder_free_weights(struct vaemark_decoder *decoder);

/* decoder_plan.c */

bool decoder_same_layout(const struct vaemark_tensor *a, const struct vaemark_tensor *b);
/* A plan for these inputs' shapes and its memory, in place of what is there; where it gets none, what was there stays,
 * or nothing where even that fails. */
enum vaemark_status decoder_make_plan(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                      const struct settings *settings, const struct packed *packed,
                                      const struct rewriting *rewriting, struct error *error);
/* Makes one where there is none for these inputs. */
enum vaemark_status decoder_prepare_for(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                        struct error *error);
void decoder_drop_plan(struct vaemark_decoder *decoder);

#endif
