#include "results/markdown.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static const char *format(const struct record *record) {
    struct results_error error = {""};
    char *text = NULL;
    size_t size_bytes = 0;
    cr_assert(markdown_format(record, &text, &size_bytes, &error), "%s", error.message);
    cr_assert_eq(strlen(text), size_bytes);
    return support_keep(text);
}

static void expect_contains(const char *text, const char *part) {
    cr_expect_not_null(strstr(text, part), "'%s' is not in:\n%s", part, text);
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (; (text = strstr(text, part)); text++) {
        count++;
    }
    return count;
}

Test(markdown, says_the_verdict_then_what_needs_attention_then_all) {
    struct record *record = support_make_record();
    record_add_fact(record, "suite", "smoke", "");
    const char *text = format(record);
    cr_expect_eq(strncmp(text, "## vaemark smoke\n\n**Failed: 1 of 2 cases failed; 1 passed.**\n", 59), 0, "%s", text);
    expect_contains(text,
                    "| `naïve, \"quoted\"/cpu/fp32/plain/1x4x8x8` | failed | first line<br>second line<br>repeat: "
                    "`vaemark run --case 'naïve, \"quoted\"/cpu/fp32/plain/1x4x8x8'` |\n");
    expect_contains(text, "| `sd15-mini/cpu/fp32/plain/1x4x8x8` | passed | 1.25 ms (1.20 ms to 1.38 ms) | 2.32 MiB | "
                          "131.7 dB | - |\n");
    expect_contains(text, "fuse-QKV was not checked");
    expect_contains(text, "<details><summary>Environment (3 facts)</summary>\n\n| fact | value |");
    expect_contains(text, "| memory\\_total | 64 GiB |\n");
    cr_expect_lt(strstr(text, "### What needs attention"), strstr(text, "### Results"));
    record_free(record);
}

Test(markdown, a_green_run_has_nothing_that_needs_attention) {
    struct record *record = record_create();
    support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", "passed");
    support_add_case(record, "m", "AutoencoderTiny", "cpu", "fuse_qkv", "refused");
    const char *text = format(record);
    expect_contains(text, "**Passed: 1 of 2 cases passed, 1 refused as it must be.**");
    cr_expect_null(strstr(text, "attention\n"), "%s", text);
    record_free(record);
}

Test(markdown, nothing_in_a_text_is_markup) {
    struct record *record = record_create();
    struct case_row *row = support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", "crashed");
    row->reason = "<b>|x| `y` *z* [a](b) &amp; @team \\ \x1b[1m\xff";
    row->repro = "vaemark run --decoder \"exec:'a | b `c``d`'\"";
    const char *text = format(record);
    expect_contains(
        text, "| &lt;b\\>\\|x\\| \\`y\\` \\*z\\* \\[a\\](b) &amp;amp; @&#8203;team \\\\ \\\\x1b\\[1m\\\\xff<br>repeat: "
              "``` vaemark run --decoder \"exec:'a \\| b `c``d`'\" ``` |\n");
    record_free(record);
}

/* A comment that is too long is refused whole, so what does not fit is left out and counted. */
Test(markdown, stays_below_the_limit_and_says_what_is_left_out) {
    enum { CASES = 3000, REASON = 5000 };
    char *reason = support_keep(malloc(REASON + 1));
    memset(reason, '|', REASON);
    reason[REASON] = '\0';
    struct record *record = record_create();
    for (int i = 0; i < CASES; i++) {
        char model[40];
        snprintf(model, sizeof model, "model%d", i);
        struct case_row *row = support_add_case(record, model, "AutoencoderKL", "cpu", "fuse_qkv", "failed");
        row->reason = reason;
        support_add_check(record, row->id, "fuse-qkv/accepted", "failed", reason);
        char key[40];
        snprintf(key, sizeof key, "fact%d", i);
        record_add_fact(record, key, reason, "");
    }
    const char *text = format(record);
    size_t size_bytes = strlen(text);
    cr_expect_leq(size_bytes, (size_t)MARKDOWN_LARGEST_BYTES);
    cr_expect_gt(size_bytes, (size_t)MARKDOWN_LARGEST_BYTES / 2, "%zu: what fits is there", size_bytes);
    size_t shown = count_of(text, "| failed |");
    size_t attention = 0, results = 0;
    const char *note = strstr(text, " more cases were left out here");
    cr_assert_not_null(note);
    while (note[-1] >= '0' && note[-1] <= '9') {
        note--;
    }
    attention = strtoul(note, NULL, 10);
    note = strstr(note + 40, " more cases were left out here");
    cr_assert_not_null(note);
    while (note[-1] >= '0' && note[-1] <= '9') {
        note--;
    }
    results = strtoul(note, NULL, 10);
    cr_expect_eq(shown + attention + results, (size_t)CASES * 2, "%zu shown, %zu and %zu left out", shown, attention,
                 results);
    expect_contains(text, "</details>");
    record_free(record);
}
