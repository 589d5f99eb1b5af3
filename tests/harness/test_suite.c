/* Suites are written by people: defaults, messages with places, and nothing that runs by mistake. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/suite.h"

static const char head[] = "suite: t\ndescription: d\nversion: 1\ndecoders: [cpu]\n";

/* Loads a suite of this text; the status, with the message in `error`. */
static enum vaemark_status load(const char *text, struct suite **suite, struct error *error) {
    char path[] = "/tmp/vaemark-suite-XXXXXX.yaml";
    int fd = mkstemps(path, 5);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    enum vaemark_status status = suite_load(path, suite, error);
    unlink(path);
    return status;
}

static enum vaemark_status load_below_head(const char *body, struct suite **suite, struct error *error) {
    char text[4096];
    snprintf(text, sizeof text, "%s%s", head, body);
    return load(text, suite, error);
}

Test(suite, defaults_fill_in_what_is_absent) {
    struct suite *suite = NULL;
    struct error error = {0};
    cr_assert_eq(load_below_head("cases:\n  - models: [taesd-mini]\n    latents: [8x8]\n", &suite, &error), VAEMARK_OK,
                 "%s", error.message);
    cr_assert_eq(suite->blocks_count, 1);
    cr_assert_str_eq(suite->blocks[0].models[0], "taesd-mini");
    cr_assert_geq(suite->measure.warmups, 2);
    cr_assert_geq(suite->measure.ring, 2);
    cr_assert_gt(suite->timeout_s, 0);
    cr_assert_eq(strlen(suite->sha256), 64);
    suite_free(suite);
}

Test(suite, bad_ones_are_refused_with_a_place) {
    static const char *const bad[] = {
        "cases: []\n",
        "cases:\n  - models: []\n    latents: [8x8]\n",
        "cases:\n  - models: [a]\n",
        "cases:\n  - models: [a]\n    latents: [8x8]\n    mistyped: 1\n",
        "cases:\n  - models: [a]\n    latents: [8x8]\n    batches: [0]\n",
        "cases:\n  - models: [a]\n    latents: [8x8]\n    batches: [-1]\n",
        "measure: {ring: 1000}\ncases:\n  - models: [a]\n    latents: [8x8]\n",
        "measure: {min_samples: 9, max_samples: 3}\ncases:\n  - models: [a]\n    latents: [8x8]\n",
        "cases:\n  - models: [a]\n    latents: [8x8]\n    decoders: [cqu]\n",
        "cases: 3\n",
        "cases:\n\t- broken\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct suite *suite = NULL;
        struct error error = {0};
        cr_assert_eq(load_below_head(bad[i], &suite, &error), VAEMARK_BAD_INPUT, "was taken:\n%s", bad[i]);
        cr_assert(strstr(error.where, ".yaml"), "no file is named for:\n%s", bad[i]);
        cr_assert_null(suite);
    }
}

Test(suite, a_block_is_for_the_decoders_that_it_names) {
    struct suite *suite = NULL;
    struct error error = {0};
    static const char text[] = "suite: t\ndescription: d\nversion: 1\ndecoders: [cpu, \"exec:'a b',name=other\"]\n"
                               "cases:\n  - models: [a]\n    latents: [8x8]\n    decoders: [other]\n"
                               "  - models: [a]\n    latents: [4x4]\n";
    cr_assert_eq(load(text, &suite, &error), VAEMARK_OK, "%s", error.message);
    cr_assert(suite_block_takes(suite, &suite->blocks[0], "other"));
    cr_assert_not(suite_block_takes(suite, &suite->blocks[0], "cpu"));
    cr_assert(suite_block_takes(suite, &suite->blocks[0], "mine"),
              "a decoder that was given by hand takes every block");
    cr_assert(suite_block_takes(suite, &suite->blocks[1], "cpu"), "without names, every decoder does");
    suite_free(suite);
}

Test(suite, an_empty_file_is_called_empty) {
    struct suite *suite = NULL;
    struct error error = {0};
    cr_assert_eq(suite_load("/dev/null", &suite, &error), VAEMARK_BAD_INPUT);
    cr_assert(strstr(error.message, "is empty"), "%s", error.message);
    cr_assert_null(suite);
}

Test(suite, binary_rubbish_is_no_suite) {
    struct suite *suite = NULL;
    struct error error = {0};
    cr_assert_eq(load("\x7f"
                      "ELF\x01\x02 rubbish",
                      &suite, &error),
                 VAEMARK_BAD_INPUT);
}

Test(suite, unknown_names_get_a_proposal) {
    struct suite *suite = NULL;
    struct error error = {0};
    cr_assert_eq(suite_load("smoek", &suite, &error), VAEMARK_INVALID_ARGUMENT);
    cr_assert(strstr(error.message, "'smoke'"), "%s", error.message);
}

Test(suite, the_shipped_ones_load) {
    struct suite *suite = NULL;
    struct error error = {0};
    cr_assert_eq(suite_load("smoke", &suite, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_str_eq(suite->name, "smoke");
    suite_free(suite);
}
