#include "results/show.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/roofline.h"
#include "support.h"

/* What a printing function prints, as a text (never freed). */
#define PRINTED(out, call)                                                  \
    ({                                                                      \
        struct printed *printed = support_keep(calloc(1, sizeof *printed)); \
        FILE *out = open_memstream(&printed->text, &printed->size_bytes);   \
        call;                                                               \
        fclose(out);                                                        \
        printed->text;                                                      \
    })

struct printed {
    char *text;
    size_t size_bytes;
};

static void expect_contains(const char *text, const char *part) {
    cr_expect_not_null(strstr(text, part), "'%s' is not in:\n%s", part, text);
}

Test(show, json_is_json_and_says_what_the_record_says) {
    struct record *record = support_make_record();
    json_error_t error;
    json_t *document = json_loads(PRINTED(out, cr_expect(show_json(out, record, NULL))), 0, &error);
    cr_assert_not_null(document, "%s", error.text);
    const json_t *row = json_array_get(json_object_get(document, "cases"), 0);
    cr_expect_eq(json_array_size(json_object_get(document, "cases")), 2);
    cr_expect_eq(json_integer_value(json_object_get(row, "memory_weights_bytes")), 5000000000);
    cr_expect(json_is_integer(json_object_get(row, "threads")));
    cr_expect_eq(json_real_value(json_object_get(row, "max_abs_error")), 3.4757e-06, "all digits are there");
    cr_expect(json_is_null(json_object_get(row, "ssim")), "NaN");
    cr_expect(json_is_null(json_object_get(row, "psnr8_db")), "infinity");
    cr_expect(json_is_null(json_object_get(row, "fused_modules")), "unknown integer");
    const json_t *environment = json_object_get(document, "environment");
    cr_expect_str_eq(json_string_value(json_object_get(environment, "cpu_model")), "Xéon");
    cr_expect_str_eq(json_string_value(json_object_get(environment, "memory_total__unit")), "GiB");
    for (int i = 0; i < TABLE_COUNT; i++) {
        cr_expect(json_is_array(json_object_get(document, results_schema[i].name)), "%s", results_schema[i].name);
    }
    json_decref(document);
    record_free(record);
}

Test(show, json_of_one_case_has_its_rows_alone) {
    struct record *record = support_make_record();
    const char *id = RECORD_ROW(record, TABLE_CASES, 0, case_row)->id;
    json_t *document = json_loads(PRINTED(out, cr_expect(show_json(out, record, id))), 0, NULL);
    cr_expect_eq(json_array_size(json_object_get(document, "cases")), 1);
    cr_expect_eq(json_array_size(json_object_get(document, "checks")), 1);
    cr_expect_eq(json_array_size(json_object_get(document, "models")), 1);
    cr_expect_eq(json_array_size(json_object_get(document, "images")), 2);
    json_decref(document);
    cr_expect_str_empty(PRINTED(out, cr_expect_not(show_json(out, record, "no/such/case"))));
    record_free(record);
}

Test(show, csv_quotes_as_rfc_4180_says) {
    struct record *record = support_make_record();
    const char *text = PRINTED(out, cr_expect(show_csv(out, record, TABLE_CASES)));
    expect_contains(text, "id,model,vae_type,");
    expect_contains(text, ",\"naïve, \"\"quoted\"\"\",AutoencoderKL,");
    expect_contains(text, ",\"first line\nsecond line\",");
    expect_contains(text, ",1250000,1200000,1375000,,,21,"); /* NaN is empty */
    const char *checks = PRINTED(out, cr_expect(show_csv(out, record, TABLE_CHECKS)));
    expect_contains(checks, "quality,passed,,,,,fine\n");
    expect_contains(checks, ",\"32.1 dB, 90 dB are wanted\"\n");
    record_free(record);
}

