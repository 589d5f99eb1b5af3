/* The loops that peaks are measured with do all the work that they are credited with. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/peak.h"

Test(peak, the_table_is_the_kernel_tables) {
    size_t count = 0, kernel_count = 0;
    const struct peak_kernels *const *sets = peak_kernel_sets(&count);
    const struct kernel_set *const *kernels = kernel_sets(&kernel_count);
    size_t row = 0;
    for (size_t i = 0; i < kernel_count; i++) {
        if (strcmp(kernels[i]->name, "amx") == 0) {
            continue; /* its floats are AVX-512's */
        }
        cr_assert_lt(row, count);
        cr_expect_str_eq(sets[row]->name, kernels[i]->name);
        cr_expect_eq(sets[row]->is_supported(), kernels[i]->is_supported());
        row++;
    }
    cr_assert_eq(row, count);
    cr_expect(sets[count - 1]->is_supported(), "the portable one runs everywhere");
}

/* Every chain, one by one, as often as it is said: against the same steps in double. */
Test(peak, multiply_adds_are_all_made) {
    size_t count = 0;
    const struct peak_kernels *const *sets = peak_kernel_sets(&count);
    for (size_t s = 0; s < count; s++) {
        const size_t iterations[] = {0, 1, 7, 1000, 30000};
        const double seed = 0.5;
        for (size_t k = 0; sets[s]->is_supported() && k < sizeof iterations / sizeof *iterations; k++) {
            double wanted = 0;
            for (int chain = 0; chain < sets[s]->accumulators; chain++) {
                double x = 1 + seed + chain;
                for (size_t n = 0; n < iterations[k]; n++) {
                    x = x * (double)0.9999f + 1e-4 * (1 + seed);
                }
                cr_expect(x > 0.1 && x < 100, "far from zero and infinity");
                wanted += x * sets[s]->lanes;
            }
            double found = sets[s]->multiply_add(iterations[k], seed);
            double tolerance = iterations[k] <= 7 ? 1e-5 : 1e-3; /* one step is 1e-4 */
            cr_expect(fabs(found - wanted) < tolerance * wanted, "%s, %zu iterations: %g, wanted %g", sets[s]->name,
                      iterations[k], found, wanted);
        }
    }
}

Test(peak, reads_see_every_float_and_copies_move_it) {
    enum { COUNT = 1024 };
    size_t count = 0;
    const struct peak_kernels *const *sets = peak_kernel_sets(&count);
    float *in = aligned_alloc(64, (COUNT + 64) * sizeof *in), *out = aligned_alloc(64, (COUNT + 64) * sizeof *out);
    cr_assert(in && out);
    for (size_t s = 0; s < count; s++) {
        if (!sets[s]->is_supported()) {
            continue;
        }
        for (size_t i = 0; i < COUNT + 64; i++) {
            in[i] = (float)(i % 61);
            out[i] = -1;
        }
        double wanted = 0;
        for (size_t i = 0; i < COUNT; i++) {
            wanted += (double)in[i];
        }
        cr_expect_eq(sets[s]->read(in, COUNT), wanted);
        in[COUNT - 1] += 1;
        cr_expect_eq(sets[s]->read(in, COUNT), wanted + 1);
        sets[s]->copy(out, in, COUNT);
        cr_expect_eq(memcmp(out, in, COUNT * sizeof *in), 0, "%s", sets[s]->name);
        cr_expect_eq(out[COUNT], -1, "%s writes past the end", sets[s]->name);
    }
    free(in);
    free(out);
}

Test(peak, the_chain_makes_its_steps) {
    cr_expect_eq(peak_chain(64, 6), 6, "an even number of exclusive ors cancels");
    cr_expect_eq(peak_chain(0, 5), 5);
}
