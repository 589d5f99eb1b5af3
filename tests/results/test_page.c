#include "results/page.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "results/combined.h"
#include "results/fuse_qkv.h"
#include "results/picture.h"
#include "results/roofline.h"
#include "support.h"

static char *read_page(const char *folder) {
    char *path = NULL;
    size_t size_bytes = 0;
    cr_assert(asprintf(&path, "%s/index.html", folder) > 0);
    char *text = support_read_file(path, &size_bytes);
    cr_assert_not_null(text, "%s", path);
    free(path);
    return support_keep(text);
}

/* The page of a record, or of one beside another, without plots. */
static const char *make_page(const struct record *const *records, size_t count) {
    char *folder = support_path("page");
    struct report_run runs[4];
    const char *labels[] = {"one", "two", "three", "four"};
    struct results_error error = {""};
    mkdir(folder, 0777);
    for (size_t i = 0; i < count; i++) {
        runs[i] = (struct report_run){labels[i], "runs/it's.h5", records[i]};
    }
    struct record *all = count > 1 ? combined_create(records, labels, count) : NULL;
    cr_assert(page_write(runs, count, all ? all : records[0], folder, "gnuplot is <not> here", &error), "%s",
              error.message);
    record_free(all);
    return read_page(folder);
}

static const char *make_page_of(const struct record *record) {
    return make_page(&record, 1);
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) {
        count++;
    }
    return count;
}

#define EXPECT_IN(page, part)     cr_expect_not_null(strstr(page, part), "not in the page: %s", part)
#define EXPECT_NOT_IN(page, part) cr_expect_null(strstr(page, part), "in the page: %s", part)

Test(page, every_outcome_that_needs_eyes_comes_with_reason_and_command) {
    static const char *const outcomes[] = {"failed",     "crashed",  "timed_out", "out_of_memory",
                                           "mistrusted", "unstable", "unheard-of"};
    struct record *record = record_create();
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        struct case_row *row = support_add_case(record, outcomes[i], "AutoencoderKL", "cpu", "plain", outcomes[i]);
        row->reason = record_format(record, "because of %s", outcomes[i]);
        row->repro = record_format(record, "vaemark run --again %s", outcomes[i]);
    }
    const char *page = make_page_of(record);
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        char part[256];
        snprintf(part, sizeof part, "<p class=\"reason\">because of %s</p>", outcomes[i]);
        EXPECT_IN(page, part);
        snprintf(part, sizeof part, "<code>vaemark run --again %s</code>", outcomes[i]);
        EXPECT_IN(page, part);
        snprintf(part, sizeof part, "id=\"%s/cpu/fp32/plain/1x4x8x8\"", outcomes[i]);
        cr_expect_eq(count_of(page, part), 1, "%s", part);
    }
    EXPECT_IN(page, "</span> out of memory</span>");
    EXPECT_IN(page, "</span> unheard-of</span>");
    record_free(record);
}

Test(page, failed_checks_are_told_once_each) {
    struct record *record = record_create();
    struct case_row *row = support_add_case(record, "a", "AutoencoderKL", "cpu", "plain", "failed");
    row->reason = "quality: far off";
    support_add_check(record, row->id, "quality", "failed", "far off");
    support_add_check(record, row->id, "worst-tile", "failed", "further off");
    support_add_check(record, row->id, "finite", "passed", "no NaN");
    support_add_check(record, row->id, "trace", "unsupported", "no trace");
    const char *page = make_page_of(record);
    EXPECT_IN(page, "<p class=\"reason\">quality: far off</p>");
    EXPECT_IN(page, "<li><code>worst-tile</code> further off</li>");
    EXPECT_NOT_IN(page, "<li><code>quality</code>");
    EXPECT_IN(page, "title=\"quality: far off\" aria-label=\"failed\">✗</a>");
    EXPECT_IN(page, "title=\"worst-tile: further off\" aria-label=\"failed\">✗</a>");
    EXPECT_IN(page, "<span role=\"img\" aria-label=\"passed\">✓</span>");
    EXPECT_IN(page, "title=\"unsupported: no trace\"");
    record_free(record);
}