Test(show, summary_has_a_line_a_case_and_what_failed_below) {
    struct record *record = support_make_record();
    const char *text = PRINTED(out, show_summary(out, record, 0));
    cr_expect_null(strstr(text, "✓"), "no check says that memory is as planned");
    support_add_check(record, RECORD_ROW(record, TABLE_CASES, 0, case_row)->id, "memory-planned", "passed", "");
    text = PRINTED(out, show_summary(out, record, 0));
    expect_contains(text, "1.25 ms ±10 %");
    expect_contains(text, "2.32 MiB ✓");
    expect_contains(text, "4.66 GiB");
    expect_contains(text, "131.7 dB");
    expect_contains(text, "2/2");
    expect_contains(text, "0/1");
    expect_contains(text, "quoted\"/cpu/fp32/plain/1x4x8x8: failed\n  first line");
    expect_contains(text, "  repeat: vaemark run --case 'naïve");
    expect_contains(text, "2 cases: 1 passed, 1 failed; 3 checks: 2 passed, 1 failed");
    record_free(record);
}

static size_t widest_line(const char *text) {
    size_t widest = 0;
    for (char *line = strtok(support_keep(strdup(text)), "\n"); line; line = strtok(NULL, "\n")) {
        size_t width = text_width(line);
        widest = width > widest ? width : widest;
    }
    return widest;
}

Test(show, summary_fits_the_terminal) {
    struct record *record = record_create();
    struct case_row *row =
        support_add_case(record, "a-model-with-a-long-name", "AutoencoderKL", "reference", "fuse_qkv+tiling", "passed");
    row->latency_median_ns = 1.25e6;
    row->psnr_db = 131.7;
    for (int columns = 60; columns <= 200; columns += 7) {
        const char *text = PRINTED(out, show_summary(out, record, columns));
        cr_expect_leq(widest_line(text), (size_t)columns, "%d columns:\n%s", columns, text);
        cr_expect_eq(strncmp(strchr(text, '\n') + 1, "a-model", 7), 0, "one line a case:\n%s", text);
    }
    record_free(record);
}

Test(show, an_outcome_of_the_future_is_not_hidden) {
    struct record *record = record_create();
    support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", "evaporated")->reason = "too warm";
    const char *text = PRINTED(out, show_summary(out, record, 0));
    expect_contains(text, "m/cpu/fp32/plain/1x4x8x8: evaporated\n  too warm");
    expect_contains(text, "1 with another outcome");
    record_free(record);
}

Test(show, an_empty_run_is_called_so) {
    struct record *record = record_create();
    expect_contains(PRINTED(out, show_summary(out, record, 80)), "No cases were recorded");
    record_free(record);
}

Test(show, case_tells_everything) {
    struct record *record = support_make_record();
    const char *id = RECORD_ROW(record, TABLE_CASES, 0, case_row)->id;
    const char *text = PRINTED(out, cr_expect(show_case(out, record, id)));
    expect_contains(text, "95 % interval 1.20 ms to 1.38 ms");
    expect_contains(text, "8-bit exact");
    expect_contains(text, "quality");
    expect_contains(text, "conv2d");
    expect_contains(text, "/images/pixels/0001");
    expect_contains(text, "samples: 1 timed");
    cr_expect_null(strstr(text, "nan"), "%s", text);
    cr_expect_not(show_case(stdout, record, "no/such/case"));
    record_free(record);
}

static void add_profiled_step(struct record *record, const char *id, const char *op, int64_t flops, double profile_ns) {
    const struct roofline roof = {1e11, 1e10};
    struct trace_row *step = record_append(record, TABLE_TRACE);
    step->case_id = id;
    step->op = op;
    step->kernel = record_format(record, "%s_fast", op);
    step->module = "decoder.conv_in";
    step->time_ns = 77777777;
    step->flops = flops;
    step->bytes = 1000000;
    roofline_judge(&roof, step, profile_ns);
}

