/* vaemark run: the command line. What it does: harness/run/run.c. */
#include <string.h>

#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "harness/run/run.h"
#include "harness/worker/memory_limit.h"
#include "harness/worker/worker.h"

static const struct cli_option options[] = {
    SELECTION_OPTIONS,
    {"threads", "N", "threads a decoder may use (default 0: all CPUs)"},
    {"timeout", "S", "seconds a worker has for one message (default: the suite's)"},
    {"memory-limit", "SIZE",
     "memory a worker may hold, as 4GiB, or none (default: the suite's, else 4/5 of what is left)"},
    {"out", "FILE", "the result file (default run.h5); finished cases wait in FILE.journal for the run's end"},
    {"resume", NULL, "go on with a run that was interrupted; begins one where there is none"},
    {"fresh", NULL, "throw away what an interrupted run left in the journal"},
    {"profile", NULL, "keep what each step of a decode takes, and how close that is to what this machine can do"},
    EXPORT_OPTIONS,
    {"no-oracle-store", NULL, "compute every reference image anew and keep none"},
    {NULL, NULL, NULL},
};

static const struct cli_usage usage = {
    .synopsis = "vaemark run [--suite NAME|FILE] [--decoder DECODER]... [options]",
    .description =
        "Runs a suite: every case decodes in a worker process of its own, is checked against the FP32 and FP64\n"
        "reference, timed, and recorded. Ends with a table and a result file.",
    .options = options,
    .epilogue =
        "Examples:\n"
        "  vaemark run --suite smoke --out out/run.h5\n"
        "  vaemark run --backend cpu --model sd15-mini --case '*/fuse_qkv/*'\n"
        "  vaemark run --model taef2 --profile --out profile.h5\n"
        "DECODER is a backend and options: cpu | cpu,fuse_qkv=on | plugin:./vendor.so | exec:'python3 worker.py'.\n"
        "Exit codes: 0 passed, 1 failed, 2 usage or bad input, 3 inconclusive, 4 the harness failed, 130 interrupted.",
};

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct run *run = context;
    bool taken = false;
    if (!option) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "unexpected argument '%s'; a suite is given as --suite %s",
                         value, value);
    }
    enum vaemark_status status = selection_take(&run->selection, option, value, &taken, error);
    if (taken) {
        return status;
    }
    if (strcmp(option, "threads") == 0) {
        return cli_parse_integer(option, value, 0, 4096, &run->threads, error);
    }
    if (strcmp(option, "timeout") == 0) {
        return cli_parse_real(option, value, 0.001, 1e6, &run->timeout_s, error);
    }
    if (strcmp(option, "memory-limit") == 0) {
        run->selection.memory_limit = value;
        return memory_limit_parse(value, &run->memory_limit_bytes, error);
    }
    if (strcmp(option, "no-oracle-store") == 0) {
        run->no_oracle_store = true;
        return VAEMARK_OK;
    }
    if (exports_take(&run->exports, option, value)) {
        return VAEMARK_OK;
    }
    if (strcmp(option, "out") == 0) {
        run->out = value;
        return VAEMARK_OK;
    }
    run->profile |= strcmp(option, "profile") == 0;
    run->resume |= strcmp(option, "resume") == 0;
    run->fresh |= strcmp(option, "fresh") == 0;
    return run->resume && run->fresh
               ? error_set(error, VAEMARK_INVALID_ARGUMENT, "--resume and --fresh contradict each other")
               : VAEMARK_OK;
}

int command_run(int argc, char **argv) {
    struct run run = {.out = "run.h5"};
    int code = EXIT_CODE_PASSED;
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &run);
    if (parsed == CLI_WRONG) {
        code = EXIT_CODE_USAGE;
    } else if (parsed == CLI_PARSED) {
        worker_setup_process();
        code = run_suite(&run, argc, argv);
    }
    selection_free(&run.selection);
    return code;
}
