/* vaemark oracle: the store of reference images. What its subcommands share, and the table of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/commands/commands.h"
#include "harness/commands/oracle_verbs.h"
#include "harness/exit_code.h"
#include "harness/progress.h"

static const struct verb {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"list", "what the store holds, or which of a suite's oracles it holds", oracle_verb_list},
    {"build", "compute what a suite needs and the store lacks", oracle_verb_build},
    {"verify", "hold every entry against its checksum, or against a fresh computation", oracle_verb_verify},
    {"export", "write a suite's oracles into one file", oracle_verb_export},
    {"import", "check the oracles of such a file and add them", oracle_verb_import},
};
enum { VERB_COUNT = sizeof verbs / sizeof *verbs };

enum vaemark_status oracle_take(void *context, const char *option, const char *value, struct error *error) {
    struct oracle_arguments *arguments = context;
    bool taken = false;
    if (!option) {
        if (arguments->file) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "unexpected argument '%s'", value);
        }
        arguments->file = value;
        return VAEMARK_OK;
    }
    enum vaemark_status status = selection_take(&arguments->selection, option, value, &taken, error);
    arguments->selected |= taken;
    if (taken) {
        return status;
    }
    if (strcmp(option, "threads") == 0) {
        return cli_parse_integer(option, value, 0, 4096, &arguments->threads, error);
    }
    if (strcmp(option, "timeout") == 0) {
        return cli_parse_real(option, value, 0.001, 1e6, &arguments->timeout_s, error);
    }
    if (strcmp(option, "out") == 0) {
        arguments->out = value;
    }
    arguments->json |= strcmp(option, "json") == 0;
    arguments->repair |= strcmp(option, "repair") == 0;
    arguments->recompute |= strcmp(option, "recompute") == 0;
    return VAEMARK_OK;
}

void oracle_arguments_free(struct oracle_arguments *arguments) {
    oracle_wants_free(&arguments->wants);
    oracle_store_close(&arguments->store);
    selection_free(&arguments->selection);
}

int oracle_fail(enum vaemark_status status, const struct error *error) {
    cli_print_error(error);
    return status == VAEMARK_IO_ERROR || status == VAEMARK_OUT_OF_MEMORY || status == VAEMARK_INTERNAL
               ? EXIT_CODE_HARNESS
               : EXIT_CODE_USAGE;
}

enum vaemark_status oracle_open_store(struct oracle_arguments *arguments, struct error *error) {
    enum vaemark_status status = oracle_store_open(&arguments->store, error);
    if (status == VAEMARK_IO_ERROR && !strstr(error->message, "VAEMARK_CACHE")) {
        strncat(error->message, "; set VAEMARK_CACHE to a folder that can be written",
                sizeof error->message - strlen(error->message) - 1);
    }
    return status;
}

static void note(const char *text) {
    progress_note(text);
}

enum vaemark_status oracle_select(struct oracle_arguments *arguments, struct error *error) {
    enum vaemark_status status = selection_expand(&arguments->selection, error);
    return status == VAEMARK_OK ? oracle_wants_list(&arguments->selection, note, &arguments->wants, error) : status;
}

const char *oracle_suite_name(const struct oracle_arguments *arguments) {
    return arguments->selection.suite->name;
}

/* In quotes where a shell would read more into it. */
static void print_word(FILE *out, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,=:+-";
    if (*word && word[strspn(word, plain)] == '\0') {
        fprintf(out, " %s", word);
        return;
    }
    fputs(" '", out);
    for (; *word; word++) {
        fputs(*word == '\'' ? "'\\''" : (const char[]){*word, '\0'}, out);
    }
    fputc('\'', out);
}

char *oracle_build_command(int argc, char **argv) {
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    if (!out) {
        return NULL;
    }
    fputs("vaemark oracle build", out);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--out") == 0) {
            i++;
        } else if (strncmp(argv[i], "--out=", 6) != 0 && strcmp(argv[i], "--json") != 0) {
            print_word(out, argv[i]);
        }
    }
    fclose(out);
    return text;
}

static void print_help(void) {
    printf(
        "Usage: vaemark oracle VERB [options]\n\n"
        "Reference images (oracles) never change, but take minutes at full size. They are kept in the cache folder,\n"
        "found again by what they were computed from, and travel as one file.\n\nVerbs:\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        printf("  %-8s %s\n", verbs[i].name, verbs[i].summary);
    }
    printf(
        "\n'vaemark oracle VERB --help' tells more.\n\nExamples:\n"
        "  vaemark oracle build --suite full\n"
        "  vaemark oracle export --suite full --out full-oracles.safetensors\n"
        "  vaemark oracle import full-oracles.safetensors\n"
        "Exit codes: 0 done, 1 'verify' found damage, 2 usage or bad input, 4 the store cannot be read or written.\n");
}

int command_oracle(int argc, char **argv) {
    const char *names[VERB_COUNT + 1] = {NULL};
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return EXIT_CODE_PASSED;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        names[i] = verbs[i].name;
        if (argc >= 2 && strcmp(argv[1], verbs[i].name) == 0) {
            char name[32]; /* as --help has to be asked for */
            snprintf(name, sizeof name, "oracle %s", verbs[i].name);
            argv[1] = name;
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    const char *nearest = argc >= 2 ? text_nearest(argv[1], names) : NULL;
    fprintf(stderr, "vaemark: oracle what? list, build, verify, export or import%s%s%s\nTry 'vaemark oracle --help'.\n",
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_CODE_USAGE;
}
