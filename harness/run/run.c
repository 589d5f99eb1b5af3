#include "harness/run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "harness/cli.h"
#include "harness/exit_code.h"
#include "harness/model_facts.h"
#include "harness/progress.h"
#include "harness/run/profile.h"
#include "harness/run/run_case.h"
#include "harness/run/run_internal.h"
#include "results/show.h"
#include "results/store.h"
#include "results/verdict.h"

/* Roughly seconds: each worker's start and budget of samples, and a dozen decodes for checks and oracles. */
static double case_cost(const struct suite *suite, const struct run_case *item) {
    enum { DECODES = 12, FLOPS_PER_SECOND_E9 = 20, LATENT_PIXELS = 64, PIXELS_AT_512 = 512 * 512 };
    double pixels = (double)item->batch * (double)item->height * (double)item->width * LATENT_PIXELS;
    double work = pixels / PIXELS_AT_512 * model_flops_at(item->model->model, 512) * 1e-9 * DECODES;
    double launches = suite->measure.launches * (1 + suite->measure.budget_s);
    return launches + (work == work ? work / FLOPS_PER_SECOND_E9 : 0); /* a NaN counts as no work */
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

/* What a run is made of while it goes on. */
struct run_state {
    struct record *record;
    struct run_journal journal;
    int64_t start_ns;
};

static double elapsed_s(const struct run_state *state) {
    return (double)(clock_monotonic_ns() - state->start_ns) * 1e-9;
}

static int code_of_fault(enum vaemark_status status) {
    return status == VAEMARK_BAD_INPUT || status == VAEMARK_INVALID_ARGUMENT ? EXIT_CODE_USAGE : EXIT_CODE_HARNESS;
}

static const struct case_row *find_row(const struct record *record, const char *id) {
    const struct table *cases = &record->tables[TABLE_CASES];
    for (size_t i = 0; i < cases->count; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        if (strcmp(row->id, id) == 0) {
            return row;
        }
    }
    return NULL;
}

/* The harness could not try a case: that costs the case, and shows in the exit code. False where not even its row is
 * there, so that a file would miss it without a word. */
static bool record_fault(struct record *record, const struct run_case *item, const struct error *fault) {
    struct table *cases = &record->tables[TABLE_CASES];
    struct case_row *row = cases->count ? (struct case_row *)cases->rows + cases->count - 1 : NULL;
    if (!row || strcmp(row->id, item->id) != 0) {
        return false;
    }
    char text[1600], code[16];
    row->outcome = "failed";
    row->reason = record_format(record, "vaemark could not try it: %s", error_text(fault, text, sizeof text));
    const char *before = record_fact(record, "run_fault_exit_code");
    bool worse = code_of_fault(fault->status) == EXIT_CODE_HARNESS || !before;
    snprintf(code, sizeof code, "%d", code_of_fault(fault->status));
    return !worse || record_add_fact(record, "run_fault_exit_code", code, "1");
}

static enum vaemark_status run_one(const struct run *run, struct run_state *state, const struct run_settings *settings,
                                   struct oracles *oracles, const struct run_case *item, struct error *error) {
    const char *outcome = "";
    char *repro = selection_repro(&run->selection, item, run->threads);
    enum vaemark_status status = run_case(settings, item, oracles, state->record, repro, &outcome, error);
    if (status != VAEMARK_OK && record_fault(state->record, item, error)) {
        status = VAEMARK_OK;
    }
    if (status == VAEMARK_OK) {
        run_journal_append(&state->journal, state->record, elapsed_s(state));
    }
    free(repro);
    return status;
}

static enum vaemark_status run_cases(const struct run *run, struct run_state *state, struct error *error) {
    const struct selection *selection = &run->selection;
    struct ceilings ceilings = {.count = 0};
    struct run_settings settings = {.suite = selection->suite,
                                    .threads = run->threads,
                                    .seed = selection->models.seed,
                                    .timeout_s = run_timeout_s(run),
                                    .memory_limit_bytes = run_memory_limit_bytes(run),
                                    .ceilings = run->profile ? &ceilings : NULL};
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
        double cost = case_cost(selection->suite, item);
        if (find_row(state->record, item->id)) {
            progress_resumed(&progress, cost);
            continue;
        }
        progress_case(&progress, item->id);
        status = run_one(run, state, &settings, &oracles, item, error);
        if (status == VAEMARK_OK) {
            const struct case_row *row = find_row(state->record, item->id);
            progress_outcome(&progress, item->id, row->outcome, row->reason, cost);
        }
    }
    progress_end(&progress);
    oracles_free(&oracles);
    return status;
}

