#include "results/verdict.h"

#include <criterion/criterion.h>
#include <string.h>

#include "support.h"

/* The verdict on cases that ended so: "failed 2, passed 20". */
static struct verdict judge(const char *const *words, size_t count) {
    struct record *record = record_create();
    for (size_t i = 0; i < count; i++) {
        support_add_case(record, "m", "AutoencoderKL", "cpu", "plain", words[i]);
    }
    struct verdict verdict;
    verdict_of(record, &verdict);
    record_free(record);
    return verdict;
}

#define EXPECT_VERDICT(code, wanted, ...)                                                     \
    do {                                                                                      \
        const char *const words[] = {__VA_ARGS__};                                            \
        struct verdict verdict = judge(words, sizeof words / sizeof *words);                  \
        cr_expect_eq(verdict.exit_code, code, "%d: %s", verdict.exit_code, verdict.sentence); \
        cr_expect_str_eq(verdict.sentence, wanted);                                           \
    } while (0)

Test(verdict, says_what_passed) {
    EXPECT_VERDICT(0, "Passed: 1 of 1 case passed.", "passed");
    EXPECT_VERDICT(0, "Passed: all 2 cases passed.", "passed", "passed");
    EXPECT_VERDICT(0, "Passed: 2 of 3 cases passed, 1 refused as it must be.", "passed", "refused", "passed");
    EXPECT_VERDICT(0, "Passed: 1 of 6 cases passed, 1 improved, 2 refused as they must be, 1 skipped, 1 waived.",
                   "refused", "waived", "refused", "skipped", "passed", "improved");
    EXPECT_VERDICT(0, "Passed: all 2 cases are refused as they must be.", "refused", "refused");
}

Test(verdict, says_what_failed_first) {
    EXPECT_VERDICT(1, "Failed: 2 of 5 cases failed, 1 crashed; 1 passed, 1 refused as it must be.", "failed", "crashed",
                   "failed", "passed", "refused");
    EXPECT_VERDICT(1, "Failed: 1 of 3 cases timed out, 1 ran out of memory; 1 mistrusted.", "mistrusted",
                   "out_of_memory", "timed_out");
    EXPECT_VERDICT(1, "Failed: all 2 cases failed.", "failed", "failed");
    EXPECT_VERDICT(1, "Failed: 1 of 2 cases is invalid, 1 regressed.", "regressed", "invalid");
    EXPECT_VERDICT(1, "Failed: 1 of 1 case ended in a way that this version does not know.", "evaporated");
}

Test(verdict, without_a_comparison_is_inconclusive) {
    EXPECT_VERDICT(3, "Inconclusive: nothing was compared, 2 of 3 cases are skipped, 1 unsupported.", "skipped",
                   "unsupported", "skipped");
    EXPECT_VERDICT(3, "Inconclusive: 2 of 4 cases are mistrusted, 1 unstable; 1 passed.", "unstable", "mistrusted",
                   "passed", "mistrusted");
    EXPECT_VERDICT(3, "Inconclusive: 1 of 1 case is inconclusive.", "inconclusive");
    struct record *record = record_create();
    struct verdict verdict;
    verdict_of(record, &verdict);
    cr_expect_eq(verdict.exit_code, 3);
    cr_expect_str_eq(verdict.sentence, "Inconclusive: no case was run.");
    record_free(record);
}

Test(verdict, the_worst_wins_in_any_order) {
    static const char *const orders[][3] = {
        {"failed", "unstable", "passed"}, {"unstable", "failed", "passed"}, {"passed", "unstable", "failed"}};
    for (size_t i = 0; i < 3; i++) {
        struct verdict verdict = judge(orders[i], 3);
        cr_expect_eq(verdict.exit_code, 1);
        cr_expect_eq(verdict.case_count, 3);
        cr_expect_eq(verdict.count[OUTCOME_FAILED], 1);
        cr_expect_eq(verdict.count[OUTCOME_UNSTABLE], 1);
        cr_expect_eq(verdict.count[OUTCOME_PASSED], 1);
    }
}

/* A NaN of words: what is not in the table is a failure, and each word that is finds its own row. */
Test(verdict, words_and_outcomes_match) {
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        cr_assert_not_null(outcome_name((enum outcome)i));
        cr_expect_eq(outcome_find(outcome_name((enum outcome)i)), i);
    }
    cr_expect_eq(outcome_find(""), OUTCOME_OTHER);
    cr_expect_eq(outcome_exit_code(OUTCOME_OTHER), 1);
}
