#include "results/plot.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/gnuplot.h"
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
    cr_expect_not_null(strstr(plot->notes, "of 200 cases are drawn: those of the slowest workloads."), "%s",
                       plot->notes);
    plot_free(plot);
    record_free(record);
}

/* A fast decoder's case is drawn beside the slow one's that it is to be compared with. */
Test(plot, workloads_are_drawn_whole) {
    struct record *record = record_create();
    for (size_t i = 0; i < 200; i++) {
        char model[16];
        snprintf(model, sizeof model, "m%zu", i / 2);
        add_timed(record, model, "KL", i % 2 ? "cpu" : "reference", i % 2 ? 1e3 : 1e6 + (double)i);
    }
    struct plot *plot = plot_create(record, PLOT_LATENCY);
    cr_expect(plot->drawn_count > 100 && plot->drawn_count < 200);
    for (size_t i = 0; i < plot->line_count; i++) {
        cr_expect_str_eq(plot->lines[i].label, plot->lines[i ^ 1].label);
    }
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

/* ---- The other plots ---- */

static void add_sample(struct record *record, const struct case_row *row, const char *phase, int64_t wall_ns,
                       int64_t decodes) {
    struct sample_row *sample = record_append(record, TABLE_SAMPLES);
    sample->case_id = row->id;
    sample->phase = phase;
    sample->wall_ns = wall_ns;
    sample->decodes = decodes;
}

static size_t count_marks(const struct plot *plot, enum plot_mark_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < plot->mark_count; i++) {
        count += plot->marks[i].kind == kind;
    }
    return count;
}

Test(plot, samples_stand_where_they_are_from_the_median) {
    struct record *record = record_create();
    struct case_row *row = add_timed(record, "m", "KL", "cpu", 1e6);
    row->sample_count = 41;
    row->latency_low_ns = 0.9e6;
    row->latency_high_ns = 1.2e6;
    add_timed(record, "single", "KL", "cpu", 1e6)->sample_count = 1;
    row = (struct case_row *)record->tables[TABLE_CASES].rows;
    add_sample(record, row, "warm-up", 2000000, 1);
    add_sample(record, row, "timed", 0, 1);
    add_sample(record, row, "timed", 5000000, 0);
    for (int i = 0; i < 40; i++) {
        add_sample(record, row, "timed", 2000000 + 1000 * i, 2); /* 0 to +2 % */
    }
    add_sample(record, row, "timed", 9000000, 1); /* +800 % */
    struct plot *plot = plot_create(record, PLOT_SAMPLES);
    cr_assert_eq(plot->line_count, 1);
    cr_expect_eq(count_marks(plot, PLOT_MARK_DOT), 40);
    cr_expect_eq(count_marks(plot, PLOT_MARK_BEYOND), 2, "the slow sample and the warm-up");
    cr_expect_not_null(strstr(plot->notes, "2 decodes are further right"), "%s", plot->notes);
    cr_expect_not_null(strstr(plot->notes, "fewer than two timed samples: 1 passed"), "%s", plot->notes);
    for (size_t i = 0; i < plot->mark_count; i++) {
        const struct plot_mark *mark = &plot->marks[i];
        if (mark->kind == PLOT_MARK_BAND) {
            cr_expect_float_eq(mark->low, -10, 1e-9);
            cr_expect_float_eq(mark->high, 20, 1e-9);
        }
        if (mark->kind == PLOT_MARK_DOT) {
            cr_expect(mark->x >= 0 && mark->x < 2, "%g", mark->x);
            cr_expect(fabs(mark->offset) < 0.5);
        }
    }
    cr_expect(plot->axis.high < 25, "%g: far samples do not press the others together", plot->axis.high);
    plot_free(plot);
    record_free(record);
}

