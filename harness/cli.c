#include "harness/cli.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

void cli_print_error(const struct error *error) {
    fflush(stdout);
    if (error->where[0]) {
        fprintf(stderr, "vaemark: %s: %s\n", error->where, error->message);
    } else {
        fprintf(stderr, "vaemark: %s\n", error->message);
    }
}

static void print_help(const struct cli_usage *usage) {
    printf("Usage: %s\n\n%s\n\nOptions:\n", usage->synopsis, usage->description);
    for (const struct cli_option *option = usage->options; option->name; option++) {
        char left[64];
        const char *argument = option->argument ? option->argument : "";
        snprintf(left, sizeof left, "--%s%s%s", option->name, *argument && *argument != '[' ? " " : "", argument);
        printf("  %-26s %s\n", left, option->help);
    }
    printf("  %-26s %s\n", "--help", "this text");
    if (usage->epilogue) {
        printf("\n%s\n", usage->epilogue);
    }
}

static enum cli_outcome complain(const char *command, const struct error *error) {
    cli_print_error(error);
    fprintf(stderr, "Try 'vaemark %s --help'.\n", command);
    return CLI_WRONG;
}

static const struct cli_option *find_option(const struct cli_usage *usage, const char *name, size_t length) {
    for (const struct cli_option *option = usage->options; option->name; option++) {
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0) {
            return option;
        }
    }
    return NULL;
}

static void set_unknown(const struct cli_usage *usage, const char *argument, struct error *error) {
    const char *names[64] = {"help"};
    size_t count = 1;
    for (const struct cli_option *option = usage->options; option->name && count + 1 < 64; option++) {
        names[count++] = option->name;
    }
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    const char *nearest = argument[1] == '-' ? text_nearest(word, names) : NULL;
    if (nearest) {
        error_set(error, VAEMARK_UNKNOWN_OPTION, "unknown option '%s'; did you mean --%s?", argument, nearest);
    } else {
        error_set(error, VAEMARK_UNKNOWN_OPTION, "unknown option '%s'", argument);
    }
}

/* Takes the option at argv[*index]; moves *index past a value that is an argument of its own. */
static enum vaemark_status take_option(const struct cli_usage *usage, int argc, char **argv, int *index, cli_take *take,
                                       void *context, struct error *error) {
    const char *argument = argv[*index];
    const char *name = argument + 2;
    size_t length = strcspn(name, "=");
    const struct cli_option *option = strncmp(argument, "--", 2) == 0 ? find_option(usage, name, length) : NULL;
    if (!option) {
        set_unknown(usage, argument, error);
        return VAEMARK_UNKNOWN_OPTION;
    }
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    bool optional = option->argument && option->argument[0] == '[';
    if (!option->argument && value) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--%s takes no value, '%s' was given", option->name, value);
    }
    if (option->argument && !optional && !value) {
        if (*index + 1 >= argc) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "--%s wants a value: %s", option->name, option->argument);
        }
        value = argv[++*index];
    }
    return take(context, option->name, value ? value : "", error);
}

enum cli_outcome cli_parse(const struct cli_usage *usage, int argc, char **argv, cli_take *take, void *context) {
    struct error error = {0};
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        enum vaemark_status status = VAEMARK_OK;
        if (!only_positional && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(usage);
            return CLI_HELP_SHOWN;
        }
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional && argv[i][0] == '-' && argv[i][1] != '\0') {
            status = take_option(usage, argc, argv, &i, take, context, &error);
        } else {
            status = take(context, NULL, argv[i], &error);
        }
        if (status != VAEMARK_OK) {
            return complain(argv[0], &error);
        }
    }
    return CLI_PARSED;
}

enum vaemark_status cli_parse_integer(const char *option, const char *text, long long low, long long high,
                                      long long *value, struct error *error) {
    char *end = NULL;
    errno = 0;
    *value = strtoll(text, &end, 10);
    if (errno || end == text || *end || *value < low || *value > high) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--%s wants a whole number from %lld to %lld, not '%s'",
                         option, low, high, text);
    }
    return VAEMARK_OK;
}

enum vaemark_status cli_parse_real(const char *option, const char *text, double low, double high, double *value,
                                   struct error *error) {
    char *end = NULL;
    *value = strtod(text, &end);
    if (end == text || *end || !(*value >= low && *value <= high)) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--%s wants a number from %g to %g, not '%s'", option, low,
                         high, text);
    }
    return VAEMARK_OK;
}

int cli_terminal_columns(void) {
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}
