/* What the subcommands of `vaemark oracle` share. */
#ifndef HARNESS_COMMANDS_ORACLE_VERBS_H
#define HARNESS_COMMANDS_ORACLE_VERBS_H

#include "harness/cli.h"
#include "harness/oracle/oracle_wants.h"

/* The arguments of any of them; each takes some. */
struct oracle_arguments {
    struct selection selection;
    bool selected; /* an option of the selection was given */
    long long threads;
    double timeout_s;
    bool json, repair, recompute;
    const char *out, *file;
    struct oracle_store store;
    struct oracle_wants wants;
};

/* Fills in what the options say; any option of any verb. */
cli_take oracle_take;
void oracle_arguments_free(struct oracle_arguments *arguments);

/* Prints the error and returns the exit code for it: 2 for what the user can put right, else 4. */
int oracle_fail(enum vaemark_status status, const struct error *error);
/* Opens the store, saying what to do where it cannot be opened. */
enum vaemark_status oracle_open_store(struct oracle_arguments *arguments, struct error *error);
/* Expands the selection and lists what it wants. */
enum vaemark_status oracle_select(struct oracle_arguments *arguments, struct error *error);
const char *oracle_suite_name(const struct oracle_arguments *arguments);
/* "vaemark oracle build --suite full", with the selection's options of this command line. Allocated. */
char *oracle_build_command(int argc, char **argv);

/* argv[0] is the verb. Each returns an exit code. */
int oracle_verb_list(int argc, char **argv);
int oracle_verb_build(int argc, char **argv);
int oracle_verb_verify(int argc, char **argv);
int oracle_verb_export(int argc, char **argv);
int oracle_verb_import(int argc, char **argv);

#endif