Test(page, a_profile_is_told_by_op_and_kernel_and_a_missing_one_with_its_reason) {
    const struct roofline roof = {1e11, NAN};
    struct record *record = record_create();
    const char *id = support_add_case(record, "a", "AutoencoderKL", "cpu", "plain", "passed")->id;
    const char *untimed = support_add_case(record, "a", "AutoencoderKL", "exec", "plain", "passed")->id;
    EXPECT_NOT_IN(make_page_of(record), "id=\"profiles\"");
    struct trace_row *step = record_append(record, TABLE_TRACE);
    step->case_id = id;
    step->op = "conv2d";
    step->kernel = "<winograd>";
    step->flops = 100000000;
    step->bytes = 1000000;
    roofline_judge(&roof, step, 5e5);
    struct profile_row *profile = record_append(record, TABLE_PROFILES);
    profile->case_id = id;
    profile->decodes = 3;
    profile->decode_ns = 6e5;
    profile->steps_ns = 5e5;
    profile->threads = 1;
    profile->isa = "avx9";
    profile->peak_flops_per_s = 1e11;
    profile = record_append(record, TABLE_PROFILES);
    profile->case_id = untimed;
    profile->note = "the decoder's trace has no times";
    const char *page = make_page_of(record);
    EXPECT_IN(page, "id=\"profiles\"");
    EXPECT_IN(page, "500 us in 1 step; 3 decodes of 600 us</summary>");
    EXPECT_IN(page, "measured with 1 thread: compute 100 GFLOP/s (avx9), bandwidth not measured.");
    EXPECT_IN(page, "<code>conv2d</code></th><td data-label=\"Time\">500 us</td>");
    EXPECT_IN(page, "<code>&lt;winograd&gt;</code></th>");
    EXPECT_IN(page, "<td data-label=\"FLOP/s\">200 G</td>");
    EXPECT_IN(page, "<td data-label=\"Of roof\">200.0 %</td>");
    EXPECT_IN(page, "Above 100 %: FLOPs are those of the direct form, and Winograd");
    EXPECT_IN(page, "has no profile: the decoder&#39;s trace has no times.</p>");
    record_free(record);
}

Test(page, nothing_unknown_is_written_as_a_number) {
    struct record *record = record_create();
    const uint8_t pixels[3] = {1, 2, 3};
    struct case_row *row = support_add_case(record, "a", "AutoencoderKL", "cpu", "plain", "passed");
    support_add_case(record, "a", "AutoencoderKL", "cpu", "fuse_qkv", "passed");
    row = (struct case_row *)record->tables[TABLE_CASES].rows; /* appending may have moved it */
    row->latency_median_ns = INFINITY;
    row->psnr_db = INFINITY;
    row->psnr_worst_tile_db = -INFINITY;
    support_add_case(record, "b", "", "cpu", "plain", "");
    struct model_row *model = record_append(record, TABLE_MODELS);
    model->name = "a";
    record_append(record, TABLE_ORACLE);
    record_append(record, TABLE_CHECKS);
    record_add_image(record, "a/cpu/fp32/plain/1x4x8x8", "error", 1, 1, pixels, NAN);
    record_add_image(record, "nobody's", "decoded", 1, 1, pixels, 1);
    record_add_fact(record, "seed", "", "bytes");
    const char *page = make_page_of(record);
    const char *body = strstr(page, "<body>");
    for (const char *at = body; *at; at++) { /* "nan" as a word: base64 may have it by chance */
        bool starts =
            at == body || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/-", at[-1]);
        bool word =
            strncasecmp(at, "nan", 3) == 0 || strncasecmp(at, "inf ", 4) == 0 || strncasecmp(at, "-inf", 4) == 0;
        cr_assert(!starts || !word || strncmp(at, "nan-", 4) == 0, "%.60s", at - 20);
    }
    EXPECT_IN(page, "<td data-label=\"PSNR\">exact</td>");
    EXPECT_IN(page, "unknown VAE type");
    EXPECT_IN(page, "no outcome");
    EXPECT_IN(page, "error, times an unknown gain");
    record_free(record);
}

Test(page, large_pictures_are_shown_smaller_where_they_are_many) {
    enum { SIDE = 1000, MOST = 4 };
    static uint8_t pixels[SIDE * SIDE * 3];
    struct record *record = record_create();
    const char *id = support_add_case(record, "a", "AutoencoderKL", "cpu", "plain", "passed")->id;
    const char *page = NULL;
    for (int i = 0; i < MOST; i++) {
        cr_assert(record_add_image(record, id, i == 1 ? "error" : "decoded", SIDE, SIDE, pixels, 1));
        page = i == 0 ? make_page_of(record) : page;
    }
    EXPECT_IN(page, "<img width=\"1000\" height=\"1000\"");
    EXPECT_NOT_IN(page, "here 1 :");
    page = make_page_of(record);
    cr_expect_eq(count_of(page, "<img width=\"250\" height=\"250\""), MOST);
    EXPECT_IN(page, "1000 × 1000 pixels, here 1 : 4; <a href=\"a_cpu_fp32_plain_1x4x8x8_error.png\">full size</a>");
    EXPECT_IN(page, "<a href=\"a_cpu_fp32_plain_1x4x8x8_decoded_3.png\">");
    EXPECT_IN(page, "the largest error of it");
    record_free(record);
}

