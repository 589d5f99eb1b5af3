#include "results/compare.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "support.h"

static struct case_row *add(struct record *record, const char *model, const char *outcome, double latency_ns,
                            int64_t memory_bytes, double psnr_db) {
    struct case_row *row = support_add_case(record, model, "AutoencoderKL", "cpu", "plain", outcome);
    row->latency_median_ns = latency_ns;
    row->latency_low_ns = latency_ns * 0.95;
    row->latency_high_ns = latency_ns * 1.05;
    row->sample_count = 9;
    row->memory_peak_bytes = memory_bytes;
    row->psnr_db = psnr_db;
    return row;
}

/* Two runs that differ in every way. */
struct pair {
    struct record *records[2];
    struct comparison *comparison;
};

static struct pair *make_pair(void) {
    static const char *const paths[] = {"a.h5", "b.h5"};
    struct pair *pair = support_keep(malloc(sizeof *pair)); /* a comparison borrows its records */
    struct record *a = pair->records[0] = record_create(), *b = pair->records[1] = record_create();
    add(a, "same", "passed", 1e6, 1000, 100), add(b, "same", "passed", 1.02e6, 1000, 100);
    add(a, "worse", "passed", 1e6, 1000, 100);
    add(b, "worse", "failed", 2e6, 5096, 40.5)->reason = "quality is gone";
    add(a, "better", "crashed", NAN, -1, NAN), add(b, "better", "passed", 1e6, 1000, 100);
    add(a, "other", "crashed", NAN, -1, NAN), add(b, "other", "timed_out", NAN, -1, NAN);
    add(a, "gone", "passed", 1e6, 1000, 100), add(b, "new", "passed", 1e6, 1000, 100);
    add(a, "faster", "passed", 2e6, 2024, INFINITY), add(b, "faster", "passed", 1e6, 1000, INFINITY);
    record_add_fact(a, "suite", "smoke", ""), record_add_fact(b, "suite", "smoke", "");
    record_add_fact(a, "seed", "0", ""), record_add_fact(b, "seed", "1", "");
    record_add_fact(a, "compiler", "12", ""), record_add_fact(b, "compiler", "13", "");
    for (int i = 0; i < 2; i++) {
        struct model_row *model = record_append(pair->records[i], TABLE_MODELS);
        model->name = "same";
        model->weights_sha256 = i ? "beef" : "cafe";
        model->config_sha256 = "0";
    }
    pair->comparison = compare_runs((const struct record *const *)pair->records, paths, 2);
    cr_assert_not_null(pair->comparison);
    return pair;
}

static void free_pair(struct pair *pair) {
    comparison_free(pair->comparison);
    record_free(pair->records[0]);
    record_free(pair->records[1]);
}

static const struct compared_case *find(const struct comparison *c, const char *model) {
    for (size_t i = 0; i < c->case_count; i++) {
        if (strncmp(c->cases[i].id, model, strlen(model)) == 0) {
            return &c->cases[i];
        }
    }
    cr_assert_fail("no case %s", model);
    return NULL;
}

#define PRINTED(out, call)                                 \
    ({                                                     \
        char *printed = NULL;                              \
        size_t size_bytes = 0;                             \
        FILE *out = open_memstream(&printed, &size_bytes); \
        call;                                              \
        fclose(out);                                       \
        (const char *)support_keep(printed);               \
    })

static void expect_contains(const char *text, const char *part) {
    cr_expect_not_null(strstr(text, part), "'%s' is not in:\n%s", part, text);
}

Test(compare, sorts_out_what_changed) {
    struct pair *pair = make_pair();
    static const struct {
        const char *model;
        enum change change;
        bool any;
    } wanted[] = {{"same", CHANGE_NONE, false},  {"worse", CHANGE_WORSE, true},  {"better", CHANGE_BETTER, true},
                  {"other", CHANGE_OTHER, true}, {"gone", CHANGE_MISSING, true}, {"new", CHANGE_ADDED, true},
                  {"faster", CHANGE_NONE, true}};
    cr_expect_eq(pair->comparison->case_count, 7);
    cr_expect_eq(pair->comparison->common_count, 5);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct compared_case *item = find(pair->comparison, wanted[i].model);
        cr_expect_eq(item->differences[1].change, wanted[i].change, "%s", wanted[i].model);
        cr_expect_eq(item->any, wanted[i].any, "%s", wanted[i].model);
    }
    const struct difference *worse = &find(pair->comparison, "worse")->differences[1];
    cr_expect_float_eq(worse->latency_ratio, 2, 1e-9);
    cr_expect_float_eq(worse->latency_ratio_low, 2 * 0.95 / 1.05, 1e-9);
    cr_expect(worse->latency_differs);
    cr_expect_eq(worse->memory_bytes, 4096);
    cr_expect_not(find(pair->comparison, "same")->differences[1].latency_differs, "the intervals overlap");
    cr_expect_eq(find(pair->comparison, "faster")->differences[1].psnr_db, 0, "both are exact");
    free_pair(pair);
}

