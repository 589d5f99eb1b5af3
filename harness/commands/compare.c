/* vaemark compare: stored runs side by side, for people. A gate it is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "harness/exports.h"
#include "results/compare.h"
#include "results/store.h"

struct compare_options {
    const char *paths[COMPARE_MOST_RUNS];
    size_t count;
    bool json, only_changed;
    const char *markdown;
};

static const struct cli_usage usage = {
    .synopsis = "vaemark compare A.h5 B.h5... [--only changed] [--json] [--markdown FILE]",
    .description =
        "Lays stored runs side by side, case by case, each against the first: what ends otherwise, what got worse\n"
        "first; latency, memory and PSNR; in what the runs differ. Differences of latency are information, not a\n"
        "verdict: stored runs were not measured side by side.",
    .options =
        (const struct cli_option[]){
            {"only", "changed", "leave out cases in which nothing changed beyond the intervals of latency"},
            {"json", NULL, "as one JSON document"},
            {"markdown", "FILE", "as Markdown, for a pull request; - is standard output"},
            {0}},
    .epilogue = "Examples:\n"
                "  vaemark compare before.h5 after.h5 --only changed\n"
                "  vaemark compare before.h5 after.h5 --markdown compare.md\n"
                "Exit codes: 0 compared, whatever was found, 2 usage or not a result file, 3 no case in common,\n"
                "4 writing failed.",
};

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct compare_options *options = context;
    if (!option) {
        if (options->count == COMPARE_MOST_RUNS) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "%d runs side by side are the most, '%s' is one too many",
                             COMPARE_MOST_RUNS, value);
        }
        options->paths[options->count++] = value;
    } else if (strcmp(option, "json") == 0) {
        options->json = true;
    } else if (strcmp(option, "markdown") == 0) {
        options->markdown = value;
    } else if (strcmp(value, "changed") == 0) {
        options->only_changed = true;
    } else {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--only knows 'changed', not '%s'", value);
    }
    return VAEMARK_OK;
}

static enum vaemark_status write_markdown(const struct comparison *comparison, const struct compare_options *options,
                                          struct error *error) {
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    if (out) {
        compare_print_markdown(out, comparison, options->only_changed);
    }
    if (!out || fclose(out) != 0) {
        free(text);
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a comparison");
    }
    enum vaemark_status status = exports_write_text(options->markdown, text, size_bytes, error);
    free(text);
    return status;
}

static void print_table(const struct comparison *comparison, const struct compare_options *options) {
    bool terminal = isatty(STDOUT_FILENO) != 0;
    const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");
    struct compare_style style = {.columns = cli_terminal_columns(),
                                  .colour =
                                      terminal && !(no_colour && *no_colour) && !(kind && strcmp(kind, "dumb") == 0),
                                  .only_changed = options->only_changed};
    compare_print(stdout, comparison, &style);
}

static int tell(const struct comparison *comparison, const struct compare_options *options) {
    struct error error = {0};
    if (options->markdown && write_markdown(comparison, options, &error) != VAEMARK_OK) {
        cli_print_error(&error);
        return EXIT_CODE_HARNESS;
    }
    if (options->json && !compare_print_json(stdout, comparison, options->only_changed)) {
        fprintf(stderr, "vaemark: the comparison could not be written\n");
        return EXIT_CODE_HARNESS;
    }
    if (!options->json && !(options->markdown && strcmp(options->markdown, "-") == 0)) {
        print_table(comparison, options);
    }
    if (comparison->common_count == 0) {
        fprintf(stderr, "vaemark: the runs have no case in common\n");
        return EXIT_CODE_INCONCLUSIVE;
    }
    return EXIT_CODE_PASSED;
}

static int compare_files(const struct compare_options *options) {
    struct record *records[COMPARE_MOST_RUNS] = {NULL};
    bool complete = true;
    for (size_t i = 0; complete && i < options->count; i++) {
        struct results_error failure = {""};
        records[i] = store_read(options->paths[i], &failure);
        complete = records[i] != NULL;
        if (!complete) {
            fprintf(stderr, "vaemark: %s\n", failure.message);
        }
    }
    int code = EXIT_CODE_USAGE;
    if (complete) {
        struct comparison *comparison =
            compare_runs((const struct record *const *)records, options->paths, options->count);
        if (comparison) {
            code = tell(comparison, options);
        } else {
            fprintf(stderr, "vaemark: not enough memory for a comparison\n");
            code = EXIT_CODE_HARNESS;
        }
        comparison_free(comparison);
    }
    for (size_t i = 0; i < options->count; i++) {
        record_free(records[i]);
    }
    return code;
}

int command_compare(int argc, char **argv) {
    struct compare_options options = {0};
    struct error error = {0};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &options);
    if (parsed != CLI_PARSED) {
        return parsed == CLI_HELP_SHOWN ? EXIT_CODE_PASSED : EXIT_CODE_USAGE;
    }
    bool twice = options.json && options.markdown && strcmp(options.markdown, "-") == 0;
    if (options.count < 2 || twice) {
        fprintf(stderr, "vaemark: %s\nTry 'vaemark compare --help'.\n",
                twice ? "--json and --markdown - both want standard output"
                      : "which runs? give two or more files that 'vaemark run' wrote");
        return EXIT_CODE_USAGE;
    }
    const struct exports exports = {.markdown = options.markdown};
    for (size_t i = 0; i < options.count; i++) { /* a run is not to be replaced by what is said of it */
        if (exports_prepare(&exports, options.paths[i], &error) != VAEMARK_OK) {
            cli_print_error(&error);
            return EXIT_CODE_USAGE;
        }
    }
    return compare_files(&options);
}
