#include "harness/oracle/oracle_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "reference/tensor.h"

static const char SUFFIX[] = ".safetensors", DAMAGED_SUFFIX[] = ".safetensors.damaged", PART_SUFFIX[] = ".part";
enum { KEY_LENGTH = 64 };

enum vaemark_status oracle_store_open(struct oracle_store *store, struct error *error) {
    char *cache = NULL;
    *store = (struct oracle_store){0};
    enum vaemark_status status = cache_folder(&cache, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    store->folder = path_join(cache, "oracles");
    free(cache);
    status = store->folder ? folder_make(store->folder, error)
                           : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a path");
    if (status != VAEMARK_OK) {
        oracle_store_close(store);
    }
    return status;
}

void oracle_store_close(struct oracle_store *store) {
    free(store->folder);
    store->folder = NULL;
}

enum vaemark_status oracle_store_probe(const struct oracle_store *store, struct error *error) {
    struct atomic_file probe;
    char *path = path_join(store->folder, "probe");
    enum vaemark_status status = path ? atomic_file_open(&probe, path, error)
                                      : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a path");
    if (status == VAEMARK_OK) {
        atomic_file_abandon(&probe);
    }
    free(path);
    return status;
}

char *oracle_store_path(const struct oracle_store *store, const char *key) {
    return text_format("%s/%s%s", store->folder, key, SUFFIX);
}

bool oracle_store_has(const struct oracle_store *store, const char *key) {
    struct stat facts;
    char *path = oracle_store_path(store, key);
    bool there = path && (lstat(path, &facts) == 0 || errno != ENOENT);
    free(path);
    return there;
}

/* A copy of an image's data: the mapping goes. */
static bool own_image(struct vaemark_tensor *image) {
    size_t size_bytes = tensor_size_bytes(image);
    void *copy = malloc(size_bytes);
    if (copy) {
        memcpy(copy, image->data, size_bytes);
    }
    image->data = copy;
    image->name = "image";
    return copy != NULL;
}

/* Copies the images before they are checked: what was checked is then what is used, whatever happens to the file. */
static enum vaemark_status take_entry(const struct oracle_entry *found, const char *path, struct oracle_entry *entry,
                                      struct error *error) {
    *entry = *found;
    bool single = own_image(&entry->fp32), twofold = own_image(&entry->fp64);
    enum vaemark_status status =
        single && twofold ? oracle_entry_check(entry, path, error)
                          : error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "not enough memory for an oracle");
    if (status != VAEMARK_OK) {
        free(entry->fp32.data);
        free(entry->fp64.data);
        *entry = (struct oracle_entry){.sha256 = ""};
    }
    return status;
}

enum vaemark_status oracle_store_load(const struct oracle_store *store, const char *key, struct oracle_entry *entry,
                                      struct error *error) {
    struct oracle_file file = {0};
    char *path = oracle_store_path(store, key);
    enum vaemark_status status = path ? oracle_file_open(path, &file, error)
                                      : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a path");
    *entry = (struct oracle_entry){.sha256 = ""};
    if (status == VAEMARK_OK && (file.count != 1 || strcmp(file.entries[0].label.key, key) != 0)) {
        status = error_set_at(error, VAEMARK_BAD_INPUT, path,
                              "holds %zu oracles, the first %.12s, where its name promises %.12s", file.count,
                              file.entries[0].label.key, key);
    }
    if (status == VAEMARK_OK) {
        status = take_entry(&file.entries[0], path, entry, error);
    }
    oracle_file_close(&file);
    free(path);
    return status;
}

enum vaemark_status oracle_store_save(const struct oracle_store *store, const struct oracle_entry *entry,
                                      struct error *error) {
    char *path = oracle_store_path(store, entry->label.key);
    enum vaemark_status status = path ? oracle_file_write(path, entry, 1, error)
                                      : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a path");
    free(path);
    return status;
}

enum vaemark_status oracle_store_set_aside(const struct oracle_store *store, const char *key, struct error *error) {
    char *path = oracle_store_path(store, key);
    char *aside = text_format("%s/%s%s", store->folder, key, DAMAGED_SUFFIX);
    enum vaemark_status status =
        path && aside ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a path");
    if (status == VAEMARK_OK && rename(path, aside) != 0 && errno != ENOENT) {
        status = error_set_at(error, VAEMARK_IO_ERROR, path, "cannot be moved out of the way: %s", strerror(errno));
    }
    free(aside);
    free(path);
    return status;
}

/* ---- The folder ---- */

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_entry_name(const char *name) {
    return strlen(name) == KEY_LENGTH + strlen(SUFFIX) && strspn(name, "0123456789abcdef") == KEY_LENGTH &&
           ends_with(name, SUFFIX);
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_key(struct oracle_listing *listing, const char *name) {
    char **grown = realloc(listing->keys, (listing->count + 1) * sizeof *grown);
    if (!grown) {
        return false;
    }
    listing->keys = grown;
    grown[listing->count] = strndup(name, KEY_LENGTH);
    bool added = grown[listing->count] != NULL;
    listing->count += added;
    return added;
}

enum vaemark_status oracle_store_list(const struct oracle_store *store, struct oracle_listing *listing,
                                      struct error *error) {
    *listing = (struct oracle_listing){0};
    DIR *folder = opendir(store->folder);
    if (!folder) {
        return error_set_at(error, VAEMARK_IO_ERROR, store->folder, "cannot be listed: %s", strerror(errno));
    }
    enum vaemark_status status = VAEMARK_OK;
    for (struct dirent *item; status == VAEMARK_OK && (item = readdir(folder));) {
        if (is_entry_name(item->d_name)) {
            status = add_key(listing, item->d_name)
                         ? VAEMARK_OK
                         : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the list of oracles");
        } else if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0) {
            listing->set_aside += ends_with(item->d_name, DAMAGED_SUFFIX);
            listing->unfinished += ends_with(item->d_name, PART_SUFFIX);
            listing->strange += !ends_with(item->d_name, DAMAGED_SUFFIX) && !ends_with(item->d_name, PART_SUFFIX);
        }
    }
    closedir(folder);
    if (listing->count > 1) {
        qsort(listing->keys, listing->count, sizeof *listing->keys, compare_texts);
    }
    return status;
}

void oracle_listing_free(struct oracle_listing *listing) {
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->keys[i]);
    }
    free(listing->keys);
    *listing = (struct oracle_listing){0};
}

size_t oracle_store_sweep(const struct oracle_store *store) {
    enum { OLD_S = 3600 };
    size_t removed = 0;
    DIR *folder = opendir(store->folder);
    for (struct dirent *item; folder && (item = readdir(folder));) {
        struct stat facts;
        char *path = ends_with(item->d_name, PART_SUFFIX) ? path_join(store->folder, item->d_name) : NULL;
        if (path && lstat(path, &facts) == 0 && S_ISREG(facts.st_mode) && time(NULL) - facts.st_mtime > OLD_S) {
            removed += unlink(path) == 0;
        }
        free(path);
    }
    if (folder) {
        closedir(folder);
    }
    return removed;
}
