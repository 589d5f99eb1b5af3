#include "harness/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/cli.h"
#include "harness/exit_code.h"
#include "harness/model_facts.h"
#include "harness/progress.h"
#include "harness/run_case.h"
#include "harness/run_internal.h"
#include "results/show.h"
#include "results/store.h"
#include "results/verdict.h"

/* Roughly seconds: a worker's start and its budget of samples, and a dozen decodes for checks and oracles. */
static double case_cost(const struct suite *suite, const struct run_case *item) {
    enum { DECODES = 12, FLOPS_PER_SECOND_E9 = 20, LATENT_PIXELS = 64, PIXELS_AT_512 = 512 * 512 };
    double pixels = (double)item->batch * (double)item->height * (double)item->width * LATENT_PIXELS;
    double work = pixels / PIXELS_AT_512 * model_flops_at(item->model->model, 512) * 1e-9 * DECODES;
    return 1 + suite->measure.budget_s + (work == work ? work / FLOPS_PER_SECOND_E9 : 0); /* a NaN counts as no work */
}

static void note(const char *text) {
    progress_note(text);
}

static enum vaemark_status need_all_weights(struct selection *selection, struct record *record, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < selection->models.count; i++) {
        struct run_model *model = selection->models.items[i];
        bool used = false;
        for (size_t k = 0; k < selection->cases.count; k++) {
            used |= selection->cases.items[k].model == model;
        }
        status = used ? models_need_weights(&selection->models, model, note, error) : VAEMARK_OK;
        if (used && status == VAEMARK_OK) {
            model_record(record, model);
        }
    }
    return status;
}

static enum vaemark_status run_cases(struct run *run, struct record *record, struct error *error) {
    struct selection *selection = &run->selection;
    struct run_settings settings = {
        .suite = selection->suite,
        .threads = run->threads,
        .seed = selection->models.seed,
        .timeout_s = run->timeout_s > 0 ? run->timeout_s : selection->suite->timeout_s,
        .memory_limit_bytes = run->memory_limit_bytes ? run->memory_limit_bytes : selection->suite->memory_limit_bytes};
    struct oracles oracles = {
        .seed = settings.seed, .threads = settings.threads, .timeout_s = selection->suite->timeout_s * 4, .note = note};
    if (!run->no_oracle_store) {
        oracles_use_store(&oracles);
    }
    struct progress progress;
    double cost_total = 0;
    for (size_t i = 0; i < selection->cases.count; i++) {
        cost_total += case_cost(selection->suite, &selection->cases.items[i]);
    }
    progress_begin(&progress, selection->cases.count, cost_total);
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < selection->cases.count; i++) {
        const struct run_case *item = &selection->cases.items[i];
        const char *outcome = "";
        char *repro = selection_repro(selection, item, run->threads);
        progress_case(&progress, item->id);
        status = run_case(&settings, item, &oracles, record, repro, &outcome, error);
        if (status == VAEMARK_OK) {
            const struct case_row *row =
                RECORD_ROW(record, TABLE_CASES, record->tables[TABLE_CASES].count - 1, case_row);
            progress_outcome(&progress, item->id, outcome, row->reason, case_cost(selection->suite, item));
        }
        free(repro);
    }
    progress_end(&progress);
    oracles_free(&oracles);
    return status;
}

/* ---- The end ---- */

_Static_assert((int)VERDICT_PASSED == (int)EXIT_CODE_PASSED && (int)VERDICT_FAILED == (int)EXIT_CODE_FAILED &&
                   (int)VERDICT_INCONCLUSIVE == (int)EXIT_CODE_INCONCLUSIVE,
               "a verdict is an exit code");

static int terminal_columns(void) {
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* What CI reads is written whatever the run came to. Returns the exit code. */
static int export_record(const struct run *run, const struct record *record, int code) {
    struct error error = {0};
    if (exports_write(&run->exports, record, &error) != VAEMARK_OK) {
        cli_print_error(&error);
        return EXIT_CODE_HARNESS;
    }
    return code;
}

/* The run ended before its end: told on the terminal, and where CI looks. */
static int finish_early(const struct run *run, struct record *record, const struct error *error, int code) {
    cli_print_error(error);
    record_add_fact(record, "run_failure", error->message, "");
    return export_record(run, record, code);
}

static int finish(const struct run *run, struct record *record, int64_t start_ns) {
    struct results_error failure = {{0}};
    char text[64];
    snprintf(text, sizeof text, "%.3f", (double)(clock_monotonic_ns() - start_ns) * 1e-9);
    record_add_fact(record, "run_duration", text, "s");
    struct verdict verdict;
    verdict_of(record, &verdict);
    int code = verdict.exit_code;
    snprintf(text, sizeof text, "%d", code);
    record_add_fact(record, "run_exit_code", text, "1");
    if (!store_write(run->out, record, &failure)) {
        fprintf(stderr, "vaemark: %s\n", failure.message);
        code = EXIT_CODE_HARNESS;
    }
    bool stored = code != EXIT_CODE_HARNESS;
    code = export_record(run, record, code);
    FILE *out = exports_take_stdout(&run->exports) ? stderr : stdout;
    show_summary(out, record, terminal_columns());
    fprintf(out, "\n");
    show_fuse_qkv_sentence(out, record);
    if (stored) {
        fprintf(out,
                "\nResult file: %s ('vaemark show %s CASE' tells all about a case; 'vaemark report %s --out DIR' draws "
                "it)\n",
                run->out, run->out, run->out);
    }
    fprintf(out, "\n%s\n", verdict.sentence);
    return code;
}

int run_suite(struct run *run, int argc, char **argv) {
    struct error error = {0};
    int64_t start_ns = clock_monotonic_ns();
    enum vaemark_status status = selection_expand(&run->selection, &error);
    if (status == VAEMARK_OK) { /* a file that cannot be written is better known before the work than after it */
        status = exports_prepare(&run->exports, run->out, &error);
    }
    if (status == VAEMARK_OK) {
        status = exports_try_path(run->out, &error);
    }
    if (status != VAEMARK_OK) {
        cli_print_error(&error);
        return EXIT_CODE_USAGE;
    }
    struct record *record = record_create();
    if (!record) {
        error_set(&error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a record");
        cli_print_error(&error);
        return EXIT_CODE_HARNESS;
    }
    run_record_facts(run, record, argc, argv);
    int code = EXIT_CODE_HARNESS;
    if ((status = need_all_weights(&run->selection, record, &error)) != VAEMARK_OK) {
        code = finish_early(run, record, &error, status == VAEMARK_BAD_INPUT ? EXIT_CODE_USAGE : EXIT_CODE_HARNESS);
    } else if ((status = run_cases(run, record, &error)) != VAEMARK_OK) {
        code = finish_early(run, record, &error, EXIT_CODE_HARNESS);
    } else {
        code = finish(run, record, start_ns);
    }
    record_free(record);
    return code;
}
