/* vaemark doctor: what this machine is, what it can do, how noisy it is, what to improve. */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/doctor/doctor.h"
#include "harness/exit_code.h"
#include "harness/worker/worker.h"

struct doctor_options {
    bool quick, json;
    struct text_list decoders;
};

static const struct cli_option options[] = {
    {"quick", NULL, "under two seconds: shorter measurements, rougher figures"},
    {"json", NULL, "print JSON (docs/list-json.md)"},
    {"decoder", "DECODER", "ask this decoder, too, as plugin:./vendor.so; may be repeated"},
    {NULL, NULL, NULL},
};

static const struct cli_usage usage = {
    .synopsis = "vaemark doctor [--quick] [--json] [--decoder DECODER]...",
    .description =
        "Tells what this machine is, measures its peaks and its noise, which backends run and why others do\n"
        "not, and what would improve it. Takes about ten seconds.",
    .options = options,
    .epilogue = "Examples:\n"
                "  vaemark doctor --quick\n"
                "  vaemark doctor --json --decoder plugin:./vendor.so\n"
                "Exit codes: 0 whatever was found, 2 usage, 4 writing failed.",
};

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct doctor_options *doctor = context;
    if (!option) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "doctor takes no argument '%s'", value);
    }
    if (strcmp(option, "decoder") == 0) {
        return text_list_add(&doctor->decoders, value)
                   ? VAEMARK_OK
                   : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the command line");
    }
    *(strcmp(option, "quick") == 0 ? &doctor->quick : &doctor->json) = true;
    return VAEMARK_OK;
}

/* One line that is rewritten on a terminal, one a step elsewhere. */
static void tell(const char *step) {
    fprintf(stderr, isatty(STDERR_FILENO) ? "\r\033[K%s" : "%s\n", step);
    fflush(stderr);
}

static enum vaemark_status examine(struct doctor *doctor, const struct text_list *decoders, struct error *error) {
    static const struct doctor_pace thorough = {.round_s = 0.002, .noise_s = 4, .rounds = 75, .memory_bytes = 0x1p31},
                                    quick = {.round_s = 0.001, .noise_s = 0.5, .rounds = 10, .memory_bytes = 0x1p27};
    const struct doctor_pace *pace = doctor->quick ? &quick : &thorough;
    tell("doctor: reading what the machine is");
    machine_read(&doctor->machine);
    doctor->backends = doctor_backends(decoders);
    doctor->tools = doctor_tools();
    doctor->folders = doctor_folders();
    tell("doctor: measuring peaks");
    if (peaks_measure(&doctor->machine, pace, &doctor->peaks, error) != VAEMARK_OK) {
        cli_print_error(error); /* what was measured is still worth telling */
    }
    tell("doctor: measuring noise");
    enum vaemark_status status = noise_measure(pace, &doctor->noise, error);
    if (isatty(STDERR_FILENO)) {
        tell("");
    }
    return status;
}

static int run(const struct doctor_options *asked) {
    static const double nanosecond = 1e-9;
    struct doctor doctor = {.quick = asked->quick};
    struct error error = {0};
    int64_t start_ns = clock_monotonic_ns();
    int code = EXIT_CODE_PASSED;
    if (examine(&doctor, &asked->decoders, &error) != VAEMARK_OK) {
        cli_print_error(&error);
        code = EXIT_CODE_HARNESS;
    } else {
        doctor_advise(&doctor);
        doctor.duration_s = (double)(clock_monotonic_ns() - start_ns) * nanosecond;
        json_t *document = asked->json ? doctor_json(&doctor) : NULL;
        if (document) {
            json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
            printf("\n");
        } else {
            doctor_print(stdout, &doctor);
        }
        json_decref(document);
    }
    json_decref(doctor.backends);
    json_decref(doctor.tools);
    json_decref(doctor.folders);
    return code;
}

int command_doctor(int argc, char **argv) {
    struct doctor_options asked = {.quick = false};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &asked);
    int code = parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    if (parsed == CLI_PARSED) {
        worker_setup_process();
        code = run(&asked);
    }
    text_list_free(&asked.decoders);
    return code;
}
