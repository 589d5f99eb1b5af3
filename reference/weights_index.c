/* Sharded checkpoints: "x.safetensors.index.json" maps every tensor's name to the file beside it that holds it
 * (huggingface_hub, "Serialization"). The index is as hostile as the shards. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reference/weights_internal.h"

enum { MAX_INDEX_BYTES = 16 << 20, MAX_SHARDS = 1000, MAX_FILE_NAME_BYTES = 255 };

bool weights_looks_like_json(const struct weights *weights) {
    const unsigned char *bytes = weights->mapping;
    size_t i = 0;
    while (i < weights->mapping_size_bytes && i < 64 && isspace(bytes[i])) {
        i++;
    }
    return i < weights->mapping_size_bytes && bytes[i] == '{';
}

/* A file's name, never a path: what lies beside the index and nothing else is opened. */
static bool is_plain_file_name(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length > MAX_FILE_NAME_BYTES || name[0] == '.' || strpbrk(name, "/\\") != NULL) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (iscntrl((unsigned char)name[i])) {
            return false;
        }
    }
    return true;
}

static enum vaemark_status check_entry(const char *path, const char *name, const json_t *file, struct error *error) {
    char place[512], shown[512];
    weights_place(place, path, name);
    if (!json_is_string(file)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "is not mapped to a text, the name of its shard");
    }
    if (!is_plain_file_name(json_string_value(file))) {
        weights_place(shown, "", json_string_value(file));
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "is mapped to %.200s; a shard is the plain name of a file beside the index",
                            strchr(shown, '\''));
    }
    return VAEMARK_OK;
}

/* The weight_map, checked entry by entry; borrowed. */
static enum vaemark_status load_map(struct weights *weights, json_t **map, struct error *error) {
    json_error_t json_error;
    const char *name = NULL;
    json_t *file = NULL;
    enum vaemark_status status = VAEMARK_OK;
    if (weights->mapping_size_bytes > MAX_INDEX_BYTES) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "is an index of %zu bytes; at most %d are read",
                            weights->mapping_size_bytes, MAX_INDEX_BYTES);
    }
    weights->header = json_loadb(weights->mapping, weights->mapping_size_bytes, JSON_REJECT_DUPLICATES, &json_error);
    if (weights->header == NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                            "looks like an index of shards, but line %d, column %d is not valid JSON: %s",
                            json_error.line, json_error.column, json_error.text);
    }
    *map = json_object_get(weights->header, "weight_map");
    if (!json_is_object(*map)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                            "is a JSON file with %s \"weight_map\" object, so not an index of shards; a .safetensors "
                            "file or its .safetensors.index.json is wanted here",
                            *map == NULL ? "no" : "an unusable");
    }
    if (json_object_size(*map) == 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "maps no tensor: its \"weight_map\" is empty");
    }
    json_object_foreach(*map, name, file) {
        status = status == VAEMARK_OK ? check_entry(weights->path, name, file, error) : status;
    }
    return status;
}

static int compare_texts(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The shards' names, each once, sorted; the caller frees the list. NULL where memory is short. */
static const char **list_shards(json_t *map, size_t *count) {
    const char *name = NULL;
    json_t *file = NULL;
    size_t all = 0, kept = 0;
    const char **names = calloc(json_object_size(map) + 1, sizeof *names);
    if (names == NULL) {
        return NULL;
    }
    json_object_foreach(map, name, file) {
        names[all++] = json_string_value(file);
    }
    qsort((void *)names, all, sizeof *names, compare_texts);
    for (size_t i = 0; i < all; i++) {
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0) {
            names[kept++] = names[i];
        }
    }
    *count = kept;
    return names;
}

/* "FOLDER/name", allocated. */
static char *path_beside(const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - path) + 1, size = folder + strlen(name) + 1;
    char *joined = malloc(size);
    if (joined != NULL) {
        snprintf(joined, size, "%.*s%s", (int)folder, path, name);
    }
    return joined;
}

static enum vaemark_status report_no_memory(const struct weights *weights, struct error *error) {
    return error_set_at(error, VAEMARK_OUT_OF_MEMORY, weights->path, "no memory for its shards");
}

static enum vaemark_status open_shard(struct weights *weights, const char *name, struct error *error) {
    char *path = path_beside(weights->path, name);
    if (path == NULL) {
        return report_no_memory(weights, error);
    }
    enum vaemark_status status = VAEMARK_OK;
    if (access(path, F_OK) != 0) {
        status = error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                              "names the shard '%s', which is not beside it (%s); all shards are wanted, fetch it",
                              name, strerror(errno));
    } else {
        status = weights_open_file(path, false, &weights->shards[weights->shard_count], error);
        weights->shard_count += status == VAEMARK_OK;
    }
    free(path);
    return status;
}

static const char *file_name(const struct weights *weights) {
    const char *slash = strrchr(weights->path, '/');
    return slash == NULL ? weights->path : slash + 1;
}

