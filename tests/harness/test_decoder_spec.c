/* DECODER strings come from people and scripts: quoting, typing of options and what is refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "harness/decoder_spec.h"

static struct decoder_spec parse(const char *text) {
    struct decoder_spec spec;
    struct error error = {0};
    cr_assert_eq(decoder_spec_parse(text, &spec, &error), VAEMARK_OK, "%s: %s", text, error.message);
    return spec;
}

Test(decoder_spec, plain_backend) {
    struct decoder_spec spec = parse("cpu");
    cr_assert_str_eq(spec.backend, "cpu");
    cr_assert_str_eq(spec.name, "cpu");
    cr_assert(spec.own);
    cr_assert_eq(spec.options.count, 0);
}

Test(decoder_spec, options_follow_commas) {
    struct decoder_spec spec = parse("cpu,precision=fp32,fuse_qkv=on,threads=2");
    cr_assert_str_eq(option_list_find(&spec.options, "precision"), "fp32");
    cr_assert_str_eq(option_list_find(&spec.options, "fuse_qkv"), "on");
    cr_assert_eq(spec.options.count, 3);
}

Test(decoder_spec, a_bare_key_is_on) {
    struct decoder_spec spec = parse("cpu,fuse_qkv");
    cr_assert_str_eq(option_list_find(&spec.options, "fuse_qkv"), "on");
}

Test(decoder_spec, quotes_keep_commas_and_spaces) {
    struct decoder_spec spec = parse("exec:'python3 w.py --list a,b',name=torch,precision=fp32");
    cr_assert_str_eq(spec.backend, "exec:python3 w.py --list a,b");
    cr_assert_str_eq(spec.name, "torch");
    cr_assert_not(spec.own);
    cr_assert_str_eq(option_list_find(&spec.options, "precision"), "fp32");
}

Test(decoder_spec, plugins_are_named_by_their_file) {
    struct decoder_spec spec = parse("plugin:/opt/vendor/lib/fast.so");
    cr_assert_str_eq(spec.name, "plugin:fast.so");
    cr_assert_not(spec.own, "a plug-in is not held to 'must'");
}

Test(decoder_spec, bad_ones_are_refused) {
    static const char *const bad[] = {
        "", "exec:'never closed", "cpu,=1", "cpu,name=a/b", "cpu,name=", "cpuu", "exec:", "plugin:"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct decoder_spec spec;
        struct error error = {0};
        cr_assert_neq(decoder_spec_parse(bad[i], &spec, &error), VAEMARK_OK, "'%s' was taken", bad[i]);
        cr_assert(error.message[0], "'%s' is refused without a word", bad[i]);
    }
}

Test(decoder_spec, a_near_miss_is_answered_with_a_proposal) {
    struct decoder_spec spec;
    struct error error = {0};
    decoder_spec_parse("referense", &spec, &error);
    cr_assert(strstr(error.message, "reference"), "%s", error.message);
}

Test(decoder_spec, options_are_typed) {
    struct option_text on = {"fuse_qkv", "on"}, threads = {"threads", "3"}, text = {"isa", "avx2"};
    cr_assert_eq(option_typed(&on).type, VAEMARK_BOOLEAN);
    cr_assert_eq(option_typed(&on).value.boolean, 1);
    cr_assert_eq(option_typed(&threads).type, VAEMARK_INTEGER);
    cr_assert_eq(option_typed(&threads).value.integer, 3);
    cr_assert_eq(option_typed(&text).type, VAEMARK_TEXT);
}
