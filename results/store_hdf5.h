/* HDF5's errors as one line of ours. Only results/store*.c include this. */
#ifndef RESULTS_STORE_HDF5_H
#define RESULTS_STORE_HDF5_H

#include <hdf5.h>

#include "results/store.h"

/* HDF5 prints its error stack on stderr unless told not to; and a file must not make it load plug-ins. */
void hdf5_silence(void);
/* "PATH: DATASET: WHAT (HDF5: its innermost reason)"; returns false. */
bool hdf5_fail(struct results_error *error, const char *path, const char *place, const char *what);

/* Attributes and text types that writer and reader share. */
hid_t hdf5_text_type(H5T_cset_t character_set); /* variable length; negative on errors */

#define HDF5_PIXELS_GROUP "pixels" /* below /images */

#endif
