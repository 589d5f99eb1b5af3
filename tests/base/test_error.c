#include <criterion/criterion.h>
#include <string.h>

#include "base/error.h"

/* The names are the worker protocol's: they must never change unnoticed. */
Test(error, names_statuses_both_ways) {
    static const char *const names[] = {
        "ok",          "invalid_argument", "bad_input", "unknown_option", "unsupported_option", "unsupported_model",
        "unavailable", "out_of_memory",    "io_error",  "internal"};

    cr_assert_eq(sizeof names / sizeof names[0], VAEMARK_STATUS_COUNT);
    for (int i = 0; i < VAEMARK_STATUS_COUNT; i++) {
        cr_expect_str_eq(status_name((enum vaemark_status)i), names[i]);
        cr_expect_eq((int)status_from_name(names[i]), i);
    }
    cr_expect_eq(status_from_name("splendid"), VAEMARK_INTERNAL);
    cr_expect_str_eq(status_name((enum vaemark_status)99), "internal");
}

Test(error, is_filled_in_and_returned) {
    struct error error;
    char text[64];

    cr_expect_eq(error_set_at(&error, VAEMARK_BAD_INPUT, "x.json", "key %d", 3), VAEMARK_BAD_INPUT);
    cr_expect_eq(error.status, VAEMARK_BAD_INPUT);
    cr_expect_str_eq(error_text(&error, text, sizeof text), "x.json: key 3");
    cr_expect_eq(error_set(&error, VAEMARK_IO_ERROR, "gone"), VAEMARK_IO_ERROR);
    cr_expect_str_eq(error_text(&error, text, sizeof text), "gone", "the old place must not stay");
    cr_expect_eq(error_set(NULL, VAEMARK_INTERNAL, "nobody listens"), VAEMARK_INTERNAL);
}

/* Callers wrap an error in itself: "while opening: <old message>". Long ones are cut, not spilled. */
Test(error, may_quote_itself_and_is_cut_where_it_ends) {
    struct error error;
    char text[8];

    error_set_at(&error, VAEMARK_BAD_INPUT, "a", "inner");
    error_set_at(&error, error.status, error.where, "outer: %s", error.message);
    cr_expect_str_eq(error.message, "outer: inner");
    cr_expect_str_eq(error.where, "a");
    error_set(&error, VAEMARK_INTERNAL, "%02000d", 1);
    cr_expect_eq(strlen(error.message), sizeof error.message - 1);
    cr_expect_eq(strlen(error_text(&error, text, sizeof text)), sizeof text - 1);
}
