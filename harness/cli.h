/* The command line: a table of options a subcommand drives parsing, --help and "did you mean". */
#ifndef HARNESS_CLI_H
#define HARNESS_CLI_H

#include "base/error.h"

struct cli_option {
    const char *name;     /* "suite" for --suite */
    const char *argument; /* "NAME|FILE"; NULL: a flag. In brackets, "[=HOW]": optional, given as --name=HOW only */
    const char *help;
};

struct cli_usage {
    const char *synopsis;             /* "vaemark run [options]" */
    const char *description;          /* a paragraph or two */
    const struct cli_option *options; /* ends with a row whose name is NULL; --help is added */
    const char *epilogue;             /* examples, exit codes; may be NULL */
};

/* Takes an option and its value ("" for flags), or a positional argument (option NULL). */
typedef enum vaemark_status cli_take(void *context, const char *option, const char *value, struct error *error);

enum cli_outcome { CLI_PARSED, CLI_HELP_SHOWN, CLI_WRONG };

/* argv[0] is the subcommand. Prints help on stdout, or the error on stderr with how to get help. */
enum cli_outcome cli_parse(const struct cli_usage *usage, int argc, char **argv, cli_take *take, void *context);

/* Prints "vaemark: WHERE: MESSAGE" on stderr. */
void cli_print_error(const struct error *error);

/* Columns of the terminal that standard output is; 0 where it is none. */
int cli_terminal_columns(void);

/* Whole numbers and reals from arguments, with the option's name in the message. */
enum vaemark_status cli_parse_integer(const char *option, const char *text, long long low, long long high,
                                      long long *value, struct error *error);
enum vaemark_status cli_parse_real(const char *option, const char *text, double low, double high, double *value,
                                   struct error *error);

#endif
