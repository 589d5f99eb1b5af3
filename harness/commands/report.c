/* vaemark report: pictures and plots of a run, into a folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "results/report.h"

struct report_options {
    const char *path, *folder;
};

static const struct cli_usage usage = {
    .synopsis = "vaemark report RUN.h5 --out DIR",
    .description =
        "Writes a run's decoded pictures and error maps as PNG, and plots of latency, memory and PSNR by case as\n"
        "PNG and SVG (drawn by gnuplot), into DIR. Files of the same names are replaced.",
    .options = (const struct cli_option[]){{"out", "DIR", "the folder to write into, made if needed"}, {0}},
    .epilogue = "Exit codes: 0 written, 2 wrong use or not a result file, 4 something could not be written or drawn.",
};

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct report_options *options = context;
    if (option) {
        options->folder = value;
    } else if (!options->path) {
        options->path = value;
    } else {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "one RUN.h5 at a time, '%s' is one too many", value);
    }
    return VAEMARK_OK;
}

static int write_report(const struct record *record, const char *folder) {
    char *data = NULL;
    struct error error = {0};
    if (data_folder(&data, &error) != VAEMARK_OK) {
        cli_print_error(&error);
        return EXIT_CODE_HARNESS;
    }
    char *scripts = path_join(data, "scripts/gnuplot");
    struct results_error failure = {"out of memory"};
    bool done = scripts && report_write(record, folder, scripts, &failure);
    if (!done) {
        fprintf(stderr, "vaemark: %s\n", failure.message);
    }
    free(scripts);
    free(data);
    return done ? EXIT_CODE_PASSED : EXIT_CODE_HARNESS;
}

int command_report(int argc, char **argv) {
    struct report_options options = {0};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &options);
    if (parsed != CLI_PARSED) {
        return parsed == CLI_HELP_SHOWN ? EXIT_CODE_PASSED : EXIT_CODE_USAGE;
    }
    if (!options.path || !options.folder || !options.folder[0]) {
        fprintf(stderr, "vaemark: %s\nTry 'vaemark report --help'.\n",
                options.path ? "where to? give --out DIR" : "which run? give the RUN.h5 that 'vaemark run' wrote");
        return EXIT_CODE_USAGE;
    }
    struct results_error failure = {""};
    struct record *record = store_read(options.path, &failure);
    if (!record) {
        fprintf(stderr, "vaemark: %s\n", failure.message);
        return EXIT_CODE_USAGE;
    }
    int code = write_report(record, options.folder);
    if (code == EXIT_CODE_PASSED) {
        printf("Pictures and plots (latency, memory, psnr; .png and .svg) are in %s\n", options.folder);
    }
    record_free(record);
    return code;
}
