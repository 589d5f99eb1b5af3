#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

Test(text, finds_the_nearest_word_but_no_far_one) {
    static const char *const words[] = {"precision", "threads", "fuse_qkv", "tiling", NULL};
    static const char *const none[] = {NULL};
    char endless[600];

    cr_expect_str_eq(text_nearest("precison", words), "precision");
    cr_expect_str_eq(text_nearest("fuse-qkv", words), "fuse_qkv");
    cr_expect_str_eq(text_nearest("tilin", words), "tiling");
    cr_expect_str_eq(text_nearest("threads", words), "threads");
    cr_expect_null(text_nearest("slicing", (const char *const[]){"precision", NULL}));
    cr_expect_null(text_nearest("xyz", words));
    cr_expect_null(text_nearest("", words));
    cr_expect_null(text_nearest("threads", none));
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    cr_expect_null(text_nearest(endless, words));
}

Test(text, formats_bytes_and_times) {
    char text[32];
    static const struct {
        double number;
        const char *text;
    } bytes[] = {{0, "0 B"}, {512, "512 B"}, {1024, "1.0 KiB"}, {1.5 * (1 << 30), "1.5 GiB"}, {3e15, "2728.5 TiB"}},
      times[] = {{0, "0 ns"},        {999, "999 ns"},    {1230, "1.23 us"}, {45600000, "45.6 ms"},
                 {789000, "789 us"}, {1.23e9, "1.23 s"}, {3.6e12, "3600 s"}};

    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        cr_expect_str_eq(text_format_bytes(bytes[i].number, text, sizeof text), bytes[i].text);
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        cr_expect_str_eq(text_format_time(times[i].number, text, sizeof text), times[i].text);
    }
}

Test(text, matches_globs_whole) {
    static const struct {
        const char *pattern, *text;
        int matches;
    } trials[] = {
        {"*", "", 1},
        {"*", "a/b", 1},
        {"sd15-mini/*/fp32/*", "sd15-mini/cpu/fp32/plain/1x4x8x8", 1},
        {"*fuse_qkv*", "sd15-mini/cpu/fp32/fuse_qkv/1x4x8x8", 1},
        {"sd15-mini", "sd15-mini/cpu", 0},
        {"sd1?-mini/*", "sd15-mini/cpu", 1},
        {"?", "", 0},
        {"", "", 1},
        {"", "a", 0},
        {"*a*b*c", "xxaxxbxxbxxc", 1},
        {"*a*b*c", "xxaxxbxxbxxcd", 0},
        {"a**", "a", 1},
        {"[a]", "a", 0},
    };

    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        cr_expect_eq(text_glob_match(trials[i].pattern, trials[i].text), trials[i].matches, "%s on %s",
                     trials[i].pattern, trials[i].text);
    }
}

/* A pattern of many stars on a text that almost matches: exponential for a recursive matcher. */
Test(text, matches_many_stars_quickly, .timeout = 5) {
    char text[2001];

    memset(text, 'a', 2000);
    text[2000] = '\0';
    cr_expect_eq(text_glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text), 0);
}

Test(text, formats_into_fresh_memory) {
    char *text = text_format("%s-%d", "a", 7);

    cr_expect_str_eq(text, "a-7");
    free(text);
}
