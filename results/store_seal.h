/* The seal: the first 512 bytes of a result file, an HDF5 user block that every HDF5 reader skips. It says in plain
 * text what the file is, how long it is and what its checksum is, so that damage is found before HDF5 sees it: HDF5
 * checks its own metadata, but not the heap that holds variable-length texts. */
#ifndef RESULTS_STORE_SEAL_H
#define RESULTS_STORE_SEAL_H

#include "results/store.h"

enum { SEAL_BYTES = 512 };

enum seal_state {
    SEAL_WHOLE,   /* length and checksum are right */
    SEAL_MISSING, /* no seal: perhaps rewritten by another program; perhaps not ours at all */
    SEAL_BROKEN   /* the file is damaged; the error says how */
};

/* The seal of a file whose remaining bytes are `bytes`. */
void seal_make(char seal[SEAL_BYTES], const void *bytes, size_t size_bytes);
/* Judges the open file from its start. */
enum seal_state seal_verify(int descriptor, const char *path, struct results_error *error);

#endif
