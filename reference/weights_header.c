/* The header of a safetensors file: eight bytes of length, JSON, data (github.com/huggingface/safetensors, "Format").
 * Nothing in it is believed before it is checked. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/weights_internal.h"

/* Every dtype of the format with its width. Those that dtype_from_name() does not know are kept out. */
static const struct format_dtype {
    const char *name;
    uint64_t bits;
} FORMAT_DTYPES[] = {
    {"F64", 64},        {"F32", 32},    {"F16", 16},    {"BF16", 16},   {"I64", 64},    {"I32", 32},
    {"I16", 16},        {"I8", 8},      {"U64", 64},    {"U32", 32},    {"U16", 16},    {"U8", 8},
    {"BOOL", 8},        {"C64", 64},    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
};

struct entry {
    const char *name;
    const struct format_dtype *dtype;
    struct shape shape;
    uint64_t begin, end; /* within the data */
};

const char *weights_place(char place[512], const char *path, const char *tensor) {
    int length = snprintf(place, 512, "%.300s: tensor '%.180s'", path, tensor);
    for (int i = 0; i < length; i++) {
        if (iscntrl((unsigned char)place[i])) {
            place[i] = '?'; /* a hostile name must not drive the terminal */
        }
    }
    return place;
}

static const struct format_dtype *find_format_dtype(const char *name) {
    for (size_t i = 0; i < sizeof FORMAT_DTYPES / sizeof FORMAT_DTYPES[0]; i++) {
        if (strcmp(FORMAT_DTYPES[i].name, name) == 0) {
            return &FORMAT_DTYPES[i];
        }
    }
    return NULL;
}

static enum vaemark_status parse_dtype(struct entry *entry, const json_t *json, const char *place,
                                       struct error *error) {
    const json_t *dtype = json_object_get(json, "dtype");
    if (!json_is_string(dtype)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "has no text 'dtype' in the header");
    }
    entry->dtype = find_format_dtype(json_string_value(dtype));
    if (entry->dtype == NULL) {
        char shown[512];
        weights_place(shown, "", json_string_value(dtype));
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "has the dtype %.60s, which safetensors does not know",
                            strchr(shown, '\''));
    }
    return VAEMARK_OK;
}

static enum vaemark_status parse_shape(struct entry *entry, const json_t *json, const char *place,
                                       struct error *error) {
    const json_t *shape = json_object_get(json, "shape");
    if (!json_is_array(shape)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "has no list 'shape' in the header");
    }
    size_t rank = json_array_size(shape);
    if (rank > VAEMARK_MAX_RANK) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "has rank %zu; at most %d is possible", rank,
                            VAEMARK_MAX_RANK);
    }
    /* A scalar is kept as one element of rank 1, because rank 0 means "not known" here. */
    entry->shape = (struct shape){.rank = rank == 0 ? 1 : (int32_t)rank, .dims = {1}};
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0) {
            return error_set_at(error, VAEMARK_BAD_INPUT, place,
                                "dimension %zu of its shape is not a whole number of at least 0", i);
        }
        entry->shape.dims[i] = json_integer_value(dim);
    }
    return VAEMARK_OK;
}

static enum vaemark_status parse_offsets(struct entry *entry, const json_t *json, uint64_t data_size_bytes,
                                         const char *place, struct error *error) {
    const json_t *offsets = json_object_get(json, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "has no pair 'data_offsets' in the header");
    }
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (!json_is_integer(begin) || !json_is_integer(end) || json_integer_value(begin) < 0 ||
        json_integer_value(end) < 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "its data_offsets are not whole numbers of at least 0");
    }
    entry->begin = (uint64_t)json_integer_value(begin);
    entry->end = (uint64_t)json_integer_value(end);
    if (entry->begin > entry->end) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "its data_offsets run backwards: %llu to %llu",
                            (unsigned long long)entry->begin, (unsigned long long)entry->end);
    }
    if (entry->end > data_size_bytes) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place,
                            "its data ends at byte %llu, but the file holds %llu bytes of data: it is cut short or "
                            "damaged; fetch it again",
                            (unsigned long long)entry->end, (unsigned long long)data_size_bytes);
    }
    return VAEMARK_OK;
}