static void add_memory(struct record *record, const char *id, const char *phase, int64_t weights, int64_t activations,
                       int64_t rss) {
    struct memory_row *row = record_append(record, TABLE_MEMORY);
    bool closed = strcmp(phase, "close") == 0;
    row->case_id = id;
    row->phase = phase;
    row->weights_bytes = weights;
    row->activations_bytes = activations;
    row->workspace_bytes = row->tensors_bytes = 0;
    row->rss_bytes = row->rss_peak_bytes = rss;
    if (!closed) {
        row->weights_peak_bytes = weights;
        row->activations_peak_bytes = activations;
        row->workspace_peak_bytes = row->tensors_peak_bytes = 0;
        row->scratch_peak_bytes = activations;
    }
}

Test(plot, memory_is_stacked_by_phase) {
    struct record *record = record_create();
    const char *id = add_timed(record, "m", "KL", "cpu", 1e6)->id;
    add_timed(record, "without", "KL", "cpu", 1e6);
    add_memory(record, id, "start", -1, -1, 1000);
    add_memory(record, id, "open", 3000, 0, 4500);
    add_memory(record, id, "prepare", 3000, 2000, 4500);
    add_memory(record, id, "decode", 3000, 2000, 7000);
    add_memory(record, id, "close", 0, 0, 900);
    struct plot *plot = plot_create(record, PLOT_MEMORY);
    cr_assert_eq(plot->line_count, 4);
    cr_expect_eq(plot->left_out_count, 1);
    cr_expect_eq(plot->axis.unit, PLOT_BYTES, "one scale where there is one case");
    cr_expect_str_eq(plot->lines[0].note, "open");
    cr_expect_str_eq(plot->lines[2].value, "4.88 KiB");
    cr_expect_str_eq(plot->lines[3].value, "0 B");
    static const struct {
        size_t line;
        int series;
        double low, high;
    } bars[] = {{0, 0, 0, 3000}, {1, 0, 0, 3000}, {1, 1, 3000, 5000}, {2, 0, 0, 3000}, {2, 1, 3000, 5000}};
    static const double rss[] = {3500, 3500, 6000, 0};
    size_t bar = 0;
    for (size_t i = 0; i < plot->mark_count; i++) {
        const struct plot_mark *mark = &plot->marks[i];
        if (mark->kind == PLOT_MARK_TICK) {
            cr_expect_float_eq(mark->x, rss[mark->line], 1e-9, "resident set above that of the idle worker");
        } else {
            cr_assert(bar < 5);
            cr_expect(mark->line == bars[bar].line && mark->series == bars[bar].series);
            cr_expect(mark->low == bars[bar].low && mark->high == bars[bar].high);
            bar++;
        }
    }
    cr_expect_eq(bar, 5);
    cr_expect_eq(plot->series_count, 3, "classes that nobody uses are not in the legend");
    plot_free(plot);
    record_free(record);
}

Test(plot, memory_of_cases_too_different_has_a_scale_each) {
    struct record *record = record_create();
    static const char *const models[] = {"small", "large"};
    for (int i = 0; i < 2; i++) {
        const char *id = add_timed(record, models[i], "KL", "cpu", 1e6)->id;
        add_memory(record, id, "decode", i ? 1000000 : 1000, i ? 3000000 : 3000, -1);
    }
    struct plot *plot = plot_create(record, PLOT_MEMORY);
    cr_assert_eq(plot->mark_count, 4, "no ticks where no resident set is known");
    cr_expect_eq(plot->axis.unit, PLOT_SHARE);
    cr_expect_float_eq(plot->marks[1].high, 100, 1e-9);
    cr_expect_float_eq(plot->marks[3].high, 100, 1e-9);
    plot_free(plot);
    record_free(record);
}

static void add_trace(struct record *record, const char *id, const char *op, int64_t time_ns) {
    struct trace_row *row = record_append(record, TABLE_TRACE);
    row->case_id = id;
    row->op = record_text(record, op);
    row->time_ns = time_ns;
}

