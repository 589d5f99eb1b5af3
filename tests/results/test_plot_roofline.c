#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "results/plot.h"
#include "results/plot_layout.h"
#include "support.h"

Test(plot_roofline, has_a_point_a_kernel_and_size) {
    struct record *record = record_create();
    const char *id = support_add_case(record, "m", "KL", "cpu", "plain", "passed")->id;
    const char *untimed = support_add_case(record, "m", "KL", "exec", "plain", "passed")->id;
    support_add_step(record, id, "a", 2000000, 10000, 400000);
    support_add_step(record, id, "b", 1000000, 10000, 100000);
    support_add_step(record, id, "a", 2000000, 10000, 200000); /* as the first: one point */
    support_add_step(record, id, "a", 0, 10000, 299500);       /* has no place on a logarithmic axis */
    support_add_step(record, id, "b", 1000, 10000, 500);       /* too short to be seen */
    support_add_profile(record, id, 1e6);
    ((struct profile_row *)record_append(record, TABLE_PROFILES))->case_id = untimed;
    struct plot *plot = plot_create(record, PLOT_ROOFLINE);
    cr_assert_eq(plot->panel_count, 1);
    cr_assert_eq(plot->point_count, 2);
    cr_expect_eq(plot->panels[0].point_count, 2);
    cr_expect_float_eq(plot->points[0].flops_per_byte, 200, 1e-9);
    cr_expect_float_eq(plot->points[0].flops_per_s, 4e6 / 6e5 * 1e9, 1);
    cr_expect_float_eq(plot->points[0].time_share, 0.6, 1e-9);
    cr_expect_float_eq(plot->points[1].time_share, 0.1, 1e-9);
    cr_expect_str_eq(plot->series[0].name, "a", "the kernel that takes most comes first");
    cr_expect_str_eq(plot->panels[0].note, "1.00 ms of steps, 30 % of it not drawn: steps without FLOPs, and the "
                                           "shortest ones");
    cr_expect_not_null(strstr(plot->notes, "Without a profile that has times and ceilings: 1 passed."), "%s",
                       plot->notes);
    plot_free(plot);
    record_free(record);
}

static const struct plot_segment *find_roof(const struct plot_layout *layout, size_t number) {
    for (size_t i = 0; i < layout->segment_count; i++) {
        if (layout->segments[i].stroke == PLOT_STROKE_ROOF && number-- == 0) {
            return &layout->segments[i];
        }
    }
    return NULL;
}

/* What reaches a ceiling lies on its line, what is half as fast lies below, what is faster above. */
Test(plot_roofline, ceilings_lie_where_points_reach_them) {
    struct record *record = record_create();
    const char *id = support_add_case(record, "m", "KL", "cpu", "plain", "passed")->id;
    support_add_step(record, id, "level", 1000000000, 10000000, 1e7); /* 100 FLOP/byte at 100 GFLOP/s */
    support_add_step(record, id, "slope", 10000000, 10000000, 1e6);   /* 1 FLOP/byte at 10 GB/s */
    support_add_step(record, id, "slow", 1000000001, 10000000, 2e6 * 10);
    support_add_step(record, id, "fast", 1000000002, 10000000, 5e6);
    support_add_profile(record, id, 3.6e7);
    struct plot *plot = plot_create(record, PLOT_ROOFLINE);
    for (int shape = PLOT_WIDE; shape <= PLOT_NARROW; shape++) {
        struct plot_layout *layout = plot_layout_create(plot, record, (enum plot_shape)shape);
        const struct plot_segment *slope = find_roof(layout, 0), *level = find_roof(layout, 1);
        cr_assert(slope && level && !find_roof(layout, 2));
        cr_expect_float_eq(slope->x1, level->x0, 1e-6, "they meet");
        cr_expect_float_eq(slope->y1, level->y0, 1e-6);
        cr_assert_eq(layout->disc_count, 4); /* longest first: slow, level, fast, slope */
        const struct plot_disc *discs = layout->discs;
        cr_expect_gt(discs[0].y, level->y0 + 5);
        cr_expect_float_eq(discs[1].y, level->y0, 1e-3);
        cr_expect_lt(discs[2].y, level->y0 - 5);
        double along = (discs[3].x - slope->x0) / (slope->x1 - slope->x0);
        cr_expect(along > 0 && along < 1);
        cr_expect_float_eq(discs[3].y, slope->y0 + along * (slope->y1 - slope->y0), 1e-3);
        cr_expect_float_eq(discs[0].radius / discs[1].radius, sqrt(2), 1e-6, "areas are as times");
        plot_layout_free(layout);
    }
    plot_free(plot);
    record_free(record);
}

/* The slowest workloads have a panel each; without a bandwidth there is the level alone. */
Test(plot_roofline, rooflines_of_many_cases_are_cut_and_without_bandwidth_are_level) {
    struct record *record = record_create();
    for (int i = 0; i < 9; i++) {
        char model[8];
        snprintf(model, sizeof model, "m%d", i);
        const char *id = support_add_case(record, model, "KL", "cpu", "plain", "passed")->id;
        support_add_step(record, id, model, 1000000, 10000, 1e6 + i);
        support_add_profile(record, id, 1e6 + i);
        struct profile_row *profiles = record->tables[TABLE_PROFILES].rows;
        profiles[i].peak_bytes_per_s = NAN;
    }
    struct plot *plot = plot_create(record, PLOT_ROOFLINE);
    cr_assert_eq(plot->panel_count, 6);
    cr_expect_eq(strncmp(plot->panels[0].label, "m3 ", 3), 0, "%s", plot->panels[0].label);
    cr_expect_not_null(strstr(plot->notes, "6 of 9 cases are drawn"), "%s", plot->notes);
    struct plot_layout *layout = plot_layout_create(plot, record, PLOT_WIDE);
    cr_assert(find_roof(layout, 5) && !find_roof(layout, 6));
    cr_expect_float_eq(find_roof(layout, 0)->y0, find_roof(layout, 0)->y1, 1e-9);
    plot_layout_free(layout);
    plot_free(plot);
    record_free(record);
}