/* The shape's bytes against the data's. */
static enum vaemark_status check_size(const struct entry *entry, const char *place, struct error *error) {
    char text[256];
    int64_t extent = 1;
    bool absurd = false; /* also where one dimension is 0: strides are products of the others */
    for (int32_t i = 0; i < entry->shape.rank; i++) {
        int64_t dim = entry->shape.dims[i] == 0 ? 1 : entry->shape.dims[i];
        absurd = absurd || __builtin_mul_overflow(extent, dim, &extent);
    }
    uint64_t elements = absurd ? 0 : (uint64_t)shape_element_count(&entry->shape);
    uint64_t bits = 0;
    if (absurd || __builtin_mul_overflow(elements, entry->dtype->bits, &bits)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "its shape %s is larger than any memory",
                            shape_format(&entry->shape, text, sizeof text));
    }
    if (bits % 8 != 0 || bits / 8 != entry->end - entry->begin) {
        return error_set_at(
            error, VAEMARK_BAD_INPUT, place, "its shape %s of %s takes %llu bytes, but its data has %llu",
            shape_format(&entry->shape, text, sizeof text), entry->dtype->name,
            (unsigned long long)(bits / 8 + (bits % 8 != 0)), (unsigned long long)(entry->end - entry->begin));
    }
    return VAEMARK_OK;
}

static enum vaemark_status parse_entry(struct entry *entry, const char *path, const char *name, const json_t *json,
                                       uint64_t data_size_bytes, struct error *error) {
    char place[512];
    weights_place(place, path, name);
    entry->name = name;
    if (!json_is_object(json)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, place, "is not described by an object in the header");
    }
    enum vaemark_status status = parse_dtype(entry, json, place, error);
    if (status == VAEMARK_OK) {
        status = parse_shape(entry, json, place, error);
    }
    if (status == VAEMARK_OK) {
        status = parse_offsets(entry, json, data_size_bytes, place, error);
    }
    return status == VAEMARK_OK ? check_size(entry, place, error) : status;
}

static enum vaemark_status check_metadata(const char *path, const json_t *metadata, struct error *error) {
    bool good = json_is_object(metadata);
    void *iterator = good ? json_object_iter((json_t *)metadata) : NULL;
    for (; iterator != NULL; iterator = json_object_iter_next((json_t *)metadata, iterator)) {
        good = good && json_is_string(json_object_iter_value(iterator));
    }
    return good ? VAEMARK_OK
                : error_set_at(error, VAEMARK_BAD_INPUT, path, "its __metadata__ is not an object of texts");
}

static int compare_offsets(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    if (a->begin != b->begin) {
        return a->begin < b->begin ? -1 : 1;
    }
    return (a->end > b->end) - (a->end < b->end);
}

static int compare_names(const void *left, const void *right) {
    return strcmp(((const struct entry *)left)->name, ((const struct entry *)right)->name);
}

/* The format wants the data covered without overlap, gap or rest: nothing is hidden in a checkpoint. */
static enum vaemark_status check_cover(struct entry *entries, size_t count, const char *path, uint64_t data_size_bytes,
                                       struct error *error) {
    char place[512];
    uint64_t covered = 0;
    qsort(entries, count, sizeof *entries, compare_offsets);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].begin < covered) {
            return error_set_at(error, VAEMARK_BAD_INPUT, weights_place(place, path, entries[i].name),
                                "its data starts at byte %llu and overlaps tensor '%.150s', which ends at byte %llu",
                                (unsigned long long)entries[i].begin, entries[i - 1].name, (unsigned long long)covered);
        }
        if (entries[i].begin > covered) {
            return error_set_at(error, VAEMARK_BAD_INPUT, weights_place(place, path, entries[i].name),
                                "its data starts at byte %llu; the bytes from %llu on belong to no tensor (a gap)",
                                (unsigned long long)entries[i].begin, (unsigned long long)covered);
        }
        covered = entries[i].end;
    }
    if (covered != data_size_bytes) {
        return error_set_at(error, VAEMARK_BAD_INPUT, path,
                            "has %llu bytes behind its last tensor that belong to no tensor",
                            (unsigned long long)(data_size_bytes - covered));
    }
    return VAEMARK_OK;
}

