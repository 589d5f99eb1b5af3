/* Between the parts of a run. */
#ifndef HARNESS_RUN_RUN_INTERNAL_H
#define HARNESS_RUN_RUN_INTERNAL_H

#include "harness/run/run.h"
#include "results/journal.h"

/* The machine, the command line, the suite and its settings, the files that decoders are made of. */
void run_record_facts(const struct run *run, struct record *record, int argc, char **argv);

/* What a worker has for one message: the command line's word, else the suite's. */
double run_timeout_s(const struct run *run);
/* And the memory it may hold; 0: what the worker's own default says. */
uint64_t run_memory_limit_bytes(const struct run *run);

/* What makes two runs different ones: "the suite's file (suite_sha256): 12ab... there, 34cd... now; ...", or "" when
 * one may go on with the other. */
void run_compare(const struct record *before, const char *const *case_ids_before, size_t count_before,
                 const struct record *now, const struct case_list *cases_now, char *text, size_t capacity);

/* ---- The journal of a run: OUT.journal ---- */

struct run_journal {
    char *path;
    struct journal *file;          /* NULL where the run was found finished */
    struct journal_content before; /* what an earlier process left */
    bool finished;                 /* `before` is a result file that there is nothing to add to */
    bool kept;                     /* there is something in it that must not be lost */
    double spent_s;                /* of the processes before this one, until their last finished case */
    char *last_words;
};

/* Opens it for this process alone, and refuses to go on where that would destroy something. Before the slow work. */
enum vaemark_status run_journal_open(struct run_journal *journal, const struct run *run, struct error *error);
/* Refuses to go on with another run. Can be asked before /models are known, to say so before weights are made. */
enum vaemark_status run_journal_check(const struct run_journal *journal, const struct run *run,
                                      const struct record *record, struct error *error);
/* Once it is known what this run is: writes the journal's head, or makes *record what the earlier process recorded,
 * if that was the same run. */
enum vaemark_status run_journal_begin(struct run_journal *journal, const struct run *run, struct record **record,
                                      struct error *error);
/* A case is finished. A journal that cannot be written is no reason to stop: says so on stderr. */
void run_journal_append(struct run_journal *journal, struct record *record, double elapsed_s);
/* The result file is written: the journal goes. */
void run_journal_done(struct run_journal *journal);
/* Leaves the journal there if it holds anything. */
void run_journal_close(struct run_journal *journal);

#endif