Test(show, a_profile_is_told_by_op_by_kernel_and_by_step) {
    struct record *record = record_create();
    const char *id = support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", "passed")->id;
    add_profiled_step(record, id, "group_norm", 0, 2e5);     /* at best 1e5 ns: half of the roof */
    add_profiled_step(record, id, "conv2d", 100000000, 5e5); /* at best 1e6 ns: twice the roof */
    add_profiled_step(record, id, "conv2d", 100000000, 1.5e6);
    struct profile_row *profile = record_append(record, TABLE_PROFILES);
    profile->case_id = id;
    profile->decodes = 5;
    profile->decode_ns = 2.5e6;
    profile->steps_ns = 2.2e6;
    profile->threads = 2;
    profile->isa = "avx9";
    profile->peak_flops_per_s = 1e11;
    profile->peak_bytes_per_s = 1e10;
    const char *text = PRINTED(out, cr_expect(show_case(out, record, id)));
    expect_contains(text, "profile: 5 decodes of 2.50 ms (median) after the timed ones; 3 steps, 2.20 ms in all");
    expect_contains(text, "compute 100 GFLOP/s (avx9), bandwidth 10.0 GB/s; 2 threads");
    expect_contains(text, "2.00 ms   90.9 %      2       100 G    1.00 G      100  compute    100.0 %  conv2d\n");
    expect_contains(text, "200 us    9.1 %      1           -    5.00 G        -  bandwidth   50.0 %  group_norm\n");
    expect_contains(text, "50.0 %  group_norm_fast\n");
    expect_contains(text, "66.7 %  conv2d conv2d_fast decoder.conv_in\n");
    expect_contains(text, "Above 100 %: FLOPs are those of the direct form, and Winograd's");
    cr_expect_lt(strstr(text, "  conv2d\n"), strstr(text, "  group_norm\n"), "longest first");
    text = PRINTED(out, show_summary(out, record, 0));
    expect_contains(text, "the longest step of each profiled case:\n");
    expect_contains(text, "66.7 %  m/cpu/fp32/plain/1x4x8x8 conv2d_fast\n");
    cr_expect_null(strstr(text, "group_norm_fast"), "%s", text);
    cr_expect_null(strstr(text, "77.8 ms"), "times of the first decode are not mixed with the profile's");
    cr_expect_null(strstr(text, "nan"), "%s", text);
    record_free(record);
}

/* A worker that tells what it ran and not how long that took. */
Test(show, a_trace_without_times_says_so) {
    struct record *record = record_create();
    const char *id = support_add_case(record, "m", "AutoencoderKL", "exec:x", "plain", "passed")->id;
    struct trace_row *entry = record_append(record, TABLE_TRACE);
    entry->case_id = id;
    entry->op = "conv2d";
    entry->why = "direct: stride 2";
    entry->time_ns = 0;
    entry->flops = 2000;
    const char *text = PRINTED(out, cr_expect(show_case(out, record, id)));
    expect_contains(text, "the decoder does not tell their times");
    cr_expect_null(strstr(text, "profile"), "none was asked for");
    struct profile_row *profile = record_append(record, TABLE_PROFILES);
    profile->case_id = id;
    profile->note = "the decoder's trace has no times";
    text = PRINTED(out, cr_expect(show_case(out, record, id)));
    expect_contains(text, "profile: none, the decoder's trace has no times\n");
    expect_contains(text, "2.00 kFLOP  conv2d");
    expect_contains(text, "                     direct: stride 2\n");
    cr_expect_null(strstr(text, "0.00 ns"), "%s", text);
    cr_expect_null(strstr(text, "nan"), "%s", text);
    record_free(record);
}

static void add_ran(struct record *record, const char *model, const char *backend, int64_t modules) {
    struct case_row *row = support_add_case(record, model, "AutoencoderKL", backend, "fuse_qkv", "passed");
    row->fused_modules = modules;
    support_add_check(record, row->id, "fuse-qkv/accepted", "passed", "");
}

static void add_refused(struct record *record, const char *model, const char *type, const char *backend) {
    const char *id = support_add_case(record, model, type, backend, "fuse_qkv", "refused")->id;
    support_add_check(record, id, "fuse-qkv/refused", "passed", "");
}

Test(show, fuse_qkv_sentence_says_where_it_ran_and_where_not) {
    struct record *record = record_create();
    static const char *const backends[] = {"reference", "cpu"};
    for (int i = 0; i < 2; i++) {
        add_ran(record, "sd15-mini", backends[i], 1);
        add_ran(record, "kl-noattn-mini", backends[i], 0);
        add_ran(record, "flux1-mini", backends[i], 1);
        add_refused(record, "taesd-mini", "AutoencoderTiny", backends[i]);
        add_refused(record, "consistency-mini", "ConsistencyDecoderVAE", backends[i]);
    }
    cr_expect_str_eq(PRINTED(out, show_fuse_qkv_sentence(out, record)),
                     "fuse-QKV ran on AutoencoderKL (sd15-mini and flux1-mini: 1 attention fused each; kl-noattn-mini "
                     "has none) on reference and cpu (6 cases), and was refused on AutoencoderTiny and "
                     "ConsistencyDecoderVAE on reference and cpu (4 cases), each time before any work.\n");
    record_free(record);
}

