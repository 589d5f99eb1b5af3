#include "results/html.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static const char *written(const char *text) {
    char *found = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&found, &size_bytes);
    html_text(out, text);
    fclose(out);
    return support_keep(found);
}

Test(html, what_means_something_to_a_browser_is_escaped) {
    cr_expect_str_eq(written("<script>alert(\"1\")</script>"), "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
    cr_expect_str_eq(written("a='b' & c"), "a=&#39;b&#39; &amp; c");
    cr_expect_str_eq(written("two\nlines\tand a tab"), "two\nlines\tand a tab");
}

Test(html, texts_stay_as_they_are) {
    static const char *const texts[] = {"",
                                        "plain",
                                        "Xéon – ✓ 漢字",
                                        "\xF0\x9F\x98\x80",
                                        "\xF4\x8F\xBF\xBD"
                                        "x",
                                        "\xEE\x80\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_expect_str_eq(written(texts[i]), texts[i]);
    }
}

#define LOST "\xEF\xBF\xBD"

/* A byte that begins nothing is one replacement, so that what comes after it is still read. */
Test(html, what_is_no_text_is_replaced) {
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"a\x01"
         "b\x7F"
         "c\x1B[0m",
         "a" LOST "b" LOST "c" LOST "[0m"},
        {"\xFF<", LOST "&lt;"},
        {"\xC3<", LOST "&lt;"},  /* cut short by a character that must not be swallowed */
        {"\xE2\x82", LOST LOST}, /* cut short by the end */
        {"\xC0\xBC"
         "script",
         LOST LOST "script"},                      /* an overlong '<' */
        {"\xE0\x80\xBC", LOST LOST LOST},          /* another */
        {"\xED\xA0\x80", LOST LOST LOST},          /* half of a surrogate pair */
        {"\xF4\x90\x80\x80", LOST LOST LOST LOST}, /* beyond the last character */
        {"\xC2\x85", LOST},                        /* a control of two bytes */
        {"gnp.\xE2\x80\xAE", "gnp." LOST},         /* turns the direction of writing */
        {"\xEF\xBF\xBE", LOST},                    /* a noncharacter */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_str_eq(written(cases[i].text), cases[i].wanted, "case %zu: %s", i, written(cases[i].text));
    }
}

Test(html, templates_take_texts_in_their_order) {
    char *found = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&found, &size_bytes);
    html(out, "<a href=\"#@\">@</a>", "\"x", "1 < 2");
    html(out, "[@@@]", "one@two");
    fclose(out);
    cr_expect_str_eq(found, "<a href=\"#&quot;x\">1 &lt; 2</a>[one@two]");
    free(found);
}

/* Also over the length that is encoded at a time: padding in the middle would end the picture there. */
Test(html, data_are_written_in_base64) {
    static const struct {
        size_t size_bytes;
        const char *end;
    } cases[] = {{0, "base64,"}, {1, ",YQ=="}, {2, ",YWE="}, {3, ",YWFh"}};
    for (size_t i = 0; i < 4; i++) {
        char *found = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&found, &length);
        cr_expect(html_data_uri(out, "image/png", "aaa", cases[i].size_bytes));
        fclose(out);
        cr_expect_eq(strncmp(found, "data:image/png;base64,", 22), 0);
        cr_expect_str_eq(found + length - strlen(cases[i].end), cases[i].end);
        free(found);
    }
    enum { LONG_BYTES = 200000 };
    char *bytes = support_keep(calloc(LONG_BYTES, 1)), *found = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&found, &length);
    cr_expect(html_data_uri(out, "x", bytes, LONG_BYTES));
    fclose(out);
    const char *data = strchr(found, ',') + 1;
    cr_expect_eq(strlen(data), (LONG_BYTES + 2) / 3 * 4);
    cr_expect_eq(strspn(data, "A"), LONG_BYTES / 3 * 4 + 3, "zeros alone, and padding only at the end");
    free(found);
}
