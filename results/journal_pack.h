/* Rows, facts and pictures as bytes, and back: the payload of a journal's record. */
#ifndef RESULTS_JOURNAL_PACK_H
#define RESULTS_JOURNAL_PACK_H

#include "results/journal.h"

/* What of a record has been written before. */
struct pack_mark {
    size_t rows[TABLE_COUNT];
    size_t images;
};
struct pack_mark pack_mark_of(const struct record *record);

struct pack_bytes {
    char *bytes;
    size_t size, capacity;
    bool failed; /* memory was short: what is here is not whole */
};

void pack_bytes_add(struct pack_bytes *pack, const void *bytes, size_t size);
/* Adds the case ids, all facts, and what came behind the mark. */
void pack_add_payload(struct pack_bytes *pack, const char *const *case_ids, size_t case_id_count,
                      const struct record *record, const struct pack_mark *mark);
/* Adds a payload's contents to content->record and its case ids. False, with nothing said, for bytes that no vaemark
 * wrote and when memory is short. Columns and tables that this build does not know are left out. */
bool pack_take_payload(const char *bytes, size_t size, struct journal_content *content);

#endif