Test(show, fuse_qkv_sentence_claims_nothing_that_was_not_checked) {
    struct record *record = record_create();
    expect_contains(PRINTED(out, show_fuse_qkv_sentence(out, record)), "was not checked");
    support_add_case(record, "sd15-mini", "AutoencoderKL", "cpu", "plain", "passed");
    expect_contains(PRINTED(out, show_fuse_qkv_sentence(out, record)), "was not checked");
    /* Without any check, but with the decoder's word. */
    support_add_case(record, "sd15-mini", "AutoencoderKL", "cpu", "fuse_qkv", "passed")->fused_modules = 1;
    const char *text = PRINTED(out, show_fuse_qkv_sentence(out, record));
    expect_contains(text, "not decided in sd15-mini/cpu/fp32/fuse_qkv/1x4x8x8 (passed)");
    cr_expect_null(strstr(text, "ran on"), "%s", text);
    record_free(record);
}

Test(show, fuse_qkv_sentence_puts_failures_first) {
    struct record *record = record_create();
    add_ran(record, "sd15-mini", "cpu", 1);
    const char *id = support_add_case(record, "taesd-mini", "AutoencoderTiny", "cpu", "fuse_qkv", "failed")->id;
    support_add_check(record, id, "fuse-qkv/refused", "passed", "");
    support_add_check(record, id, "fuse-qkv/unchanged", "failed", "the image changed");
    support_add_case(record, "taef2", "AutoencoderTiny", "cpu", "tiling+fuse_qkv", "crashed")->reason = "signal 11";
    const char *text = PRINTED(out, show_fuse_qkv_sentence(out, record));
    cr_expect_eq(strncmp(text, "fuse-QKV went wrong in 1 of 3 cases: taesd-mini/", 47), 0, "%s", text);
    expect_contains(text, "(fuse-qkv/unchanged: the image changed)");
    expect_contains(text, "Elsewhere it ran on AutoencoderKL (sd15-mini: 1 attention fused)");
    expect_contains(text, "no type that must refuse it was asked");
    expect_contains(text, "not decided in taef2/cpu/fp32/tiling+fuse_qkv/1x4x8x8 (crashed: signal 11)");
    record_free(record);
}

Test(show, fuse_qkv_sentence_tells_a_reason_once) {
    struct record *record = record_create();
    support_add_case(record, "a", "AutoencoderTiny", "cpu", "fuse_qkv", "crashed")->reason = "signal 11";
    support_add_case(record, "b", "AutoencoderTiny", "cpu", "fuse_qkv", "timed_out")->reason = "5 s";
    support_add_case(record, "c", "AutoencoderTiny", "cpu", "fuse_qkv", "crashed")->reason = "signal 11";
    const char *text = PRINTED(out, show_fuse_qkv_sentence(out, record));
    cr_expect_str_eq(text, "fuse-QKV was not decided in a/cpu/fp32/fuse_qkv/1x4x8x8 and c/cpu/fp32/fuse_qkv/1x4x8x8 "
                           "(crashed: signal 11).\n"
                           "fuse-QKV was not decided in b/cpu/fp32/fuse_qkv/1x4x8x8 (timed_out: 5 s).\n");
    record_free(record);
}

Test(show, figures_read_well) {
    cr_expect_str_eq(format_time(999.4).text, "999 ns");
    cr_expect_str_eq(format_time(999.6e3).text, "1.00 ms");
    cr_expect_str_eq(format_time(62.5e9).text, "62.5 s");
    cr_expect_str_eq(format_time(NAN).text, "-");
    cr_expect_str_eq(format_bytes(1023).text, "1023 B");
    cr_expect_str_eq(format_bytes(1048575).text, "1.00 MiB");
    cr_expect_str_eq(format_bytes(-1).text, "-");
    cr_expect_str_eq(format_decibels(INFINITY).text, "exact");
    cr_expect_str_eq(format_number(3133184).text, "3133184");
}
