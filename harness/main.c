/* vaemark: benchmark and conformance harness for the decoders of image VAEs. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "harness/worker/worker.h"

static const struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "run a suite: decode, check, measure, record to HDF5", command_run},
    {"list", "list backends, models, suites, cases or checks", command_list},
    {"show", "show what a run recorded, for people or as JSON or CSV", command_show},
    {"decode", "decode latents once, to a picture or a tensor file", command_decode},
    {"compare", "lay stored runs side by side: what got worse, what got better", command_compare},
    {"report", "write a page of a run, or of several, with plots and pictures", command_report},
    {"oracle", "keep reference images: list, build, verify, export, import", command_oracle},
    {"doctor", "tell what this machine is, what it can do and what to improve", command_doctor},
    {"serve", "be a worker (started by vaemark itself)", command_serve},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_help(void) {
    printf("vaemark %s: benchmark and conformance harness for the decoders of image VAEs\n\n"
           "Usage: vaemark COMMAND [options]\n\nCommands:\n",
           VAEMARK_VERSION);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    printf("\n'vaemark COMMAND --help' tells more; --version prints the version.\n\n"
           "Examples:\n"
           "  vaemark run --suite smoke --out run.h5\n"
           "  vaemark report run.h5 --out out\n"
           "Exit codes: 0 passed or done, 1 failed, 2 usage or bad input, 3 inconclusive, 4 the harness failed,\n"
           "130 interrupted.\n");
}

static int complain(const char *word) {
    const char *names[COMMAND_COUNT + 1] = {NULL};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
    }
    const char *nearest = text_nearest(word, names);
    fprintf(stderr, "vaemark: unknown command '%s'", word);
    if (nearest) {
        fprintf(stderr, "; did you mean '%s'?", nearest);
    }
    fprintf(stderr, "\nTry 'vaemark --help'.\n");
    return EXIT_CODE_USAGE;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help();
        return EXIT_CODE_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help();
        return EXIT_CODE_PASSED;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("vaemark %s\n", VAEMARK_VERSION);
        return EXIT_CODE_PASSED;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int code = commands[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0 && code == EXIT_CODE_PASSED) {
                fprintf(stderr, "vaemark: writing to standard output failed\n");
                code = EXIT_CODE_HARNESS;
            }
            return code;
        }
    }
    return complain(argv[1]);
}
