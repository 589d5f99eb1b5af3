/* vaemark oracle build: what a suite needs and the store lacks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands/oracle_verbs.h"
#include "harness/exit_code.h"
#include "harness/progress.h"
#include "harness/worker/worker.h"

static const struct cli_option options[] = {
    SELECTION_OPTIONS,
    {"threads", "N", "threads of the reference (default 0: all CPUs); the images do not depend on it"},
    {"timeout", "S", "seconds a decode may take (default: four times the suite's)"},
    {NULL, NULL, NULL},
};

static const struct cli_usage usage = {
    .synopsis = "vaemark oracle build [--suite NAME|FILE] [options]",
    .description = "Computes the reference images, FP32 and FP64, that a run of the suite may ask for and the store "
                   "does not hold\n"
                   "yet. May be interrupted at any time and started again: what was finished is kept.",
    .options = options,
    .epilogue = "Examples:\n"
                "  vaemark oracle build --suite full\n"
                "  vaemark oracle build --suite full --model sd15,taesd --seed 1\n"
                "Exit codes: 0 all are there, 2 usage or bad input, 4 one could not be computed or kept.",
};

static void note(const char *text) {
    progress_note(text);
}

/* Whether the store holds it whole; what is damaged is moved out of the way. */
static bool is_there(const struct oracle_arguments *arguments, const struct oracle_want *want) {
    struct error error = {0};
    struct oracle_entry entry;
    if (!oracle_store_has(&arguments->store, want->label.key)) {
        return false;
    }
    enum vaemark_status status = oracle_store_load(&arguments->store, want->label.key, &entry, &error);
    free(entry.fp32.data);
    free(entry.fp64.data);
    if (status != VAEMARK_OK) {
        cli_print_error(&error);
        if (status == VAEMARK_BAD_INPUT &&
            oracle_store_set_aside(&arguments->store, want->label.key, &error) != VAEMARK_OK) {
            cli_print_error(&error);
        }
    }
    return status == VAEMARK_OK;
}

/* Moves those that are missing to the front and returns how many. */
static size_t find_missing(struct oracle_arguments *arguments) {
    size_t missing = 0;
    for (size_t i = 0; i < arguments->wants.count; i++) {
        struct oracle_want want = arguments->wants.items[i];
        if (!is_there(arguments, &want)) {
            arguments->wants.items[i] = arguments->wants.items[missing];
            arguments->wants.items[missing++] = want;
        }
    }
    return missing;
}

static void name_want(const struct oracle_want *want, char *text, size_t capacity) {
    snprintf(text, capacity, "%s %s, %s%s%s", want->label.model, want->label.shape, want->label.latents,
             strcmp(want->label.tiling, "off") == 0 ? "" : ", tiling ",
             strcmp(want->label.tiling, "off") == 0 ? "" : want->label.tiling);
}

/* Returns how many are now kept. Stops where nothing can be kept: the next one could not be either. */
static size_t build_missing(struct oracle_arguments *arguments, struct oracles *oracles, size_t missing) {
    struct progress progress;
    double cost = 0;
    size_t built = 0;
    for (size_t i = 0; i < missing; i++) {
        cost += arguments->wants.items[i].cost;
    }
    progress_begin(&progress, missing, cost);
    for (size_t i = 0; i < missing && !oracles->unkept; i++) {
        const struct oracle_want *want = &arguments->wants.items[i];
        const struct oracle *oracle = NULL;
        struct error error = {0};
        char name[400];
        name_want(want, name, sizeof name);
        progress_case(&progress, name);
        bool made = oracles_get(oracles, want->item, want->ring, &oracle, &error) == VAEMARK_OK;
        bool kept = made && !oracles->unkept;
        built += kept;
        progress_outcome(&progress, name, kept ? "built" : "failed",
                         kept   ? ""
                         : made ? "not kept"
                                : error.message,
                         want->cost);
        oracles_forget(oracles);
    }
    progress_end(&progress);
    return built;
}

static int build(struct oracle_arguments *arguments) {
    struct error error = {0};
    enum vaemark_status status = oracle_open_store(arguments, &error);
    if (status == VAEMARK_OK) {
        status = oracle_store_probe(&arguments->store, &error);
    }
    if (status == VAEMARK_OK) {
        status = oracle_select(arguments, &error);
    }
    if (status != VAEMARK_OK) {
        return oracle_fail(status, &error);
    }
    size_t missing = find_missing(arguments), total = arguments->wants.count;
    const struct suite *suite = arguments->selection.suite;
    struct oracles oracles = {.seed = arguments->selection.models.seed,
                              .threads = arguments->threads,
                              .timeout_s = arguments->timeout_s > 0 ? arguments->timeout_s : suite->timeout_s * 4,
                              .note = note};
    oracles_use_store(&oracles);
    size_t built = build_missing(arguments, &oracles, missing);
    printf("%zu oracles of suite %s: %zu were there, %zu were computed, %zu are missing. Store: %s\n", total,
           suite->name, total - missing, built, missing - built, arguments->store.folder);
    oracles_free(&oracles);
    return built == missing ? EXIT_CODE_PASSED : EXIT_CODE_HARNESS;
}

int oracle_verb_build(int argc, char **argv) {
    struct oracle_arguments arguments = {.threads = 0};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, oracle_take, &arguments);
    int code = parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    if (parsed == CLI_PARSED && arguments.file) {
        fprintf(stderr, "vaemark: unexpected argument '%s'; a suite is given as --suite %s\n", arguments.file,
                arguments.file);
        code = EXIT_CODE_USAGE;
    } else if (parsed == CLI_PARSED) {
        worker_setup_process();
        code = build(&arguments);
    }
    oracle_arguments_free(&arguments);
    return code;
}
