#include "results/plot_build.h"

void plot_build_fuse_qkv(struct plot *plot, const struct record *record) {
    (void)plot, (void)record;
}
