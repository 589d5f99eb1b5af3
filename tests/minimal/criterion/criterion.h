/* What the tests of kernels use of Criterion, for targets that no package of Criterion exists for, and for static
 * programs: they compile as they are, with this folder before the others (scripts/test_aarch64.sh, test_avx512.sh).
 * Each test runs in a process of its own. */
#ifndef TESTS_MINIMAL_CRITERION_CRITERION_H
#define TESTS_MINIMAL_CRITERION_CRITERION_H

#include <stdbool.h>
#include <string.h>

struct minimal_test {
    const char *suite, *name;
    void (*run)(void);
    struct minimal_test *next;
};
void minimal_register(struct minimal_test *test);

/* Where `holds` is false, says so and fails the test; ends it, too, if `fatal`. */
__attribute__((format(printf, 6, 7))) void minimal_check(bool holds, bool fatal, const char *file, int line,
                                                         const char *condition, const char *format, ...);

#define Test(suite, name)                                                                           \
    static void suite##_##name##_run(void);                                                         \
    static struct minimal_test suite##_##name##_test = {#suite, #name, suite##_##name##_run, NULL}; \
    __attribute__((constructor)) static void suite##_##name##_register(void) {                      \
        minimal_register(&suite##_##name##_test);                                                   \
    }                                                                                               \
    static void suite##_##name##_run(void)

#define MINIMAL_CHECK(fatal, holds, condition, ...) \
    minimal_check(holds, fatal, __FILE__, __LINE__, condition, " " __VA_ARGS__)

#define cr_assert(condition, ...)      MINIMAL_CHECK(true, condition, #condition, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)        MINIMAL_CHECK(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)       MINIMAL_CHECK(true, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)        MINIMAL_CHECK(true, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)       MINIMAL_CHECK(true, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)        MINIMAL_CHECK(true, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)       MINIMAL_CHECK(true, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(a, ...)         MINIMAL_CHECK(true, (a) == NULL, #a " == NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)    MINIMAL_CHECK(true, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) MINIMAL_CHECK(true, memcmp(a, b, n) == 0, #a " is " #b, __VA_ARGS__)
#define cr_expect(condition, ...)      MINIMAL_CHECK(false, condition, #condition, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)        MINIMAL_CHECK(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)        MINIMAL_CHECK(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)    MINIMAL_CHECK(false, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
/* Where these tests run, there is nothing to be skipped. */
#define cr_skip_test(...) MINIMAL_CHECK(true, false, "skipped", __VA_ARGS__)

#endif
