/* Which oracles a run may ask for. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "harness/checks/checks.h"

/* A resumed run, or one on a slower machine, must ask for the oracles that the first one asked for. */
Test(oracle, the_ring_member_that_is_held_to_it_is_drawn_from_seed_and_case) {
    size_t first = ring_member_held_to_oracle("sd15/cpu/fp32/plain/1x4x64x64", 0, 64);
    cr_assert_eq(ring_member_held_to_oracle("sd15/cpu/fp32/plain/1x4x64x64", 0, 64), first);
    size_t differing = 0, hit[4] = {0};
    for (unsigned i = 0; i < 64; i++) {
        char id[32];
        snprintf(id, sizeof id, "case/%u", i);
        differing += ring_member_held_to_oracle("sd15/cpu/fp32/plain/1x4x64x64", i, 64) != first;
        hit[ring_member_held_to_oracle(id, 0, 4)]++;
    }
    cr_assert_gt(differing, 48, "the seed has a say");
    cr_assert_eq(hit[0], 0, "member 0 is held to its oracle anyway");
    cr_assert(hit[1] && hit[2] && hit[3], "and so has the case");
}

Test(oracle, a_small_ring_has_little_to_choose_from) {
    cr_assert_eq(ring_member_held_to_oracle("a", 0, 0), 0);
    cr_assert_eq(ring_member_held_to_oracle("a", 0, 1), 0);
    cr_assert_eq(ring_member_held_to_oracle("a", 0, 2), 1);
}