/* Whatever a trace claims: bars add up to all of the time, colours stay those of the op. */
Test(plot, shares_of_ops_add_up_to_all) {
    struct record *record = record_create();
    const char *ids[3];
    for (int i = 0; i < 3; i++) {
        char model[8];
        snprintf(model, sizeof model, "m%d", i);
        ids[i] = add_timed(record, model, "KL", "cpu", 1e6)->id;
    }
    for (int i = 0; i < 400; i++) {
        char op[16];
        snprintf(op, sizeof op, "op%d", i);
        add_trace(record, ids[i % 2], i < 8 ? "conv2d" : i < 12 ? "linear" : op, i < 12 ? 100000 : 1 + i);
    }
    add_trace(record, ids[0], "conv2d", -5);
    add_trace(record, "nobody", "conv2d", 1000000000);
    struct plot *plot = plot_create(record, PLOT_OPS);
    cr_assert_eq(plot->line_count, 2);
    cr_expect_eq(plot->left_out_count, 1);
    cr_expect_str_eq(plot->series[0].name, "conv2d");
    cr_expect_str_eq(plot->series[1].name, "linear");
    cr_expect_str_eq(plot->series[plot->series_count - 1].name, "other");
    cr_expect_leq(plot->series_count, 8);
    double end[2] = {0, 0};
    for (size_t i = 0; i < plot->mark_count; i++) {
        const struct plot_mark *mark = &plot->marks[i];
        cr_expect_float_eq(mark->low, end[mark->line], 1e-9, "no gap, no overlap");
        end[mark->line] = mark->high;
    }
    cr_expect_float_eq(end[0], 100, 1e-6);
    cr_expect_float_eq(end[1], 100, 1e-6);
    plot_free(plot);
    record_free(record);
}

static struct case_row *add_fused(struct record *record, const char *backend, const char *options, double median_ns,
                                  double spread) {
    struct case_row *row = support_add_case(record, "m", "KL", backend, options, "passed");
    row->latency_median_ns = median_ns;
    row->latency_low_ns = median_ns / spread;
    row->latency_high_ns = median_ns * spread;
    row->sample_count = 20;
    row->memory_weights_bytes = strstr(options, "fuse") ? 1100 : 1000;
    row->memory_peak_bytes = 1000;
    return row;
}

Test(plot, fuse_qkv_is_held_against_the_same_case_without) {
    struct record *record = record_create();
    add_fused(record, "cpu", "plain", 1e6, 1.01);
    add_fused(record, "cpu", "fuse_qkv", 0.8e6, 1.01);
    add_fused(record, "cpu", "tiling", 1e6, 1.2);
    add_fused(record, "cpu", "fuse_qkv+tiling", 0.9e6, 1.2);
    add_fused(record, "reference", "plain", 1e6, 1)->sample_count = 1;
    add_fused(record, "reference", "fuse_qkv", 0.5e6, 1)->sample_count = 1;
    add_fused(record, "alone", "fuse_qkv", 1e6, 1);
    add_fused(record, "other", "fuse_qkv+slicing", 1e6, 1);
    add_fused(record, "other", "plain", 1e6, 1);
    struct plot *plot = plot_create(record, PLOT_FUSE_QKV);
    cr_assert_eq(plot->line_count, 6);
    static const char *const values[] = {"−20.0 %", "+5.0 %", "−50.0 % (n=1)", "+5.0 %", "−10.0 % (noise)", "+5.0 %"};
    static const enum plot_mark_kind kinds[] = {PLOT_MARK_POINT, PLOT_MARK_POINT,  PLOT_MARK_HOLLOW,
                                                PLOT_MARK_POINT, PLOT_MARK_HOLLOW, PLOT_MARK_POINT};
    for (size_t i = 0; i < 6; i++) {
        cr_expect_str_eq(plot->lines[i].value, values[i]);
        cr_expect_eq(plot->marks[i].kind, kinds[i], "%zu", i);
    }
    cr_expect_float_eq(plot->marks[0].low, (0.8 / 1.01 / 1.01 - 1) * 100, 1e-9);
    cr_expect_float_eq(plot->marks[0].high, (0.8 * 1.01 * 1.01 - 1) * 100, 1e-9);
    cr_expect_not_null(strstr(plot->lines[4].label, "tiling"), "%s", plot->lines[4].label);
    plot_free(plot);
    record_free(record);
}

/* ---- Layout ---- */

