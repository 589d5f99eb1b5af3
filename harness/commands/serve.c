/* `vaemark serve`: being a worker, and being the keeper of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "harness/worker/keeper.h"
#include "harness/worker/serve.h"
#include "harness/worker/wire.h"

struct serve_arguments {
    const char *backend;
};

static const struct cli_option options[] = {
    {"backend", "NAME|plugin:PATH", "which decoder to be; 'vaemark list backends' shows the names"},
    {NULL, NULL, NULL},
};

static const struct cli_usage usage = {
    .synopsis = "vaemark serve --backend NAME|plugin:PATH",
    .description =
        "Answers the messages of docs/worker-protocol.md on the socket that the descriptor in\n"
        "$" WIRE_SOCKET_VARIABLE " names, with tensors in the memory that $" WIRE_SEGMENT_VARIABLE " names.\n"
        "vaemark starts it itself for everything that decodes; there is no need to start it by hand.",
    .options = options,
    .epilogue = "Exit codes: 0 its harness is done with it, 2 usage, or not started by vaemark, 4 the worker failed.",
};

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct serve_arguments *arguments = context;
    if (!option)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "serve takes no argument '%s'", value);
    arguments->backend = value;
    return VAEMARK_OK;
}

static enum vaemark_status read_descriptor(const char *variable, int *fd, struct error *error) {
    const char *text = getenv(variable);
    long long number = -1;
    if (!text || cli_parse_integer(variable, text, 0, 1 << 20, &number, NULL) != VAEMARK_OK)
        return error_set(error, VAEMARK_INVALID_ARGUMENT,
                         "serve is started by vaemark itself, with an open descriptor in $%s; to decode, use 'vaemark "
                         "decode' or 'vaemark run' (docs/worker-protocol.md tells how to start a worker by hand)",
                         variable);
    *fd = (int)number;
    return VAEMARK_OK;
}

static int serve_named(const char *name) {
    struct error error = {.status = VAEMARK_OK};
    int socket_fd = -1, segment_fd = -1;
    const struct vaemark_backend *backend = NULL;
    enum vaemark_status status = read_descriptor(WIRE_SOCKET_VARIABLE, &socket_fd, &error);
    if (status == VAEMARK_OK)
        status = read_descriptor(WIRE_SEGMENT_VARIABLE, &segment_fd, &error);
    if (status != VAEMARK_OK) {
        cli_print_error(&error);
        return EXIT_CODE_USAGE;
    }
    if (backend_find(name, &backend, &error) != VAEMARK_OK) {
        cli_print_error(&error);
        struct error failure = error;
        (void)serve_failure(&failure, socket_fd, &error);
        return EXIT_CODE_USAGE;
    }
    if (serve(backend, socket_fd, segment_fd, &error) != VAEMARK_OK) {
        cli_print_error(&error);
        return EXIT_CODE_HARNESS;
    }
    return EXIT_CODE_PASSED;
}

int command_serve(int argc, char **argv) {
    struct serve_arguments arguments = {.backend = NULL};
    /* Not for people, so not in the help: harness/worker/keeper.h. */
    if (argc > 4 && strcmp(argv[1], "--keeper") == 0 && strcmp(argv[3], "--") == 0 && getenv(WIRE_LEASH_VARIABLE))
        return keeper_run(strtoull(argv[2], NULL, 10), argv + 4);
    switch (cli_parse(&usage, argc, argv, take, &arguments)) {
    case CLI_HELP_SHOWN:
        return EXIT_CODE_PASSED;
    case CLI_WRONG:
        return EXIT_CODE_USAGE;
    case CLI_PARSED:
        break;
    }
    if (!arguments.backend) {
        fprintf(stderr, "vaemark: serve needs --backend NAME; 'vaemark serve --help' tells more\n");
        return EXIT_CODE_USAGE;
    }
    return serve_named(arguments.backend);
}
