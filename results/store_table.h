/* Reading tables and pictures out of an open result file; every size is checked before memory is asked for. */
#ifndef RESULTS_STORE_TABLE_H
#define RESULTS_STORE_TABLE_H

#include "results/store_hdf5.h"

/* Appends the rows of /TABLE to the record. Columns that the schema does not have are ignored. */
bool store_read_table(hid_t file, const char *path, enum table_id id, struct record *record,
                      struct results_error *error);
/* Reads the pixels of every row of TABLE_IMAGES. */
bool store_read_images(hid_t file, const char *path, struct record *record, struct results_error *error);

#endif
