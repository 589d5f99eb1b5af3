/* Expansion decides what is run at all: ids, filters, shards, and that nothing is never green. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "harness/selection.h"

static void expand(struct selection *selection, enum vaemark_status wanted) {
    struct error error = {0};
    enum vaemark_status status = selection_expand(selection, &error);
    cr_assert_eq(status, wanted, "%s %s", error.where, error.message);
}

static void take(struct selection *selection, const char *option, const char *value) {
    struct error error = {0};
    bool taken = false;
    cr_assert_eq(selection_take(selection, option, value, &taken, &error), VAEMARK_OK, "%s", error.message);
    cr_assert(taken);
}

static bool has(const struct selection *selection, const char *id) {
    for (size_t i = 0; i < selection->cases.count; i++) {
        if (strcmp(selection->cases.items[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

Test(cases, ids_are_model_backend_precision_options_shape) {
    struct selection selection = {0};
    expand(&selection, VAEMARK_OK);
    cr_assert(has(&selection, "sd15-mini/cpu/fp32/fuse_qkv/1x4x8x8"));
    cr_assert(has(&selection, "sd15-mini/reference/fp32/plain/1x4x8x8"));
    cr_assert(has(&selection, "taesd-mini/cpu/fp32/plain/2x4x5x9"));
    cr_assert(has(&selection, "taef2/cpu/fp32/plain/1x32x32x32"), "the shape comes from the latents' file");
    selection_free(&selection);
}

Test(cases, globs_and_models_narrow_down) {
    struct selection selection = {0};
    take(&selection, "case", "*/cpu/*");
    take(&selection, "model", "sd15-mini,taef2");
    expand(&selection, VAEMARK_OK);
    cr_assert_gt(selection.cases.count, 0);
    for (size_t i = 0; i < selection.cases.count; i++) {
        const char *id = selection.cases.items[i].id;
        cr_assert(strstr(id, "/cpu/"), "%s", id);
        cr_assert(strncmp(id, "sd15-mini/", 10) == 0 || strncmp(id, "taef2/", 6) == 0, "%s", id);
    }
    selection_free(&selection);
}

Test(cases, isa_is_an_option_of_the_cpu_decoders) {
    struct selection selection = {0};
    take(&selection, "decoder", "cpu");
    take(&selection, "decoder", "cpu,isa=auto,name=chosen");
    take(&selection, "decoder", "reference");
    take(&selection, "isa", "portable");
    expand(&selection, VAEMARK_OK);
    cr_assert(has(&selection, "sd15-mini/cpu/fp32/isa=portable/1x4x8x8"));
    cr_assert(!has(&selection, "sd15-mini/cpu/fp32/plain/1x4x8x8"));
    cr_assert(has(&selection, "sd15-mini/chosen/fp32/isa=auto/1x4x8x8"), "what names its own keeps it");
    cr_assert(has(&selection, "sd15-mini/reference/fp32/plain/1x4x8x8"));
    selection_free(&selection);
}

Test(cases, repro_names_the_isa_that_the_suites_decoders_were_given) {
    struct selection selection = {0};
    take(&selection, "isa", "portable");
    take(&selection, "case", "sd15-mini/cpu/*/1x4x8x8");
    expand(&selection, VAEMARK_OK);
    cr_assert_gt(selection.cases.count, 0);
    char *repro = selection_repro(&selection, &selection.cases.items[0], 0);
    cr_assert(strstr(repro, " --isa 'portable'"), "%s", repro);
    free(repro);
    selection_free(&selection);
}

Test(cases, isa_that_nobody_could_heed_is_an_error) {
    struct selection selection = {0};
    struct error error = {0};
    bool taken = false;
    cr_assert_eq(selection_take(&selection, "isa", "sse9", &taken, &error), VAEMARK_INVALID_ARGUMENT);
    cr_assert(strstr(error.message, "portable"), "it says which there are: %s", error.message);
    take(&selection, "isa", "portable");
    take(&selection, "backend", "reference");
    expand(&selection, VAEMARK_INVALID_ARGUMENT);
    selection_free(&selection);
}

Test(cases, an_empty_selection_is_an_error) {
    struct selection selection = {0};
    take(&selection, "case", "nothing/*");
    expand(&selection, VAEMARK_INVALID_ARGUMENT);
    selection_free(&selection);
}

Test(cases, a_model_that_the_suite_lacks_is_an_error) {
    struct selection selection = {0};
    take(&selection, "model", "sd15-mimi");
    expand(&selection, VAEMARK_INVALID_ARGUMENT);
    selection_free(&selection);
}

Test(cases, a_decoders_options_override_the_suites) {
    struct selection selection = {0};
    take(&selection, "decoder", "cpu,fuse_qkv=off,tiling=off,slicing=off,threads=1");
    expand(&selection, VAEMARK_OK);
    for (size_t i = 0; i < selection.cases.count; i++) {
        cr_assert_not(selection.cases.items[i].fuse_qkv);
        cr_assert_str_eq(selection.cases.items[i].options_text, "threads=1");
    }
    cr_assert(has(&selection, "sd15-mini/cpu/fp32/threads=1/1x4x8x8"), "plain and fuse_qkv have become one case");
    selection_free(&selection);
}

Test(cases, two_decoders_of_one_name_are_an_error) {
    struct selection selection = {0};
    take(&selection, "decoder", "exec:'worker --a'");
    take(&selection, "decoder", "exec:'worker --b'");
    expand(&selection, VAEMARK_BAD_INPUT);
    selection_free(&selection);
}

Test(cases, shards_cover_all_without_overlap) {
    struct selection whole = {0};
    expand(&whole, VAEMARK_OK);
    size_t total = 0;
    for (int i = 1; i <= 3; i++) {
        struct selection part = {0};
        char text[8];
        snprintf(text, sizeof text, "%d/3", i);
        take(&part, "shard", text);
        expand(&part, VAEMARK_OK);
        for (size_t k = 0; k < part.cases.count; k++) {
            cr_assert(has(&whole, part.cases.items[k].id));
        }
        total += part.cases.count;
        selection_free(&part);
    }
    cr_assert_eq(total, whole.cases.count);
    selection_free(&whole);
}

Test(cases, bad_shards_are_refused) {
    static const char *const bad[] = {"0/3", "4/3", "1/0", "a/b", "1", "1/3x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct selection selection = {0};
        struct error error = {0};
        bool taken = false;
        cr_assert_eq(selection_take(&selection, "shard", bad[i], &taken, &error), VAEMARK_INVALID_ARGUMENT, "%s",
                     bad[i]);
        selection_free(&selection);
    }
}

Test(cases, a_repro_line_selects_its_case_alone) {
    struct selection selection = {0};
    take(&selection, "decoder", "exec:'it'\\''s a worker',name=w");
    expand(&selection, VAEMARK_OK);
    char *repro = selection_repro(&selection, &selection.cases.items[0], 2);
    cr_assert(strstr(repro, "--case 'sd15-mini/w/fp32/plain/1x4x8x8'"), "%s", repro);
    cr_assert(strstr(repro, "--threads 2"), "%s", repro);
    free(repro);
    selection_free(&selection);
}