Test(page, a_smaller_picture_is_the_mean_or_the_largest_of_squares) {
    uint8_t pixels[3 * 2 * 3] = {0};
    const struct record_image image = {3, 2, pixels};
    struct record_image smaller;
    pixels[1] = 100;               /* (0, 0), green */
    pixels[(2 * 2 + 1) * 3] = 201; /* (2, 1), red: a square of two */
    cr_assert_not_null(picture_shrink(&image, 2, false, &smaller));
    cr_expect_eq(smaller.height, 2);
    cr_expect_eq(smaller.width, 1);
    cr_expect_arr_eq(smaller.pixels, ((const uint8_t[]){0, 25, 0, 101, 0, 0}), 6);
    free(smaller.pixels);
    cr_assert_not_null(picture_shrink(&image, 2, true, &smaller));
    cr_expect_arr_eq(smaller.pixels, ((const uint8_t[]){0, 100, 0, 201, 0, 0}), 6);
    free(smaller.pixels);
}

Test(page, few_samples_claim_no_difference) {
    struct record *record = record_create();
    support_add_case(record, "a", "AutoencoderKL", "cpu", "plain", "passed");
    support_add_case(record, "a", "AutoencoderKL", "cpu", "fuse_qkv", "passed");
    struct case_row *rows = (struct case_row *)record->tables[TABLE_CASES].rows;
    for (int i = 0; i < 2; i++) {
        rows[i].latency_median_ns = rows[i].latency_low_ns = rows[i].latency_high_ns = 1e6 * (i + 1);
        rows[i].sample_count = 5 + i;
    }
    EXPECT_IN(make_page_of(record), "+100 % (n=5)");
    rows[0].sample_count = 6;
    EXPECT_IN(make_page_of(record), "+100 % (apart)");
    record_free(record);
}

Test(page, a_run_without_cases_says_so) {
    struct record *record = record_create();
    const char *page = make_page_of(record);
    EXPECT_IN(page, "<title>unknown suite: no cases (vaemark report)</title>");
    EXPECT_IN(page, "holds no cases");
    EXPECT_IN(page, "holds no facts");
    EXPECT_NOT_IN(page, "<section id=\"cases\"");
    EXPECT_NOT_IN(page, "href=\"#checks\"");
    EXPECT_NOT_IN(page, "header class=\"good\"");
    record_free(record);
}

Test(page, a_run_that_decided_nothing_is_not_green) {
    struct record *record = record_create();
    support_add_case(record, "a", "AutoencoderKL", "cpu", "plain", "unsupported")->reason = "no <such> thing";
    support_add_case(record, "b", "AutoencoderKL", "cpu", "plain", "unsupported")->reason = "no <such> thing";
    const char *page = make_page_of(record);
    EXPECT_IN(page, "inconclusive (vaemark report)</title>");
    EXPECT_IN(page, "<header class=\"doubt\">");
    EXPECT_IN(page, "2 cases: no &lt;such&gt; thing");
    record_free(record);
}

static const char hostile[] = "</code></title></style>\"'><script>alert(1)</script><img src=http://x.invalid/>\xC0\xBC";

Test(page, whatever_a_file_holds_stays_text) {
    struct record *record = record_create();
    const uint8_t pixels[3] = {1, 2, 3};
    struct case_row *row = support_add_case(record, hostile, hostile, hostile, hostile, hostile);
    row->reason = row->repro = row->decoder = row->shape = row->precision = hostile;
    const char *id = row->id;
    support_add_case(record, hostile, hostile, hostile, "fuse_qkv", "failed");
    support_add_check(record, id, hostile, "failed", hostile);
    support_add_check(record, id, "x", hostile, hostile);
    record_add_image(record, id, hostile, 1, 1, pixels, 1);
    struct model_row *model = record_append(record, TABLE_MODELS);
    model->name = model->vae_type = model->config_sha256 = model->weights_sha256 = model->weights_origin = hostile;
    struct oracle_row *oracle = record_append(record, TABLE_ORACLE);
    oracle->case_id = oracle->key = oracle->source = hostile;
    record_add_fact(record, hostile, hostile, hostile);
    record_add_fact(record, "suite", hostile, "");
    record_add_fact(record, "command_line", hostile, "");
    const struct record *both[] = {record, record};
    for (size_t count = 1; count <= 2; count++) {
        const char *page = make_page(both, count);
        EXPECT_NOT_IN(page, "<script");
        EXPECT_NOT_IN(page, "<img src=http");
        EXPECT_NOT_IN(page, "\xC0");
        cr_expect_eq(count_of(page, "</title>"), 1);
        cr_expect_eq(count_of(page, "</style>"), 1);
        EXPECT_IN(page, "gnuplot is &lt;not&gt; here");
        EXPECT_IN(page, "default-src 'none'");
    }
    record_free(record);
}

