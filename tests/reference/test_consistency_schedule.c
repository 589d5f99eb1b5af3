/* The schedule of the consistency decoder against the figures that the framework's own tables hold, in the nine digits
 * that single precision has: rounding in another place shows from the seventh on. */
#include <criterion/criterion.h>

#include "reference/models/consistency_schedule.h"

static void expect_step(int32_t t, struct consistency_step wanted) {
    const struct consistency_step found = consistency_schedule_at(t);
    cr_expect_eq(found.sqrt_signal, wanted.sqrt_signal, "t %d: sqrt(A) %.9g", t, (double)found.sqrt_signal);
    cr_expect_eq(found.sqrt_noise, wanted.sqrt_noise, "t %d: sqrt(1-A) %.9g", t, (double)found.sqrt_noise);
    cr_expect_eq(found.c_skip, wanted.c_skip, "t %d: c_skip %.9g", t, (double)found.c_skip);
    cr_expect_eq(found.c_out, wanted.c_out, "t %d: c_out %.9g", t, (double)found.c_out);
    cr_expect_eq(found.c_in, wanted.c_in, "t %d: c_in %.9g", t, (double)found.c_in);
}

Test(consistency_schedule, holds_the_frameworks_figures) {
    expect_step(1008,
                (struct consistency_step){0.0228268914f, 0.999739408f, 0.00570895383f, 0.499967426f, 1.00019538f});
    expect_step(512, (struct consistency_step){0.70165652f, 0.712515354f, 0.278100282f, 0.448572487f, 1.25912368f});
}
