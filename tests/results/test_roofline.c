#include "results/roofline.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

static const struct roofline roof = {.flops_per_s = 1e9, .bytes_per_s = 1e8}; /* they meet at 10 FLOP/byte */

Test(roofline, the_lower_ceiling_is_the_limit) {
    cr_expect_str_eq(roofline_limit(&roof, 1100, 100), "compute");
    cr_expect_str_eq(roofline_limit(&roof, 900, 100), "bandwidth");
    cr_expect_str_eq(roofline_limit(&roof, 0, 100), "bandwidth");
    cr_expect_float_eq(roofline_least_ns(&roof, 1100, 100), 1100, 1e-9);
    cr_expect_float_eq(roofline_least_ns(&roof, 900, 100), 1000, 1e-9);
}

Test(roofline, a_ceiling_that_is_not_known_limits_nothing) {
    const struct roofline compute = {1e9, NAN}, none = {NAN, NAN};
    cr_expect_float_eq(roofline_least_ns(&compute, 900, 100), 900, 1e-9);
    cr_expect_str_empty(roofline_limit(&compute, 900, 100));
    cr_expect(isnan(roofline_least_ns(&none, 900, 100)));
    cr_expect_str_empty(roofline_limit(&none, 900, 100));
}

static struct trace_row *add_step(struct record *record, const char *id, const char *op, const char *kernel,
                                  int64_t flops, int64_t bytes) {
    struct trace_row *step = record_append(record, TABLE_TRACE);
    step->case_id = id;
    step->op = op;
    step->kernel = kernel;
    step->flops = flops;
    step->bytes = bytes;
    step->order = (int64_t)record->tables[TABLE_TRACE].count;
    return step;
}

Test(roofline, a_step_is_judged_by_its_time) {
    struct record *record = record_create();
    struct trace_row *step = add_step(record, "a", "conv2d", "fast", 2000, 100);
    roofline_judge(&roof, step, 4000);
    cr_expect_float_eq(step->flops_per_s, 5e8, 1e-3);
    cr_expect_float_eq(step->bytes_per_s, 2.5e7, 1e-3);
    cr_expect_float_eq(step->flops_per_byte, 20, 1e-9);
    cr_expect_float_eq(step->roof_share, 0.5, 1e-9);
    cr_expect_str_eq(step->limit, "compute");
    step = add_step(record, "a", "cut", "fast", 0, 0); /* moves nothing: no intensity, no limit, and no time */
    roofline_judge(&roof, step, 0);
    cr_expect_eq(step->profile_ns, 0);
    cr_expect(isnan(step->flops_per_s) && isnan(step->bytes_per_s) && isnan(step->flops_per_byte) &&
              isnan(step->roof_share));
    cr_expect_str_empty(step->limit);
    record_free(record);
}

Test(roofline, steps_are_of_one_case_longest_first) {
    struct record *record = record_create();
    size_t count = 0;
    for (int i = 0; i < 6; i++) {
        struct trace_row *step = add_step(record, i % 2 ? "a" : "b", "conv2d", "fast", 1000 * i, 10);
        roofline_judge(&roof, step, i == 3 ? 9000 : 1000);
    }
    add_step(record, "a", "conv2d", "fast", 10, 10); /* without a time: it is not of the profile */
    const struct trace_row **steps = roofline_find_steps(record, "a", &count);
    cr_assert_eq(count, 3);
    cr_expect_eq(steps[0]->flops, 3000);
    cr_expect_eq(steps[1]->flops, 1000, "of the same time the earlier one");
    cr_expect_eq(steps[2]->flops, 5000);
    free(steps);
    record_free(record);
}

/* The share of a group is that of its steps by their time: a long slow step counts for more. */
Test(roofline, groups_add_up) {
    struct record *record = record_create();
    size_t step_count = 0, count = 0;
    roofline_judge(&roof, add_step(record, "a", "conv2d", "fast", 2000, 10), 2000);   /* on the roof */
    roofline_judge(&roof, add_step(record, "a", "group_norm", "norm", 0, 100), 3000); /* a third */
    roofline_judge(&roof, add_step(record, "a", "conv2d", "slow", 2000, 10), 8000);   /* a quarter */
    roofline_judge(&roof, add_step(record, "a", "conv2d", "slow", 10, 100), 1000);    /* on the roof, by bandwidth */
    const struct trace_row **steps = roofline_find_steps(record, "a", &step_count);
    struct roofline_group *groups = roofline_group_steps(steps, step_count, ROOFLINE_BY_OP, &count);
    cr_assert_eq(count, 2);
    cr_expect_str_eq(groups[0].name, "conv2d");
    cr_expect_eq(groups[0].steps, 3);
    cr_expect_float_eq(groups[0].time_ns, 11000, 1e-9);
    cr_expect_float_eq(groups[0].flops, 4010, 1e-9);
    cr_expect_float_eq(groups[0].bytes, 120, 1e-9);
    cr_expect_float_eq(groups[0].least_ns, 5000, 1e-6);
    cr_expect_str_eq(roofline_group_limit(&groups[0]), "compute");
    cr_expect_str_eq(groups[1].name, "group_norm");
    cr_expect_str_eq(roofline_group_limit(&groups[1]), "bandwidth");
    free(groups);
    groups = roofline_group_steps(steps, step_count, ROOFLINE_BY_KERNEL, &count);
    cr_assert_eq(count, 3);
    cr_expect_str_eq(groups[0].name, "slow");
    cr_expect_str_eq(groups[1].name, "norm");
    cr_expect_str_eq(groups[2].name, "fast");
    free(groups);
    free(steps);
    record_free(record);
}

Test(roofline, groups_without_ceilings_have_times_alone) {
    const struct roofline none = {NAN, NAN};
    struct record *record = record_create();
    size_t step_count = 0, count = 0;
    roofline_judge(&none, add_step(record, "a", "conv2d", "fast", 2000, 10), 2000);
    roofline_judge(&none, add_step(record, "a", "conv2d", "fast", 2000, 10), 0);
    const struct trace_row **steps = roofline_find_steps(record, "a", &step_count);
    struct roofline_group *groups = roofline_group_steps(steps, step_count, ROOFLINE_BY_OP, &count);
    cr_assert_eq(count, 1);
    cr_expect_float_eq(groups[0].time_ns, 2000, 1e-9);
    cr_expect(isnan(groups[0].least_ns));
    cr_expect_str_empty(roofline_group_limit(&groups[0]));
    free(groups);
    free(steps);
    record_free(record);
}
