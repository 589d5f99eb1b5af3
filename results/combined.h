/* Several runs as one record, so that what reads one can lay them side by side. */
#ifndef RESULTS_COMBINED_H
#define RESULTS_COMBINED_H

#include "results/record.h"

/* All rows and pictures of the records, in their order. A case of the run LABEL has the id LABEL/ID, the backend
 * "LABEL BACKEND" and the decoder "LABEL DECODER", so that equal cases of two runs stay apart where labels differ.
 * Facts are those in which all runs agree. NULL when memory is short. */
struct record *combined_create(const struct record *const *records, const char *const *labels, size_t count);
/* Do all records that are given know this fact, with the same value? */
bool combined_agrees(const struct record *const *records, size_t count, const char *key);

#endif
