#include "results/plot.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "results/plot_build.h"
#include "results/plot_layout.h"
#include "support.h"

static struct case_row *add_timed(struct record *record, const char *model, const char *vae_type, const char *backend,
                                  double median_ns) {
    struct case_row *row = support_add_case(record, model, vae_type, backend, "plain", "passed");
    row->latency_median_ns = median_ns;
    return row;
}

Test(plot, cases_of_a_workload_and_a_type_lie_together) {
    static const char *const cases[][3] = {
        {"a", "KL", "reference"}, {"t", "Tiny", "reference"}, {"b", "KL", "reference"},
        {"a", "KL", "cpu"},       {"t", "Tiny", "cpu"},
    };
    static const char *const order[] = {"a/reference", "a/cpu", "b/reference", "t/reference", "t/cpu"};
    struct record *record = record_create();
    for (size_t i = 0; i < 5; i++) {
        add_timed(record, cases[i][0], cases[i][1], cases[i][2], 1e6);
    }
    support_add_case(record, "c", "KL", "cpu", "plain", "crashed");
    support_add_case(record, "d", "KL", "cpu", "plain", "refused");
    support_add_case(record, "e", "KL", "cpu", "plain", "crashed");
    struct plot *plot = plot_create(record, PLOT_LATENCY);
    cr_assert_eq(plot->line_count, 5);
    cr_assert_eq(plot->mark_count, 5);
    cr_expect_eq(plot->left_out_count, 3);
    cr_expect_not_null(strstr(plot->notes, "Without this figure: 2 crashed, 1 refused."), "%s", plot->notes);
    cr_expect_eq(plot->series_count, 2);
    for (size_t i = 0; i < 5; i++) {
        cr_expect(strncmp(plot->lines[i].row->id, order[i], strlen(order[i])) == 0, "%s", plot->lines[i].row->id);
        cr_expect_eq(plot->marks[i].line, i);
        cr_expect_eq(plot->marks[i].series, strstr(order[i], "cpu") ? 1 : 0);
    }
    plot_free(plot);
    record_free(record);
}

/* The slowest are drawn, in the order of the run, and the reader is told. */
Test(plot, of_too_many_cases_the_slowest_are_drawn) {
    struct record *record = record_create();
    for (size_t i = 0; i < 200; i++) {
        char model[16];
        snprintf(model, sizeof model, "m%zu", i);
        add_timed(record, model, "KL", "cpu", 1e6 + (double)((i * 77) % 200));
    }
    struct plot *plot = plot_create(record, PLOT_LATENCY);
    cr_expect_eq(plot->line_count, plot->drawn_count);
    cr_expect_eq(plot->drawn_count + plot->cut_count, 200);
    cr_expect_gt(plot->cut_count, 0);
    double least = INFINITY;
    for (size_t i = 0; i < plot->line_count; i++) {
        least = fmin(least, plot->lines[i].row->latency_median_ns);
        cr_expect(i == 0 || plot->lines[i].row > plot->lines[i - 1].row);
    }
    cr_expect_float_eq(least, 1e6 + (double)plot->cut_count, 0.5);
    cr_expect_not_null(strstr(plot->notes, "slowest of 200 cases"), "%s", plot->notes);
    plot_free(plot);
    record_free(record);
}

Test(plot, figures_that_are_none_are_left_out) {
    static const double medians[] = {NAN, INFINITY, 0, -1, 5e6};
    struct record *record = record_create();
    for (size_t i = 0; i < 5; i++) {
        struct case_row *row = add_timed(record, "m", "KL", "cpu", medians[i]);
        row->latency_low_ns = NAN;
        row->latency_high_ns = INFINITY;
        row->psnr_db = medians[i] > 0 ? medians[i] : NAN;
    }
    struct plot *plot = plot_create(record, PLOT_LATENCY);
    cr_assert_eq(plot->mark_count, 1);
    cr_expect_eq(plot->marks[0].low, 5e6);
    cr_expect_eq(plot->marks[0].high, 5e6);
    plot_free(plot);
    plot = plot_create(record, PLOT_PSNR);
    cr_expect_eq(plot->line_count, 2, "infinite decibels are an exact picture");
    cr_expect(isfinite(plot->marks[0].x) && plot->marks[0].x > plot->marks[1].x);
    cr_expect_str_eq(plot->lines[0].value, "exact");
    plot_free(plot);
    record_free(record);
}

Test(plot, a_run_without_cases_has_no_plots) {
    struct record *record = record_create();
    for (int id = 0; id < PLOT_COUNT; id++) {
        cr_expect_not(plot_has_data(record, (enum plot_id)id), "%s", plots[id].name);
        cr_expect(plots[id].title[0] && plots[id].caption[0] && plots[id].alt[0]);
    }
    record_free(record);
}

/* An RMS error's bound becomes decibels, the suite's floor may be stricter, and a check of something else is no bound.
 */
Test(plot, bound_of_a_psnr_comes_from_its_checks) {
    struct record *record = record_create();
    struct case_row *row = support_add_case(record, "a", "AutoencoderKL", "cpu", "plain", "passed");
    row->psnr_db = 20 * log10(2 / 1e-6);
    static const struct {
        double value, bound, wanted_db;
    } checks[] = {{3, 1e-5, NAN}, {1e-6, 2e-5, 100}, {1e-6, 2e-6, 120}};
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        support_add_check(record, row->id, "quality", "passed", "");
        struct check_row *check = (struct check_row *)record->tables[TABLE_CHECKS].rows + i;
        check->value = checks[i].value;
        check->bound = checks[i].bound;
        double found = plot_find_psnr_bound(record, row);
        cr_expect((isnan(found) && isnan(checks[i].wanted_db)) || fabs(found - checks[i].wanted_db) < 1e-9, "%g",
                  found);
    }
    record_free(record);
}
