#include "results/store_hdf5.h"

#include <stdio.h>
#include <string.h>

#include "results/beside.h"

void hdf5_silence(void) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

/* The first entry of an upward walk is the innermost one: the cause. */
static herr_t take_innermost(unsigned order, const H5E_error2_t *entry, void *context) {
    char *text = context;
    if (order == 0 && entry->desc) {
        snprintf(text, 256, "%s", entry->desc);
    }
    return 0;
}

bool hdf5_fail(struct results_error *error, const char *path, const char *place, const char *what) {
    char cause[256] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, cause);
    H5Eclear2(H5E_DEFAULT);
    return results_fail(error, "%s: %s: %s%s%s%s", path, place, what, cause[0] ? " (HDF5: " : "", cause,
                        cause[0] ? ")" : "");
}

hid_t hdf5_text_type(H5T_cset_t character_set) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, character_set) < 0)) {
        H5Tclose(type);
        type = -1;
    }
    return type;
}
