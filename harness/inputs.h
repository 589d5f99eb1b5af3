/* Inputs of a case: seeded latents and noise, or latents from a file; a ring of different ones for timed decodes. */
#ifndef HARNESS_INPUTS_H
#define HARNESS_INPUTS_H

#include "reference/latent_space.h"

enum { INPUTS_MAX = 4 };

/* The tensors of one decode, owned. */
struct input_set {
    struct vaemark_tensor tensors[INPUTS_MAX];
    char names[INPUTS_MAX][64]; /* copies: a set outlives the graph that it was made for */
    size_t count;
};

/* Latents of height x width (batch samples) for the graph's inputs, element by element from (seed, name, ring): the
 * same on every machine. `ring` 0 is the case's own input. */
enum vaemark_status inputs_make(const struct vaemark_graph *graph, uint64_t seed, int64_t batch, int64_t height,
                                int64_t width, int64_t ring, struct input_set *set, struct error *error);

/* Reads the graph's inputs from a safetensors file, checked against the graph. Ring members above 0 are the same
 * latents shifted cyclically along W and faded a little: still a picture, but another one.
 * NaN and Inf are refused unless allowed. */
enum vaemark_status inputs_read(const struct vaemark_graph *graph, const char *path, int64_t ring, bool allow_nonfinite,
                                struct input_set *set, struct error *error);
/* The same, of a file whose 'latents' are in the model's diffusion space (docs/latents.md): they are converted first.
 * `size` 0x0: tokens are a square. Other inputs are as decode() takes them. */
enum vaemark_status inputs_read_diffusion_space(const struct model *model, const char *path,
                                                const struct latent_size *size, bool allow_nonfinite,
                                                struct input_set *set, struct error *error);
void inputs_free(struct input_set *set);

/* The ABI's list view of a set. */
struct vaemark_tensors inputs_list(struct input_set *set);

#endif
