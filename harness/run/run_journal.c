/* The policy of journals: who may begin, who goes on, who is refused. The file itself: results/journal.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "harness/progress.h"
#include "harness/run/run_internal.h"
#include "harness/worker/worker.h"

static size_t finished_cases(const struct journal_content *content) {
    return content->record ? content->record->tables[TABLE_CASES].count : 0;
}

/* ---- Opening ---- */

/* The cases of a finished run are those it planned. */
static bool take_case_ids(struct journal_content *content) {
    size_t count = finished_cases(content);
    content->case_ids = calloc(count + 1, sizeof *content->case_ids);
    for (size_t i = 0; content->case_ids && i < count; i++) {
        content->case_ids[i] = strdup(RECORD_ROW(content->record, TABLE_CASES, i, case_row)->id);
        content->case_id_count += content->case_ids[i] != NULL;
    }
    return content->case_id_count == count;
}

/* No journal, but a result file: the run ended well, and --resume has nothing to do. */
static enum vaemark_status read_finished(struct run_journal *journal, const struct run *run, struct error *error) {
    struct results_error failure = {""};
    journal->before.record = store_read(run->out, &failure);
    if (!journal->before.record) {
        return error_set(error, VAEMARK_BAD_INPUT,
                         "nothing to resume: there is no %s, and the result file cannot be read: %s; --fresh begins "
                         "anew and replaces it",
                         journal->path, failure.message);
    }
    journal->finished = true;
    return take_case_ids(&journal->before) ? VAEMARK_OK
                                           : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a run");
}

/* A run that nobody asked to resume must not destroy what another one has finished. */
static enum vaemark_status check_nothing_lost(const struct run_journal *journal, struct error *error) {
    size_t finished = finished_cases(&journal->before);
    if (finished == 0) {
        return VAEMARK_OK;
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, journal->path,
                        "holds %zu finished case%s of %zu of a run that was interrupted; --resume goes on with it, "
                        "--fresh throws it away",
                        finished, finished == 1 ? "" : "s", journal->before.case_id_count);
}

static enum vaemark_status read_before(struct run_journal *journal, const struct run *run, struct error *error) {
    struct results_error failure = {""};
    journal->kept = true; /* until it is known that there is nothing in it */
    if (run->fresh) {
        return VAEMARK_OK;
    }
    if (!journal_read(journal->file, &journal->before, &failure)) {
        return error_set(error, VAEMARK_BAD_INPUT, "%s", failure.message);
    }
    journal->kept = finished_cases(&journal->before) > 0;
    if (!run->resume) {
        return check_nothing_lost(journal, error);
    }
    if (journal->before.dropped_bytes > 0) {
        char *text =
            text_format("%s: its last %zu bytes are no whole record (the run was ended while writing them, or the "
                        "file was damaged since) "
                        "and are dropped",
                        journal->path, journal->before.dropped_bytes);
        progress_note(text ? text : "dropping a torn record");
        free(text);
    }
    return VAEMARK_OK;
}

enum vaemark_status run_journal_open(struct run_journal *journal, const struct run *run, struct error *error) {
    struct results_error failure = {""};
    *journal = (struct run_journal){.path = text_format("%s.journal", run->out)};
    if (!journal->path) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a journal");
    }
    bool perhaps_finished = run->resume && access(run->out, F_OK) == 0;
    switch (journal_open(journal->path, !perhaps_finished, &journal->file, &failure)) {
    case JOURNAL_OPENED:
        return read_before(journal, run, error);
    case JOURNAL_ABSENT:
        return read_finished(journal, run, error);
    default:
        return error_set(error, VAEMARK_BAD_INPUT, "%s", failure.message);
    }
}

/* ---- Beginning ---- */

/* There is something to go on with, or to repeat the answer of. */
static bool is_resumed(const struct run_journal *journal, const struct run *run) {
    return run->resume && (journal->finished || finished_cases(&journal->before) > 0);
}

/* The facts of the first process stay; what is otherwise now is added as resumed_N_NAME. */
static bool add_resumed_facts(struct record *record, const struct record *now) {
    const char *count_text = record_fact(record, "resumed_count");
    long count = (count_text ? strtol(count_text, NULL, 10) : 0) + 1;
    char key[192], text[32];
    snprintf(text, sizeof text, "%ld", count);
    bool done = record_add_fact(record, "resumed_count", text, "1");
    snprintf(key, sizeof key, "resumed_%ld_after_cases", count);
    snprintf(text, sizeof text, "%zu", record->tables[TABLE_CASES].count);
    done = done && record_add_fact(record, key, text, "1");
    for (size_t i = 0; done && i < now->fact_count; i++) {
        const struct environment_fact *fact = &now->facts[i];
        const char *before = record_fact(record, fact->key);
        bool moment = strcmp(fact->key, "run_started") == 0;
        if (moment || !before || strcmp(before, fact->value) != 0) {
            snprintf(key, sizeof key, "resumed_%ld_%.150s", count, fact->key);
            done = record_add_fact(record, key, fact->value, fact->unit);
        }
    }
    return done;
}

