/* The journal of a run that is not over: an append-only file beside the result file, a record a finished case, each
 * with length and checksum and synced to disk. Killed at any instant, a run loses at most the case in progress.
 *
 * The file: 64 bytes of text ("vaemark journal 1 schema 1", then line ends), then records. A record: payload's length
 * (8 bytes, little-endian), SHA-256 of the record's own chain (the digest before it, length, payload), payload. The
 * first record has the planned cases, facts and /models; each other one the rows that were added since. What rows are
 * made of is written by column name out of results/schema.c, so new tables and columns need nothing here. */
#ifndef RESULTS_JOURNAL_H
#define RESULTS_JOURNAL_H

#include "results/store.h"

enum { JOURNAL_VERSION = 1 };

struct journal; /* open and locked: nobody else writes to it before it is closed, or its process ends however it may */

enum journal_state {
    JOURNAL_OPENED,
    JOURNAL_ABSENT,  /* and was not to be made */
    JOURNAL_HELD,    /* by another process; the error says which */
    JOURNAL_UNUSABLE /* no journal, or out of reach; the error says why */
};
enum journal_state journal_open(const char *path, bool create, struct journal **journal, struct results_error *error);

/* What a journal holds. */
struct journal_content {
    struct record *record; /* NULL: not one whole record; the run was ended before its first case */
    char **case_ids;       /* planned, in order */
    size_t case_id_count;
    size_t dropped_bytes; /* behind the last whole record: torn when the run was ended, or damaged */
};
/* Reads all whole records; journal_append goes on behind them. A journal of another version is an error. */
bool journal_read(struct journal *journal, struct journal_content *content, struct results_error *error);
void journal_content_free(struct journal_content *content);

/* Begins anew: whatever was in the file is gone. `record` has what is known before the first case. */
bool journal_start(struct journal *journal, const char *const *case_ids, size_t case_id_count,
                   const struct record *record, struct results_error *error);
/* Appends all facts, and the rows and pictures that came since the last time that this went well. After an error the
 * file is what it was before, as far as the disk allows, and it can be tried again. */
bool journal_append(struct journal *journal, const struct record *record, struct results_error *error);

void journal_close(struct journal *journal);  /* NULL is fine */
void journal_remove(struct journal *journal); /* and closes it */

#endif