static struct record *make_many(size_t count, const char *model) {
    struct record *record = record_create();
    for (size_t i = 0; i < count; i++) {
        char name[PLOT_LABEL_BYTES];
        snprintf(name, sizeof name, "%s%zu", model, i / 2);
        struct case_row *row = add_fused(record, i % 4 > 1 ? "cpu" : "plugin:a-very-long/name/of/a/vendors/library.so",
                                         i % 2 ? "fuse_qkv" : "plain", 1e3 * pow(1.5, (double)(i % 40)), 1.1);
        const char *id = row->id;
        row->psnr_db = i == 1 ? INFINITY : 100 + (double)(i % 30);
        row->outcome = i % 5 ? "passed" : "failed";
        for (int64_t s = 0; s < 12; s++) {
            add_sample(record, row, s < 2 ? "warm-up" : "timed", (int64_t)row->latency_median_ns + s * s, 1);
        }
        add_trace(record, id, "conv2d", 1000);
        add_trace(record, id, model, 500);
        support_add_step(record, id, i % 3 ? name : "conv", 1000 << i % 20, 100 << i % 7, 1000);
        support_add_profile(record, id, 1000 + (double)i);
        add_memory(record, id, "start", -1, -1, 1000000);
        add_memory(record, id, "open", 3000000 << i % 3, 0, 4000000);
        add_memory(record, id, "decode", 3000000 << i % 3, 2000000, 9000000);
        add_memory(record, id, "close", 0, 0, 2000000);
    }
    return record;
}

static void expect_words_inside(const struct plot_layout *layout, const char *what) {
    for (size_t i = 0; i < layout->word_count; i++) {
        const struct plot_words *words = &layout->words[i];
        double width = plot_text_pixels(words->text, strlen(words->text), words->size);
        double left = words->x - (words->anchor == PLOT_RIGHT ? width : words->anchor == PLOT_CENTER ? width / 2 : 0);
        cr_expect(left >= 0 && left + width <= layout->width + 1, "%s: '%s' from %g to %g of %d", what, words->text,
                  left, left + width, layout->width);
        cr_expect(words->y >= 6 && words->y <= layout->height - 6, "%s: '%s' at %g of %d", what, words->text, words->y,
                  layout->height);
        cr_expect_geq(words->size, 11);
    }
}

/* Words of one column that would meet: same anchor, less than a line apart, and their widths overlap. */
static void expect_words_apart(const struct plot_layout *layout, const char *what) {
    for (size_t i = 0; i < layout->word_count; i++) {
        for (size_t j = i + 1; j < layout->word_count; j++) {
            const struct plot_words *a = &layout->words[i], *b = &layout->words[j];
            double wide = plot_text_pixels(a->text, strlen(a->text), a->size);
            double other = plot_text_pixels(b->text, strlen(b->text), b->size);
            double a_left = a->x - (double)a->anchor / 2 * wide, b_left = b->x - (double)b->anchor / 2 * other;
            bool meet = fabs(a->y - b->y) < 11 && a_left < b_left + other && b_left < a_left + wide;
            cr_expect_not(meet && *a->text && *b->text, "%s: '%s' meets '%s'", what, a->text, b->text);
        }
    }
}

static void expect_discs_inside(const struct plot_layout *layout) {
    cr_expect_eq(layout->disc_count, layout->plot->point_count);
    for (size_t i = 0; i < layout->disc_count; i++) {
        const struct plot_disc *disc = &layout->discs[i];
        cr_expect(disc->x > 0 && disc->x < layout->width && disc->y > 0 && disc->y < layout->height, "%g, %g of %d, %d",
                  disc->x, disc->y, layout->width, layout->height);
    }
}

