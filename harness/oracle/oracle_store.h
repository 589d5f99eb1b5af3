/* The oracle store: reference images kept under what they were computed from, in the user's cache folder, one file an
 * oracle, oracles/KEY.safetensors (harness/oracle/oracle_file.h). Files are written beside their name and renamed, and
 * never changed afterwards, so any number of processes may use the store at once: two that compute the same oracle
 * write the same file. Nothing that is read is believed before it is checked. */
#ifndef HARNESS_ORACLE_ORACLE_STORE_H
#define HARNESS_ORACLE_ORACLE_STORE_H

#include "harness/oracle/oracle_file.h"

struct oracle_store {
    char *folder;
};

/* Finds or makes the store's folder. VAEMARK_IO_ERROR says why there is none and what to do. */
enum vaemark_status oracle_store_open(struct oracle_store *store, struct error *error);
void oracle_store_close(struct oracle_store *store);
/* Whether something can be written to it. */
enum vaemark_status oracle_store_probe(const struct oracle_store *store, struct error *error);

/* Where an oracle of that key is or would be. Allocated; NULL when memory is short. */
char *oracle_store_path(const struct oracle_store *store, const char *key);
/* True when there is anything of that name, good or bad. */
bool oracle_store_has(const struct oracle_store *store, const char *key);
/* Reads and checks an entry. On success the caller owns the images' data. VAEMARK_BAD_INPUT or VAEMARK_IO_ERROR: it is
 * there, but not to be believed; `error` says why. */
enum vaemark_status oracle_store_load(const struct oracle_store *store, const char *key, struct oracle_entry *entry,
                                      struct error *error);
enum vaemark_status oracle_store_save(const struct oracle_store *store, const struct oracle_entry *entry,
                                      struct error *error);
/* Renames an entry to KEY.safetensors.damaged: out of the way, but still there to be looked at. */
enum vaemark_status oracle_store_set_aside(const struct oracle_store *store, const char *key, struct error *error);

/* What lies in the folder. */
struct oracle_listing {
    char **keys; /* sorted; by the files' names, nothing was opened */
    size_t count;
    size_t set_aside, unfinished, strange; /* *.damaged; *.part, being written or left by a killed process; others */
};
enum vaemark_status oracle_store_list(const struct oracle_store *store, struct oracle_listing *listing,
                                      struct error *error);
void oracle_listing_free(struct oracle_listing *listing);
/* Removes *.part files that nobody has touched for an hour; returns how many. */
size_t oracle_store_sweep(const struct oracle_store *store);

#endif
