/* vaemark show: what a run recorded, for people and for programs. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "harness/exports.h"
#include "results/schema.h"
#include "results/show.h"
#include "results/store.h"

struct show_options {
    const char *path, *pattern; /* the run, and which cases of it; NULL: all */
    bool json, csv;
    enum table_id table; /* of --csv */
    struct exports exports;
};

static const struct cli_usage usage = {
    .synopsis = "vaemark show RUN.h5 [CASE] [--json] [--csv TABLE] [--junit FILE] [--markdown FILE]",
    .description =
        "Shows what a run recorded: a table of all cases, or everything about CASE. In CASE, * stands for any\n"
        "text, also with slashes: 'sd15-mini/*', '*/cpu/*'.",
    .options =
        (const struct cli_option[]){
            {"json", NULL, "as one JSON document; unknown numbers are null"},
            {"csv", "TABLE", "one table as CSV: cases, checks, samples, models, images, trace, oracle, memory"},
            EXPORT_OPTIONS,
            {0}},
    .epilogue = "Python reads the file directly: docs/result-schema.md has each column.\n\n"
                "Examples:\n"
                "  vaemark show run.h5\n"
                "  vaemark show run.h5 '*/cpu/fp32/fuse_qkv/*'\n"
                "Exit codes: 0 shown, 2 usage, no such case, or not a result file, 4 writing failed.",
};

static enum vaemark_status choose_table(struct show_options *options, const char *name, struct error *error) {
    const char *names[TABLE_COUNT + 1] = {NULL};
    char list[256] = "";
    for (int i = 0; i < TABLE_COUNT; i++) {
        names[i] = results_schema[i].name;
        size_t length = strlen(list);
        snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "", names[i]);
    }
    options->csv = true;
    options->table = schema_find_table(name);
    if (options->table < TABLE_COUNT) {
        return VAEMARK_OK;
    }
    const char *nearest = text_nearest(name, names);
    return error_set(error, VAEMARK_INVALID_ARGUMENT, "--csv: there is no table '%s'%s%s%s; there are %s", name,
                     nearest ? ", did you mean " : "", nearest ? nearest : "", nearest ? "?" : "", list);
}

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct show_options *options = context;
    if (option && strcmp(option, "json") == 0) {
        options->json = true;
    } else if (option && exports_take(&options->exports, option, value)) {
        return VAEMARK_OK;
    } else if (option) {
        return choose_table(options, value, error);
    } else if (!options->path) {
        options->path = value;
    } else if (!options->pattern) {
        options->pattern = value;
    } else {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "one CASE at most; quote patterns: '%s'", value);
    }
    return VAEMARK_OK;
}

/* The ids that match, in the order of the run; an exact name wins over its reading as a pattern. */
static const char **select_cases(const struct record *record, const char *pattern, size_t *count) {
    const struct table *cases = &record->tables[TABLE_CASES];
    const char **ids = calloc(cases->count + 1, sizeof *ids);
    *count = 0;
    for (size_t i = 0; ids && i < cases->count; i++) {
        const char *id = RECORD_ROW(record, TABLE_CASES, i, case_row)->id;
        if (strcmp(id, pattern) == 0) {
            ids[0] = id;
            *count = 1;
            return ids;
        }
        if (text_glob_match(pattern, id)) {
            ids[(*count)++] = id;
        }
    }
    return ids;
}

static void print_no_such_case(const struct record *record, const struct show_options *options) {
    enum { LISTED = 5 };
    const struct table *cases = &record->tables[TABLE_CASES];
    const char **ids = calloc(cases->count + 1, sizeof *ids);
    for (size_t i = 0; ids && i < cases->count; i++) {
        ids[i] = RECORD_ROW(record, TABLE_CASES, i, case_row)->id;
    }
    const char *nearest = ids ? text_nearest(options->pattern, ids) : NULL;
    fprintf(stderr, "vaemark: %s: no case matches '%s'", options->path, options->pattern);
    if (nearest) {
        fprintf(stderr, "; did you mean %s?\n", nearest);
    } else if (ids && cases->count > 0) {
        fprintf(stderr, "; its %zu cases are:\n", cases->count);
        for (size_t i = 0; i < cases->count && i < LISTED; i++) {
            fprintf(stderr, "  %s\n", ids[i]);
        }
        if (cases->count > LISTED) {
            fprintf(stderr, "  and %zu more ('vaemark show %s' lists them; a pattern like '*%s*' finds parts)\n",
                    cases->count - LISTED, options->path, options->pattern);
        }
    } else {
        fprintf(stderr, "; it has no cases\n");
    }
    free(ids);
}