/* Being refused, skipped, doubted and failing are steps down from passing, in this order. */
Test(compare, knows_which_outcome_is_worse) {
    static const char *const steps[][2] = {
        {"passed", "refused"}, {"unsupported", "skipped"}, {"unstable", "mistrusted"}, {"failed", "crashed"}};
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 4; k++) {
            static const char *const paths[] = {"a", "b"};
            struct record *records[2] = {record_create(), record_create()};
            add(records[0], "m", steps[i][0], 1, 1, 1), add(records[1], "m", steps[k][1], 1, 1, 1);
            struct comparison *c = compare_runs((const struct record *const *)records, paths, 2);
            cr_expect_eq(c->cases[0].differences[1].change,
                         k > i   ? CHANGE_WORSE
                         : k < i ? CHANGE_BETTER
                                 : CHANGE_OTHER,
                         "%s, %s", steps[i][0], steps[k][1]);
            comparison_free(c);
            record_free(records[0]), record_free(records[1]);
        }
    }
}

Test(compare, tells_people_the_worst_first_in_any_width) {
    struct pair *pair = make_pair();
    for (int columns = 40; columns <= 200; columns += 20) {
        struct compare_style style = {.columns = columns};
        const char *text = PRINTED(out, compare_print(out, pair->comparison, &style));
        char *copy = strdup(text);
        for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
            cr_expect(text_width(line) <= (size_t)columns || strstr(line, "repeat: "), "%d columns: %s", columns, line);
        }
        free(copy);
        cr_expect_null(strchr(text, '\x1b'), "no colour unless asked for");
    }
    struct compare_style style = {.columns = 120, .colour = true, .only_changed = true};
    const char *text = PRINTED(out, compare_print(out, pair->comparison, &style));
    expect_contains(text,
                    "\x1b[31mWorse\x1b[0m (1)\n  worse/cpu/fp32/plain/1x4x8x8\n    B: passed -> failed\n      quality");
    expect_contains(text, "      repeat: vaemark run --case 'worse/cpu/fp32/plain/1x4x8x8'\n");
    expect_contains(text, "  gone/cpu/fp32/plain/1x4x8x8  not in B\n");
    expect_contains(text, "  new/cpu/fp32/plain/1x4x8x8  only in B\n");
    expect_contains(text, "2x slower    +4.00 KiB  -59.5 dB\n");
    expect_contains(text, "0.5x faster    -1.00 KiB      same\n");
    expect_contains(text, "\n1 case with nothing changed\n");
    expect_contains(text, "not measured side by side. To compare speeds, give one run");
    expect_contains(text, "Warning: the runs differ in seed");
    expect_contains(text, "Warning: the runs differ in weights of same");
    expect_contains(text, "  compiler\n    A  12\n    B  13\n");
    cr_expect_lt(strstr(text, "Worse"), strstr(text, "Better"));
    cr_expect_null(strstr(text, "Warning: the runs differ in compiler"), "that is no reason to warn");
    free_pair(pair);
}

Test(compare, tells_programs_and_pages_the_same) {
    struct pair *pair = make_pair();
    json_t *document = json_loads(PRINTED(out, cr_expect(compare_print_json(out, pair->comparison, true))), 0, NULL);
    cr_assert_not_null(document);
    cr_expect_eq(json_array_size(json_object_get(document, "cases")), 6, "without what is the same");
    const json_t *worse = json_array_get(json_object_get(document, "cases"), 0);
    const json_t *against = json_object_get(json_array_get(json_object_get(worse, "runs"), 1), "against_first");
    cr_expect_str_eq(json_string_value(json_object_get(against, "outcome")), "worse");
    cr_expect_eq(json_integer_value(json_object_get(against, "memory_peak_change_bytes")), 4096);
    cr_expect(json_is_true(json_object_get(against, "latency_differs")));
    json_decref(document);
    const char *text = PRINTED(out, compare_print_markdown(out, pair->comparison, false));
    expect_contains(
        text, "| `worse/cpu/fp32/plain/1x4x8x8` | worse: passed -\\> failed | 2x slower | +4.00 KiB | -59.5 dB |\n");
    expect_contains(text, "| `same/cpu/fp32/plain/1x4x8x8` | passed | 1.02x ~ | same | same |\n");
    expect_contains(text, "- **Warning:** the runs differ in seed");
    expect_contains(text, "| compiler | 12 | 13 |\n");
    free_pair(pair);
}

Test(compare, three_runs_have_a_column_each) {
    static const char *const paths[] = {"a", "b", "c"};
    struct record *records[3];
    for (int i = 0; i < 3; i++) {
        records[i] = record_create();
        add(records[i], "m", i == 2 ? "failed" : "passed", 1e6 * (i + 1), 1000, 100 - i);
    }
    struct comparison *c = compare_runs((const struct record *const *)records, paths, 3);
    struct compare_style style = {.columns = 80};
    const char *text = PRINTED(out, compare_print(out, c, &style));
    expect_contains(text, "Against A: latency\ncase                              B          C\n"
                          "m/cpu/fp32/plain/1x4x8x8  2x slower  3x slower\n");
    expect_contains(text, "    C: passed -> failed\n");
    expect_contains(text, "Against A: PSNR\n");
    style.columns = 40; /* one run at a time */
    text = PRINTED(out, compare_print(out, c, &style));
    expect_contains(text, "case                              C\nm/cpu/fp32/plain/1x4x8x8  3x slower\n");
    comparison_free(c);
    for (int i = 0; i < 3; i++) {
        record_free(records[i]);
    }
}