Test(plot, words_lie_inside_and_do_not_meet) {
    static const char *const names[] = {
        "m", "a-model-with-a-name-that-goes-on-and-on-and-is-much-too-long-for-one-line-of-a-narrow-drawing-of-it-",
        "words that can be parted where a space is, or else wherever the line happens to end, of any length, "};
    static const size_t counts[] = {1, 2, 90};
    for (size_t i = 0; i < 9; i++) {
        struct record *record = make_many(counts[i % 3], names[i / 3]);
        for (int id = 0; id < PLOT_COUNT; id++) {
            struct plot *plot = plot_create(record, (enum plot_id)id);
            for (int shape = PLOT_WIDE; !plot_is_empty(plot) && shape <= PLOT_NARROW; shape++) {
                struct plot_layout *layout = plot_layout_create(plot, record, (enum plot_shape)shape);
                expect_words_inside(layout, plots[id].name);
                expect_words_apart(layout, plots[id].name);
                if (plot->panel_count > 0) { /* has axes of its own */
                    expect_discs_inside(layout);
                    plot_layout_free(layout);
                    continue;
                }
                cr_expect(layout->right - layout->left >= 150, "%s: %d pixels are left for the marks", plots[id].name,
                          layout->right - layout->left);
                cr_expect(layout->tick_count >= 2, "%s: %zu ticks", plots[id].name, layout->tick_count);
                for (size_t t = 0; t < layout->tick_count; t++) {
                    cr_expect(layout->ticks[t].value >= layout->low - 1e-9 * fabs(layout->low) &&
                              layout->ticks[t].value <= layout->high * (1 + 1e-9));
                }
                plot_layout_free(layout);
            }
            plot_free(plot);
        }
        record_free(record);
    }
}

Test(plot, texts_are_broken_at_spaces_and_never_within_a_character) {
    cr_expect_eq(plot_text_fit("one two three", 12, 1000), 13);
    cr_expect_eq(plot_text_fit("one two three", 12, plot_text_pixels("one two t", 9, 12)), 8);
    cr_expect_eq(plot_text_fit("abcdefgh", 12, plot_text_pixels("abc", 3, 12)), 3);
    cr_expect_eq(plot_text_fit("ééééé", 12, plot_text_pixels("éé", 4, 12)), 4);
    cr_expect_eq(plot_text_fit("é", 12, 0), 2, "at least a character, or it would never end");
}

/* What tests/results/test_svg.py looks into. */
Test(plot, draw_for_other_programs) {
    const char *folder = getenv("VAEMARK_PLOTS_FOLDER"), *source = getenv("VAEMARK_SOURCE");
    if (!folder || !source) {
        return;
    }
    static const char *const hostile[] = {"it's {/Symbol a} \"q\" @b _x ^2 ~c",
                                          "ends in \\",
                                          "`touch drawn` $(id) #c %d %s",
                                          "<script>&amp;]]>",
                                          "line\nend\ttab\x01",
                                          "' . system('touch drawn') . '",
                                          "END_OF_MARKS",
                                          "id='gpPt0' href='#gpPt1'"};
    char scripts[4096];
    struct record *record = record_create();
    struct results_error error = {""};
    for (size_t i = 0; i < 8; i++) {
        struct record *one = record;
        struct case_row *row = add_fused(one, hostile[i], "plain", 1e6 * (double)(i + 1), 1.2);
        row->model = record_text(one, hostile[i]);
        row->vae_type = record_text(one, hostile[(i + 1) % 8]);
        row->decoder = record_text(one, hostile[i]);
        row->psnr_db = 100;
        add_sample(one, row, "timed", 1000000, 1);
        add_sample(one, row, "warm-up", 1100000, 1);
        add_trace(one, row->id, hostile[i], 1000);
        support_add_step(one, row->id, hostile[i], 1000000, 1000, 1000);
        support_add_profile(one, row->id, 1000 * (double)(i + 1));
        add_memory(one, row->id, "decode", 3000, 2000, -1);
        const char *model = row->model, *type = row->vae_type;
        row = add_fused(one, hostile[i], "fuse_qkv", 1e6 * (double)(i + 1), 1.2);
        row->model = model;
        row->vae_type = type;
        row->decoder = record_text(one, hostile[i]);
    }
    record_add_fact(record, "suite", hostile[0], "");
    record_add_fact(record, "cpu_model", hostile[4], "");
    snprintf(scripts, sizeof scripts, "%s/scripts/gnuplot", source);
    cr_expect(gnuplot_draw_all(record, folder, scripts, &error), "%s", error.message);
    record_free(record);
}