/* ---- The end ---- */

_Static_assert((int)VERDICT_PASSED == (int)EXIT_CODE_PASSED && (int)VERDICT_FAILED == (int)EXIT_CODE_FAILED &&
                   (int)VERDICT_INCONCLUSIVE == (int)EXIT_CODE_INCONCLUSIVE,
               "a verdict is an exit code");

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

/* For people: on standard output, unless what CI reads is there. */
static void say_result(const struct run *run, const struct record *record, const char *sentence, bool stored) {
    FILE *out = exports_take_stdout(&run->exports) ? stderr : stdout;
    show_summary(out, record, cli_terminal_columns());
    fprintf(out, "\n");
    show_fuse_qkv_sentence(out, record);
    if (stored) {
        fprintf(out,
                "\nResult file: %s ('vaemark show %s CASE' tells all about a case; 'vaemark report %s --out DIR' draws "
                "it)\n",
                run->out, run->out, run->out);
    }
    fprintf(out, "\n%s\n", sentence);
}

static int finish(const struct run *run, struct run_state *state) {
    struct results_error failure = {{0}};
    struct record *record = state->record;
    char text[64];
    snprintf(text, sizeof text, "%.3f", state->journal.spent_s + elapsed_s(state));
    record_add_fact(record, "run_duration", text, "s");
    struct verdict verdict;
    verdict_of(record, &verdict);
    const char *fault = record_fact(record, "run_fault_exit_code");
    int code = fault ? (int)strtol(fault, NULL, 10) : verdict.exit_code;
    snprintf(text, sizeof text, "%d", code);
    record_add_fact(record, "run_exit_code", text, "1");
    bool stored = store_write(run->out, record, &failure);
    if (stored) {
        run_journal_done(&state->journal);
    } else {
        fprintf(stderr, "vaemark: %s; finished cases are in %s, and the same command with --resume goes on\n",
                failure.message, state->journal.path);
        code = EXIT_CODE_HARNESS;
    }
    code = export_record(run, record, code);
    say_result(run, record, verdict.sentence, stored);
    return code;
}

/* --resume of what is finished: the same answer again. */
static int repeat_answer(const struct run *run, const struct record *record) {
    struct verdict verdict;
    verdict_of(record, &verdict);
    const char *code = record_fact(record, "run_exit_code");
    fprintf(stderr, "%s is finished: there is nothing to resume\n", run->out);
    int exported = export_record(run, record, code ? (int)strtol(code, NULL, 10) : (int)verdict.exit_code);
    say_result(run, record, verdict.sentence, true);
    return exported;
}

/* From an open journal to the result file. */
static int run_with_journal(struct run *run, struct run_state *state, int argc, char **argv, struct error *error) {
    state->record = record_create();
    if (!state->record) {
        error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a record");
        cli_print_error(error);
        return EXIT_CODE_HARNESS;
    }
    run_record_facts(run, state->record, argc, argv);
    enum vaemark_status status = run_journal_check(&state->journal, run, state->record, error);
    if (status == VAEMARK_OK) {
        status = need_all_weights(&run->selection, state->record, error);
    }
    if (status == VAEMARK_OK) {
        status = run_journal_begin(&state->journal, run, &state->record, error);
    }
    if (status == VAEMARK_OK && state->journal.finished) {
        return repeat_answer(run, state->journal.before.record);
    }
    if (status == VAEMARK_OK) {
        status = run_cases(run, state, error);
    }
    return status == VAEMARK_OK ? finish(run, state) : finish_early(run, state->record, error, code_of_fault(status));
}

int run_suite(struct run *run, int argc, char **argv) {
    struct error error = {0};
    struct run_state state = {.start_ns = clock_monotonic_ns()};
    enum vaemark_status status = selection_expand(&run->selection, &error);
    if (status == VAEMARK_OK) { /* a file that cannot be written is better known before the work than after it */
        status = exports_prepare(&run->exports, run->out, &error);
    }
    if (status == VAEMARK_OK) {
        status = exports_try_path(run->out, &error);
    }
    if (status == VAEMARK_OK) {
        status = run_journal_open(&state.journal, run, &error);
    }
    int code = EXIT_CODE_USAGE;
    if (status != VAEMARK_OK) {
        cli_print_error(&error);
    } else {
        code = run_with_journal(run, &state, argc, argv, &error);
    }
    run_journal_close(&state.journal);
    record_free(state.record);
    return code;
}
