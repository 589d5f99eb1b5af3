/* cpu against the original framework's double-precision images. The bound, 2e-5 of the largest value or 16 times the
 * framework's own single-precision error, is the one that the goldens' own check uses. */
#include <criterion/criterion.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/kernels.h"
#include "tests/reference/support_files.h"
#include "tests/reference/support_goldens.h"

static const struct goldens_trial TRIAL = {.backend = &cpu_backend, .precision = "fp32", .torch_error_factor = 16};

Test(goldens, committed) {
    support_goldens_expect(&TRIAL, support_path("%s/tests/data", support_source()), SUPPORT_GOLDENS_COMMITTED, true);
}

/* More of the same where the design's own goldens lie beside the checkout. */
Test(goldens, shared) {
    support_goldens_expect(&TRIAL, support_path("%s/../shared/goldens", support_source()), SUPPORT_GOLDENS_SHARED,
                           false);
}

Test(goldens, fused_projections) {
    static const char *const FOLDERS[] = {"flux1-mini", "kl-noattn-mini", NULL};
    struct goldens_trial trial = TRIAL;
    trial.fuse_qkv = true;
    support_goldens_expect(&trial, support_path("%s/tests/data", support_source()), FOLDERS, true);
}

/* Sanitizers are slow, and see every kernel in test_kernels.c: the best ones are enough for them here. */
#ifdef __SANITIZE_ADDRESS__
enum { MOST_ISAS = 1 };
#else
enum { MOST_ISAS = 16 };
#endif

/* Every instruction set of this machine, every precision, several numbers of threads. */
Test(goldens, every_isa_precision_and_number_of_threads) {
    static const struct {
        const char *precision;
        int threads;
    } WAYS[] = {{"fp32", 1}, {"fp32", 3}, {"fp32-strict", 2}, {"bf16", 1}, {"bf16", 3}};
    size_t count, done = 0;
    const struct kernel_set *const *sets = kernel_sets(&count);
    for (size_t i = 0; i < count && done < MOST_ISAS; i++) {
        done += sets[i]->is_supported();
        for (size_t k = 0; k < sizeof WAYS / sizeof WAYS[0] && sets[i]->is_supported(); k++) {
            struct goldens_trial trial = TRIAL;
            trial.isa = sets[i]->name;
            trial.precision = WAYS[k].precision;
            trial.threads = WAYS[k].threads;
            support_goldens_expect(&trial, support_path("%s/tests/data", support_source()), SUPPORT_GOLDENS_COMMITTED,
                                   true);
        }
    }
}