/* A tensor that a shard holds must be mapped to that shard: index and shards are of one checkpoint, or of none. */
static enum vaemark_status check_mapped(const struct weights *weights, json_t *map, const struct weights *shard,
                                        const char *name, struct error *error) {
    char place[512];
    const char *mapped = json_string_value(json_object_get(map, name));
    if (mapped != NULL && strcmp(mapped, file_name(shard)) == 0) {
        return VAEMARK_OK;
    }
    weights_place(place, weights->path, name);
    if (mapped == NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "is in the shard '%.200s', but the index does not map it; index and shards are of "
                            "different checkpoints",
                            file_name(shard));
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, place,
                        "is in the shard '%.200s', but the index maps it to '%.200s'; index and shards are of "
                        "different checkpoints",
                        file_name(shard), mapped);
}

static enum vaemark_status check_shard(const struct weights *weights, json_t *map, const struct weights *shard,
                                       struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < shard->count; i++) {
        status = check_mapped(weights, map, shard, shard->items[i].name, error);
    }
    for (size_t i = 0; status == VAEMARK_OK && i < shard->unreadable_count; i++) {
        status = check_mapped(weights, map, shard, shard->unreadable[i].name, error);
    }
    return status;
}

static const struct weights *find_shard(const struct weights *weights, const char *name) {
    for (size_t i = 0; i < weights->shard_count; i++) {
        if (strcmp(file_name(weights->shards[i]), name) == 0) {
            return weights->shards[i];
        }
    }
    return NULL;
}

/* Every tensor that the index promises must be there. */
static enum vaemark_status check_map(const struct weights *weights, json_t *map, struct error *error) {
    const char *name = NULL;
    json_t *file = NULL;
    json_object_foreach(map, name, file) {
        const struct weights *shard = find_shard(weights, json_string_value(file));
        if (shard == NULL || (weights_find(shard, name) == NULL && weights_unreadable_dtype(shard, name) == NULL)) {
            char place[512];
            return error_set_at(error, VAEMARK_BAD_INPUT, weights_place(place, weights->path, name),
                                "is mapped to the shard '%.200s', which does not hold it; index and shards are of "
                                "different checkpoints",
                                json_string_value(file));
        }
    }
    return VAEMARK_OK;
}

static int compare_tensors(const void *left, const void *right) {
    return strcmp(((const struct vaemark_tensor *)left)->name, ((const struct vaemark_tensor *)right)->name);
}

static int compare_unreadable(const void *left, const void *right) {
    return strcmp(((const struct unreadable_tensor *)left)->name, ((const struct unreadable_tensor *)right)->name);
}

/* The shards' tensors as one list. */
static enum vaemark_status join_shards(struct weights *weights, struct error *error) {
    size_t count = 0, unreadable_count = 0;
    for (size_t i = 0; i < weights->shard_count; i++) {
        count += weights->shards[i]->count;
        unreadable_count += weights->shards[i]->unreadable_count;
    }
    weights->items = calloc(count + 1, sizeof *weights->items);
    weights->unreadable = calloc(unreadable_count + 1, sizeof *weights->unreadable);
    if (weights->items == NULL || weights->unreadable == NULL) {
        return report_no_memory(weights, error);
    }
    for (size_t i = 0; i < weights->shard_count; i++) {
        const struct weights *shard = weights->shards[i];
        memcpy(weights->items + weights->count, shard->items, shard->count * sizeof *shard->items);
        memcpy(weights->unreadable + weights->unreadable_count, shard->unreadable,
               shard->unreadable_count * sizeof *shard->unreadable);
        weights->count += shard->count;
        weights->unreadable_count += shard->unreadable_count;
    }
    qsort(weights->items, count, sizeof *weights->items, compare_tensors);
    qsort(weights->unreadable, unreadable_count, sizeof *weights->unreadable, compare_unreadable);
    return VAEMARK_OK;
}

enum vaemark_status weights_parse_index(struct weights *weights, struct error *error) {
    json_t *map = NULL;
    size_t count = 0;
    enum vaemark_status status = load_map(weights, &map, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    const char **names = list_shards(map, &count);
    weights->shards = names == NULL ? NULL : calloc(count + 1, sizeof(struct weights *));
    if (weights->shards == NULL) {
        status = report_no_memory(weights, error);
    } else if (count > MAX_SHARDS) {
        status = error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "names %zu shards; at most %d are opened", count,
                              MAX_SHARDS);
    }
    for (size_t i = 0; status == VAEMARK_OK && i < count; i++) {
        status = open_shard(weights, names[i], error);
    }
    free((void *)names);
    for (size_t i = 0; status == VAEMARK_OK && i < weights->shard_count; i++) {
        status = check_shard(weights, map, weights->shards[i], error);
    }
    if (status == VAEMARK_OK) {
        status = check_map(weights, map, error);
    }
    return status == VAEMARK_OK ? join_shards(weights, error) : status;
}

size_t weights_file_count(const struct weights *weights) {
    return weights->shard_count + 1;
}

const char *weights_file_path(const struct weights *weights, size_t index) {
    return index == 0 ? weights->path : weights->shards[index - 1]->path;
}

int64_t weights_file_bytes(const struct weights *weights) {
    int64_t size_bytes = (int64_t)weights->mapping_size_bytes;
    for (size_t i = 0; i < weights->shard_count; i++) {
        size_bytes += (int64_t)weights->shards[i]->mapping_size_bytes;
    }
    return size_bytes;
}
