/* How the values of a plan are stored. */
#ifndef KERNELS_CPU_STORAGE_H
#define KERNELS_CPU_STORAGE_H

#include "kernels/cpu/plan.h"

/* Stores activations in 16 bits, which halves their buffers: what convolutions and attention write, and what is made of
 * that. Floats stay what comes from the inputs alone (codes are row numbers, and a codebook's nearest row may hang on
 * the last bit of a latent) and values of one pixel, which are few. False where memory is short. */
bool storage_narrow(struct plan *plan);

#endif
