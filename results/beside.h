/* Files that exist whole or not at all: written beside the final name, synced, renamed. */
#ifndef RESULTS_BESIDE_H
#define RESULTS_BESIDE_H

#include <stddef.h>

#include "results/store.h"

/* Sets the message and returns false, so that a failing function ends in one line. `error` may be NULL. */
bool results_fail(struct results_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct piece {
    const void *bytes;
    size_t size_bytes;
};

/* Writes the pieces one after the other to `path`. A file of that name is replaced whole, or left alone on errors. */
bool beside_write(const char *path, const struct piece *pieces, size_t piece_count, struct results_error *error);

/* The name beside `path` to write to, allocated; NULL when memory is short. For programs that write by themselves. */
char *beside_name(const char *path);
/* Syncs `temporary_path` and gives it the name `path`. */
bool beside_commit(const char *temporary_path, const char *path, struct results_error *error);
/* Syncs the folder that `path` lies in, as far as it can be. */
void beside_sync_folder(const char *path);

#endif
