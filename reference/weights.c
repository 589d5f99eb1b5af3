/* An open safetensors file: a private read-only mapping and the tensors found in it; or an index of several. */
#include "reference/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reference/weights_internal.h"

static enum vaemark_status map_descriptor(struct weights *weights, int descriptor, struct error *error) {
    struct stat facts;
    if (fstat(descriptor, &facts) != 0) {
        return error_set_at(error, VAEMARK_IO_ERROR, weights->path, "cannot be examined: %s", strerror(errno));
    }
    if (S_ISDIR(facts.st_mode)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "is a folder; a safetensors file is wanted here");
    }
    if (!S_ISREG(facts.st_mode)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                            "is not a regular file; a safetensors file is wanted here");
    }
    if (facts.st_size == 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                            "is empty; a safetensors file is wanted here (was its download cut off?)");
    }
    weights->mapping_size_bytes = (size_t)facts.st_size;
    weights->mapping = mmap(NULL, weights->mapping_size_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (weights->mapping == MAP_FAILED) {
        weights->mapping = NULL;
        return error_set_at(error, VAEMARK_IO_ERROR, weights->path, "cannot be mapped into memory: %s",
                            strerror(errno));
    }
    return VAEMARK_OK;
}

static enum vaemark_status parse(struct weights *weights, bool index_too, struct error *error) {
    if (!weights_looks_like_safetensors(weights)) {
        if (index_too && weights_looks_like_json(weights)) {
            return weights_parse_index(weights, error);
        }
        enum vaemark_status status = weights_report_foreign(weights, error);
        if (status != VAEMARK_OK) {
            return status;
        }
    }
    return weights_parse_header(weights, error);
}

enum vaemark_status weights_open_file(const char *path, bool index_too, struct weights **weights, struct error *error) {
    *weights = NULL;
    struct weights *opened = calloc(1, sizeof *opened);
    if (opened == NULL || (opened->path = strdup(path)) == NULL) {
        weights_free(opened);
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "no memory to open it");
    }
    /* O_NONBLOCK: a pipe given by mistake must not hang us; for a regular file it means nothing. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        enum vaemark_status status = errno == ENOENT || errno == ENOTDIR ? VAEMARK_BAD_INPUT : VAEMARK_IO_ERROR;
        error_set_at(error, status, path, "cannot be opened: %s", strerror(errno));
        weights_free(opened);
        return status;
    }
    enum vaemark_status status = map_descriptor(opened, descriptor, error);
    close(descriptor);
    if (status == VAEMARK_OK) {
        status = parse(opened, index_too, error);
    }
    if (status != VAEMARK_OK) {
        weights_free(opened);
        return status;
    }
    *weights = opened;
    return VAEMARK_OK;
}

enum vaemark_status weights_open(const char *path, struct weights **weights, struct error *error) {
    return weights_open_file(path, true, weights, error);
}

/* A shard is never an index: one level deep. */
void weights_free(struct weights *weights) {
    if (weights == NULL) {
        return;
    }
    if (weights->mapping != NULL) {
        munmap(weights->mapping, weights->mapping_size_bytes);
    }
    for (size_t i = 0; i < weights->shard_count; i++) {
        weights_free(weights->shards[i]);
    }
    free((void *)weights->shards);
    json_decref(weights->header);
    for (size_t i = 0; i < weights->owned_name_count; i++) {
        free(weights->owned_names[i]);
    }
    free(weights->owned_names);
    free((void *)weights->stored_names);
    free(weights->items);
    free(weights->unreadable);
    free(weights->path);
    free(weights);
}

const char *weights_path(const struct weights *weights) {
    return weights->path;
}

size_t weights_count(const struct weights *weights) {
    return weights->count;
}

const struct vaemark_tensor *weights_at(const struct weights *weights, size_t index) {
    return &weights->items[index];
}

static int compare_tensor(const void *name, const void *tensor) {
    return strcmp(name, ((const struct vaemark_tensor *)tensor)->name);
}

static int compare_unreadable(const void *name, const void *tensor) {
    return strcmp(name, ((const struct unreadable_tensor *)tensor)->name);
}

const struct vaemark_tensor *weights_find(const struct weights *weights, const char *name) {
    return bsearch(name, weights->items, weights->count, sizeof *weights->items, compare_tensor);
}

const char *weights_unreadable_dtype(const struct weights *weights, const char *name) {
    const struct unreadable_tensor *found =
        bsearch(name, weights->unreadable, weights->unreadable_count, sizeof *weights->unreadable, compare_unreadable);
    return found == NULL ? NULL : found->dtype;
}
