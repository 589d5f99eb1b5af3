/* The result file: one HDF5 file a run, columnar. */
#ifndef RESULTS_STORE_H
#define RESULTS_STORE_H

#include "results/record.h"

/* Errors of this room: a message naming file, place and remedy. */
struct results_error {
    char message[1024];
};

/* Writes beside the final name, syncs, renames: a half-written file of that name never exists and an existing one
 * is replaced whole or left alone. */
bool store_write(const char *path, const struct record *record, struct results_error *error);
/* Reads a file of this schema version; anything else is an error that says what it is. Hostile files are refused. */
struct record *store_read(const char *path, struct results_error *error);

#endif
