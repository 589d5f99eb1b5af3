/* The reference against the original framework: in double precision to nine digits, which nothing but the same program
 * reaches; in single precision as close as the framework itself comes to its own double-precision run. */
#include <criterion/criterion.h>

#include "reference/executor.h"
#include "tests/reference/support_files.h"
#include "tests/reference/support_goldens.h"

static void expect_committed(const char *precision) {
    struct goldens_trial trial = {.backend = &reference_backend, .precision = precision, .torch_error_factor = 8};
    support_goldens_expect(&trial, support_path("%s/tests/data", support_source()), SUPPORT_GOLDENS_COMMITTED, true);
}

static void expect_shared(const char *precision) {
    struct goldens_trial trial = {.backend = &reference_backend, .precision = precision, .torch_error_factor = 8};
    support_goldens_expect(&trial, support_path("%s/../shared/goldens", support_source()), SUPPORT_GOLDENS_SHARED,
                           false);
}

Test(goldens, committed_in_double_precision) {
    expect_committed("fp64");
}

Test(goldens, committed_in_single_precision) {
    expect_committed("fp32");
}

/* More of the same where the design's own goldens lie beside the checkout. */
Test(goldens, shared_in_double_precision) {
    expect_shared("fp64");
}

Test(goldens, shared_in_single_precision) {
    expect_shared("fp32");
}

/* The same dot products in another grouping: fused projections must meet the unfused bound. */
Test(goldens, fused_projections_in_double_precision) {
    static const char *const FOLDERS[] = {"flux1-mini", "kl-noattn-mini", NULL};
    struct goldens_trial trial = {
        .backend = &reference_backend, .precision = "fp64", .fuse_qkv = true, .torch_error_factor = 8};
    support_goldens_expect(&trial, support_path("%s/tests/data", support_source()), FOLDERS, true);
}