static void say_where_we_are(const struct run_journal *journal, const struct record *now) {
    static const char *const machine[] = {"host_name", "cpu_model", "cpu_usable", "kernel_release"};
    const struct record *before = journal->before.record;
    size_t finished = finished_cases(&journal->before);
    char *text = text_format("resuming: %zu of %zu case%s %s done", finished, journal->before.case_id_count,
                             journal->before.case_id_count == 1 ? "" : "s", finished == 1 ? "is" : "are");
    progress_note(text ? text : "resuming");
    free(text);
    for (size_t i = 0; i < sizeof machine / sizeof *machine; i++) {
        const char *there = record_fact(before, machine[i]), *here = record_fact(now, machine[i]);
        if (there && here && strcmp(there, here) != 0) {
            text =
                text_format("note: %s was '%s' and is '%s': figures of this run are of two machines; the result file "
                            "says so",
                            machine[i], there, here);
            progress_note(text ? text : "note: this is another machine than before");
            free(text);
        }
    }
}

enum vaemark_status run_journal_check(const struct run_journal *journal, const struct run *run,
                                      const struct record *record, struct error *error) {
    char differences[700] = "";
    const struct journal_content *before = &journal->before;
    if (is_resumed(journal, run)) {
        run_compare(before->record, (const char *const *)before->case_ids, before->case_id_count, record,
                    &run->selection.cases, differences, sizeof differences);
    }
    if (!differences[0]) {
        return VAEMARK_OK;
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, journal->finished ? run->out : journal->path,
                        "is of another run, which this one cannot go on with: %s; give the options of that run, choose "
                        "another --out, or begin anew with --fresh",
                        differences);
}

static enum vaemark_status go_on(struct run_journal *journal, struct record **record, struct error *error) {
    struct journal_content *before = &journal->before;
    say_where_we_are(journal, *record);
    const char *spent = record_fact(before->record, "run_duration");
    journal->spent_s = spent ? strtod(spent, NULL) : 0;
    struct results_error failure = {""};
    if (!add_resumed_facts(before->record, *record)) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a record");
    }
    if (!journal_append(journal->file, before->record, &failure)) {
        return error_set(error, VAEMARK_IO_ERROR, "%s", failure.message);
    }
    record_free(*record);
    *record = before->record;
    before->record = NULL;
    return VAEMARK_OK;
}

static enum vaemark_status begin_new(struct run_journal *journal, const struct run *run, const struct record *record,
                                     struct error *error) {
    const struct case_list *cases = &run->selection.cases;
    struct results_error failure = {""};
    const char **case_ids = calloc(cases->count + 1, sizeof *case_ids);
    if (!case_ids) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a journal");
    }
    for (size_t i = 0; i < cases->count; i++) {
        case_ids[i] = cases->items[i].id;
    }
    enum vaemark_status status = VAEMARK_OK;
    if (!journal_start(journal->file, case_ids, cases->count, record, &failure)) {
        status = error_set(error, VAEMARK_IO_ERROR, "%s; free some space, or choose another --out", failure.message);
    }
    journal->kept = false;
    free(case_ids);
    return status;
}

enum vaemark_status run_journal_begin(struct run_journal *journal, const struct run *run, struct record **record,
                                      struct error *error) {
    enum vaemark_status status = run_journal_check(journal, run, *record, error);
    if (status == VAEMARK_OK && !journal->finished) {
        status = is_resumed(journal, run) ? go_on(journal, record, error) : begin_new(journal, run, *record, error);
    }
    if (status == VAEMARK_OK && journal->file) {
        journal->last_words = text_format("\nvaemark: interrupted; finished cases are in %s, and the same command "
                                          "with --resume goes on\n",
                                          journal->path);
        worker_set_last_words(journal->last_words);
    }
    return status;
}

/* ---- Going on and ending ---- */

void run_journal_append(struct run_journal *journal, struct record *record, double elapsed_s) {
    char text[64];
    struct results_error failure = {""};
    snprintf(text, sizeof text, "%.3f", journal->spent_s + elapsed_s);
    record_add_fact(record, "run_duration", text, "s");
    if (journal_append(journal->file, record, &failure)) {
        journal->kept = true;
        return;
    }
    char *warning =
        text_format("warning: %s; the run goes on, but interrupted now it loses this case", failure.message);
    progress_note(warning ? warning : failure.message);
    free(warning);
}

void run_journal_done(struct run_journal *journal) {
    worker_set_last_words(NULL);
    journal_remove(journal->file);
    journal->file = NULL;
}

void run_journal_close(struct run_journal *journal) {
    worker_set_last_words(NULL);
    if (journal->file && journal->kept) {
        journal_close(journal->file);
    } else {
        journal_remove(journal->file);
    }
    journal_content_free(&journal->before);
    free(journal->last_words);
    free(journal->path);
    *journal = (struct run_journal){0};
}
