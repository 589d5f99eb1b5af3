#include "kernels/cpu/kernels.h"

#include <string.h>

extern const struct kernel_set kernel_set_amx, kernel_set_avx512, kernel_set_avx2, kernel_set_portable;

/* What tests bring along, found by its name alone; NULL elsewhere. */
extern const struct kernel_set kernel_set_wide __attribute__((weak));

/* Best first. CPU_X86_64 is set where the build has the x86 variants. */
static const struct kernel_set *const sets[] = {
#if defined(CPU_X86_64)
    &kernel_set_amx,
    &kernel_set_avx512,
    &kernel_set_avx2,
#endif
    &kernel_set_portable,
};

const struct kernel_set *const *kernel_sets(size_t *count) {
    *count = sizeof sets / sizeof sets[0];
    return sets;
}

const struct kernel_set *kernel_set_choose(const char *isa) {
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const bool wanted = strcmp(isa, "auto") == 0 || strcmp(isa, sets[i]->name) == 0;
        if (wanted && sets[i]->is_supported()) {
            return sets[i];
        }
    }
    return &kernel_set_wide != NULL && strcmp(isa, kernel_set_wide.name) == 0 ? &kernel_set_wide : NULL;
}