/* Keeps the readable tensors, by name, and remembers the others' dtypes. */
static enum vaemark_status keep_entries(struct weights *weights, struct entry *entries, size_t count, char *data,
                                        struct error *error) {
    weights->items = calloc(count + 1, sizeof *weights->items);
    weights->unreadable = calloc(count + 1, sizeof *weights->unreadable);
    if (weights->items == NULL || weights->unreadable == NULL) {
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, weights->path, "no memory for its %zu tensors", count);
    }
    qsort(entries, count, sizeof *entries, compare_names);
    for (size_t i = 0; i < count; i++) {
        enum vaemark_dtype dtype;
        if (dtype_from_name(entries[i].dtype->name, &dtype)) {
            weights->items[weights->count++] =
                tensor_make(entries[i].name, dtype, &entries[i].shape, data + entries[i].begin);
        } else {
            weights->unreadable[weights->unreadable_count++] =
                (struct unreadable_tensor){.name = entries[i].name, .dtype = entries[i].dtype->name};
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status read_entries(struct weights *weights, struct entry *entries, size_t *count,
                                        uint64_t data_size_bytes, struct error *error) {
    const char *name = NULL;
    json_t *json = NULL;
    json_object_foreach(weights->header, name, json) {
        enum vaemark_status status = VAEMARK_OK;
        if (strcmp(name, "__metadata__") == 0) {
            status = check_metadata(weights->path, json, error);
        } else {
            status = parse_entry(&entries[(*count)++], weights->path, name, json, data_size_bytes, error);
        }
        if (status != VAEMARK_OK) {
            return status;
        }
    }
    return VAEMARK_OK;
}

/* Finds the JSON between the length and the data. */
static enum vaemark_status load_header(struct weights *weights, uint64_t *data_begin, struct error *error) {
    const unsigned char *bytes = weights->mapping;
    uint64_t length = 0;
    if (weights->mapping_size_bytes < 8) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                            "is only %zu bytes long; a safetensors file starts with 8 bytes of header length",
                            weights->mapping_size_bytes);
    }
    for (int i = 7; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    if (length > weights->mapping_size_bytes - 8) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                            "says that its header is %llu bytes long, but only %zu follow: it is cut short, or not a "
                            "safetensors file",
                            (unsigned long long)length, weights->mapping_size_bytes - 8);
    }
    if (length > WEIGHTS_MAX_HEADER_BYTES) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "has a header of %llu bytes; at most %d are read",
                            (unsigned long long)length, WEIGHTS_MAX_HEADER_BYTES);
    }
    json_error_t json_error;
    weights->header = json_loadb((const char *)bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &json_error);
    if (weights->header == NULL) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "its header is not valid JSON: %s (byte %d)",
                            json_error.text, json_error.position);
    }
    if (!json_is_object(weights->header)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "its header is not a JSON object");
    }
    *data_begin = 8 + length;
    return VAEMARK_OK;
}

/* A download that broke off is told as such, with both sizes, before any tensor is. */
static enum vaemark_status check_length(const struct weights *weights, uint64_t data_begin, struct error *error) {
    const char *name = NULL;
    json_t *json = NULL;
    uint64_t wanted = 0, found = weights->mapping_size_bytes;
    json_object_foreach(weights->header, name, json) {
        const json_t *end = json_array_get(json_object_get(json, "data_offsets"), 1);
        uint64_t last = json_is_integer(end) && json_integer_value(end) > 0 ? (uint64_t)json_integer_value(end) : 0;
        wanted = last > wanted ? last : wanted;
    }
    return wanted <= found - data_begin
               ? VAEMARK_OK
               : error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                              "is cut short: it has %llu bytes, and its header describes %llu; fetch it again",
                              (unsigned long long)found, (unsigned long long)(wanted + data_begin));
}

enum vaemark_status weights_parse_header(struct weights *weights, struct error *error) {
    uint64_t data_begin = 0;
    enum vaemark_status status = load_header(weights, &data_begin, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    uint64_t data_size_bytes = weights->mapping_size_bytes - data_begin;
    size_t count = 0;
    struct entry *entries = calloc(json_object_size(weights->header) + 1, sizeof *entries);
    if (entries == NULL) {
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, weights->path, "no memory for its header");
    }
    status = check_length(weights, data_begin, error);
    if (status == VAEMARK_OK) {
        status = read_entries(weights, entries, &count, data_size_bytes, error);
    }
    if (status == VAEMARK_OK) {
        status = check_cover(entries, count, weights->path, data_size_bytes, error);
    }
    if (status == VAEMARK_OK) {
        status = keep_entries(weights, entries, count, (char *)weights->mapping + data_begin, error);
    }
    free(entries);
    return status;
}
