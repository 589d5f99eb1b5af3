/* When the shortcut of a residual block runs. */
#ifndef KERNELS_CPU_SHORTCUTS_H
#define KERNELS_CPU_SHORTCUTS_H

#include "kernels/cpu/plan.h"

/* Residual blocks end in a 1x1 convolution of their input, to which what the branch made is added. It goes before the
 * branch's last convolution, which then adds it: the block's input, which may be much wider, is gone by then, and the
 * shortcut can take its place. */
void shortcuts_hoist(struct plan *plan);

#endif