Test(page, an_address_leads_to_one_place) {
    struct record *record = record_create();
    support_add_case(record, "a b", "AutoencoderKL", "cpu", "plain", "passed");
    support_add_case(record, "a_b", "AutoencoderKL", "cpu", "plain", "passed");
    support_add_case(record, "x", "AutoencoderKL", "cpu", "plain", "passed")->id = "cases";
    const char *page = make_page_of(record);
    cr_expect_eq(count_of(page, "id=\"a_b/cpu/fp32/plain/1x4x8x8\""), 1);
    cr_expect_eq(count_of(page, "id=\"cases\""), 1, "a case must not be taken for a section");
    cr_expect_eq(count_of(page, "id=\"case/cases\""), 1);
    EXPECT_NOT_IN(page, "id=\"\"");
    record_free(record);
}

Test(page, runs_side_by_side_keep_equal_cases_apart) {
    struct record *one = support_make_record(), *two = support_make_record();
    struct case_row *row = (struct case_row *)two->tables[TABLE_CASES].rows;
    row->outcome = "crashed";
    record_add_fact(two, "memory_total", "128", "GiB");
    record_add_fact(two, "only_here", "yes", "");
    const struct record *both[] = {one, two};
    const char *page = make_page(both, 2);
    EXPECT_IN(page, "id=\"one/sd15-mini/cpu/fp32/plain/1x4x8x8\"");
    EXPECT_IN(page, "id=\"two/sd15-mini/cpu/fp32/plain/1x4x8x8\"");
    EXPECT_IN(page, "<td data-label=\"one\">64 GiB</td><td data-label=\"two\">128 GiB</td>");
    EXPECT_IN(
        page,
        "<th scope=\"row\">only_here</th><td class=\"none\" data-label=\"one\">–</td><td data-label=\"two\">yes</td>");
    EXPECT_IN(page, "<dt>cpu_model</dt><dd>Xéon</dd>");
    EXPECT_NOT_IN(page, "<dt>memory_total</dt>");
    EXPECT_IN(page, "runs/it&#39;s.h5");
    record_free(one);
    record_free(two);
}

Test(combined, rows_facts_and_pictures_of_all_are_there) {
    struct record *one = support_make_record(), *two = support_make_record();
    const struct record *both[] = {one, two};
    static const char *const labels[] = {"x", "y"};
    struct record *all = combined_create(both, labels, 2);
    cr_assert_not_null(all);
    for (int i = 0; i < TABLE_COUNT; i++) {
        cr_expect_eq(all->tables[i].count, one->tables[i].count + two->tables[i].count, "%s", results_schema[i].name);
    }
    const struct case_row *row = RECORD_ROW(all, TABLE_CASES, 2, case_row);
    cr_expect_str_eq(row->id, "y/sd15-mini/cpu/fp32/plain/1x4x8x8");
    cr_expect_str_eq(row->backend, "y cpu");
    cr_expect_eq(row->memory_peak_bytes, 2435840);
    cr_expect_str_eq(RECORD_ROW(all, TABLE_CHECKS, 0, check_row)->case_id, "x/sd15-mini/cpu/fp32/plain/1x4x8x8");
    cr_expect_eq(all->image_count, 4);
    cr_expect_arr_eq(all->images[3].pixels, two->images[1].pixels, 5 * 7 * 3);
    cr_expect_str_eq(record_fact(all, "cpu_model"), "Xéon");
    record_free(one);
    record_free(two);
    cr_expect_str_eq(row->vae_type, "AutoencoderKL", "texts are its own");
    record_free(all);
}

Test(fuse_qkv, a_case_finds_the_same_without_it) {
    static const struct {
        const char *options, *plain;
    } cases[] = {{"fuse_qkv", "plain"},          {"fuse_qkv+slicing", "slicing"}, {"slicing+fuse_qkv", "slicing"},
                 {"a+fuse_qkv=on+b=1", "a+b=1"}, {"fuse_qkv_more", NULL},         {"plain", NULL}};
    struct record *record = record_create();
    static const char *const others[] = {"plain", "slicing", "a+b=1", "a+b", "slicing+tiling"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        support_add_case(record, "m", "AutoencoderKL", "reference", others[i], "passed");
        support_add_case(record, "m", "AutoencoderKL", "cpu", others[i], "passed");
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct case_row row = {.model = "m", .backend = "cpu", .precision = "fp32", .shape = "1x4x8x8"};
        row.options = cases[i].options;
        const struct case_row *found = fuse_qkv_find_plain(record, &row);
        cr_expect_eq(found != NULL, cases[i].plain != NULL, "%s", row.options);
        if (found && cases[i].plain) {
            cr_expect_str_eq(found->options, cases[i].plain);
            cr_expect_str_eq(found->backend, "cpu");
        }
    }
    record_free(record);
}
