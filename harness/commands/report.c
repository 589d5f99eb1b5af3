/* vaemark report: one page, plots and pictures of a run, or of several side by side, into a folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "results/report.h"

enum { MOST_RUNS = 64, LABEL_BYTES = 128, STEM_BYTES = 96 };

struct report_options {
    const char *paths[MOST_RUNS];
    char labels[MOST_RUNS][LABEL_BYTES];
    size_t count;
    const char *folder;
};

static const struct cli_usage usage = {
    .synopsis = "vaemark report RUN.h5... --out DIR",
    .description =
        "Writes DIR/index.html, one page that needs no network and no other file: the verdict, what failed and the\n"
        "command that repeats it, all cases and checks, plots, pictures with error maps, and the environment. Beside\n"
        "it: the plots as SVG and PNG (drawn by gnuplot) and the pictures as PNG. Several runs are laid side by side,\n"
        "each called by its file's name. Files of the same names are replaced.",
    .options = (const struct cli_option[]){{"out", "DIR", "the folder to write into, made if needed"}, {0}},
    .epilogue = "Examples:\n"
                "  vaemark report run.h5 --out out\n"
                "  vaemark report before.h5 after.h5 --out out\n"
                "Exit codes: 0 written, 2 usage or not a result file, 4 something could not be written or drawn.",
};

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct report_options *options = context;
    if (option) {
        options->folder = value;
        return VAEMARK_OK;
    }
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->paths[i], value) == 0) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "'%s' is given twice", value);
        }
    }
    if (options->count == MOST_RUNS) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "%d runs on a page are the most, '%s' is one too many",
                         MOST_RUNS, value);
    }
    options->paths[options->count++] = value;
    return VAEMARK_OK;
}

/* ---- Labels ---- */

static bool is_taken(const struct report_run *runs, size_t count, const char *label) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(runs[i].label, label) == 0) {
            return true;
        }
    }
    return false;
}

/* "out/run.h5" is called "run", and "run-2" where another run has that name. */
static void make_label(char label[LABEL_BYTES], const struct report_run *runs, size_t count, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    if (length > 3 && strcmp(name + length - 3, ".h5") == 0) {
        length -= 3;
    }
    length = length < STEM_BYTES ? length : STEM_BYTES;
    snprintf(label, LABEL_BYTES, "%.*s", (int)length, name);
    for (size_t number = 2; is_taken(runs, count, label); number++) {
        snprintf(label, LABEL_BYTES, "%.*s-%zu", (int)length, name, number);
    }
}

/* ---- Runs ---- */

static void free_runs(struct report_run *runs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        record_free((struct record *)runs[i].record);
    }
}

/* All of them, or none and a message. */
static bool read_runs(struct report_run *runs, struct report_options *options) {
    for (size_t i = 0; i < options->count; i++) {
        struct results_error failure = {""};
        make_label(options->labels[i], runs, i, options->paths[i]);
        runs[i] = (struct report_run){.label = options->labels[i], .path = options->paths[i]};
        runs[i].record = store_read(options->paths[i], &failure);
        if (!runs[i].record) {
            fprintf(stderr, "vaemark: %s\n", failure.message);
            free_runs(runs, i);
            return false;
        }
    }
    return true;
}

static int write_report(const struct report_run *runs, size_t count, const char *folder) {
    char *data = NULL;
    struct error error = {0};
    if (data_folder(&data, &error) != VAEMARK_OK) {
        cli_print_error(&error);
        return EXIT_CODE_HARNESS;
    }
    char *scripts = path_join(data, "scripts/gnuplot");
    struct results_error failure = {"out of memory"};
    bool done = scripts && report_write_runs(runs, count, folder, scripts, &failure);
    if (!done) {
        fprintf(stderr, "vaemark: %s\n", failure.message);
    }
    free(scripts);
    free(data);
    return done ? EXIT_CODE_PASSED : EXIT_CODE_HARNESS;
}

int command_report(int argc, char **argv) {
    struct report_options options = {0};
    struct report_run runs[MOST_RUNS] = {{0}};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &options);
    if (parsed != CLI_PARSED) {
        return parsed == CLI_HELP_SHOWN ? EXIT_CODE_PASSED : EXIT_CODE_USAGE;
    }
    if (options.count == 0 || !options.folder || !options.folder[0]) {
        fprintf(stderr, "vaemark: %s\nTry 'vaemark report --help'.\n",
                options.count ? "where to? give --out DIR" : "which run? give the RUN.h5 that 'vaemark run' wrote");
        return EXIT_CODE_USAGE;
    }
    if (!read_runs(runs, &options)) {
        return EXIT_CODE_USAGE;
    }
    int code = write_report(runs, options.count, options.folder);
    if (code == EXIT_CODE_PASSED) {
        printf("The page is %s/index.html; its plots (.svg, .png) and pictures (.png) lie beside it.\n",
               options.folder);
    }
    free_runs(runs, options.count);
    return code;
}