static void show_cases(const struct record *record, const struct show_options *options, const char *const *ids,
                       size_t count) {
    if (options->json) {
        show_json_cases(stdout, record, ids, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        printf("%s", i ? "\n" : "");
        show_case(stdout, record, ids[i]);
    }
}

static int show_record(const struct record *record, const struct show_options *options) {
    if (options->csv) {
        show_csv(stdout, record, options->table);
    } else if (options->pattern) {
        size_t count = 0;
        const char **ids = select_cases(record, options->pattern, &count);
        if (count > 0) {
            show_cases(record, options, ids, count);
        } else {
            print_no_such_case(record, options);
        }
        free(ids);
        return count > 0 ? EXIT_CODE_PASSED : EXIT_CODE_USAGE;
    } else if (options->json) {
        show_json_cases(stdout, record, NULL, 0);
    } else {
        show_summary(stdout, record, cli_terminal_columns());
        printf("\n");
        show_fuse_qkv_sentence(stdout, record);
    }
    return EXIT_CODE_PASSED;
}

/* For CI, from a run that was stored: the files alone, no table. */
static int export_record(const struct record *record, const char *path, const struct exports *exports) {
    struct error error = {0};
    enum vaemark_status status = exports_prepare(exports, path, &error);
    int code = status == VAEMARK_OK ? EXIT_CODE_PASSED : EXIT_CODE_USAGE;
    if (status == VAEMARK_OK && exports_write(exports, record, &error) != VAEMARK_OK) {
        code = EXIT_CODE_HARNESS;
    }
    if (code != EXIT_CODE_PASSED) {
        cli_print_error(&error);
    } else if (!exports_take_stdout(exports)) {
        const char *both = exports->junit && exports->markdown ? " and " : "";
        printf("Written: %s%s%s\n", exports->junit ? exports->junit : "", both,
               exports->markdown ? exports->markdown : "");
    }
    return code;
}

static bool reader_is_gone(void) {
    struct pollfd standard_output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&standard_output, 1, 0) == 1 && (standard_output.revents & (POLLERR | POLLHUP));
}

/* A reader that has seen enough ('| head') is no error; a full disk is. */
static int finish_output(int code) {
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed) {
        return code;
    }
    __fpurge(stdout); /* what is lost is told here: main's last flush must not try again */
    clearerr(stdout);
    if (reader_is_gone()) {
        return code;
    }
    fprintf(stderr, "vaemark: writing to standard output failed: is its disk full?\n");
    return EXIT_CODE_HARNESS;
}

int command_show(int argc, char **argv) {
    struct show_options options = {0};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &options);
    if (parsed != CLI_PARSED) {
        return parsed == CLI_HELP_SHOWN ? EXIT_CODE_PASSED : EXIT_CODE_USAGE;
    }
    bool exports = options.exports.junit || options.exports.markdown;
    const char *wrong = !options.path                 ? "which run? give the RUN.h5 that 'vaemark run' wrote"
                        : options.csv && options.json ? "--json or --csv, not both"
                        : exports && (options.csv || options.json || options.pattern)
                            ? "--junit and --markdown write a whole run: leave CASE, --json and --csv out"
                        : options.csv && options.pattern ? "--csv writes a whole table: leave CASE out"
                                                         : NULL;
    if (wrong) {
        fprintf(stderr, "vaemark: %s\nTry 'vaemark show --help'.\n", wrong);
        return EXIT_CODE_USAGE;
    }
    struct results_error failure = {""};
    struct record *record = store_read(options.path, &failure);
    if (!record) {
        fprintf(stderr, "vaemark: %s\n", failure.message);
        return EXIT_CODE_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    int code =
        finish_output(exports ? export_record(record, options.path, &options.exports) : show_record(record, &options));
    record_free(record);
    return code;
}
