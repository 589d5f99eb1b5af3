/* Bands: convolutions that follow each other with nothing between them that needs a whole image (no statistics) run
 * depth first, a few rows of each in turn. Of the values between them only the rows in use are kept, in rings, and they
 * are read while they are still in cache. */
#ifndef KERNELS_CPU_BANDS_H
#define KERNELS_CPU_BANDS_H

#include "kernels/cpu/plan.h"

/* Finds the groups of steps and turns the values inside them into rings. Blocks have been chosen, places have not.
 * False where memory is short. */
bool bands_form(struct plan *plan, int threads);

/* Runs the steps of a group; `run` has everything but their scratch. Times go into the plan's trace. */
void bands_run(struct plan *plan, const struct band_group *group, const struct run *run);

#endif
