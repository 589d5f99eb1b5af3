/* Writing safetensors files. */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "reference/weights_internal.h"

/* Wider elements first, so that every tensor lies aligned to its own element although no gap is allowed. */
static int compare_widths(const void *left, const void *right) {
    const struct vaemark_tensor *a = *(const struct vaemark_tensor *const *)left;
    const struct vaemark_tensor *b = *(const struct vaemark_tensor *const *)right;
    size_t width_a = dtype_size_bytes(a->dtype), width_b = dtype_size_bytes(b->dtype);
    if (width_a != width_b) {
        return width_a > width_b ? -1 : 1;
    }
    return (a > b) - (a < b); /* as given */
}

static json_t *describe_tensor(const struct vaemark_tensor *tensor, uint64_t *offset) {
    uint64_t begin = *offset;
    json_t *shape = json_array();
    for (int32_t i = 0; i < tensor->rank; i++) {
        json_array_append_new(shape, json_integer(tensor->shape[i]));
    }
    *offset += tensor_size_bytes(tensor);
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(tensor->dtype), "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)*offset);
}

/* The header as text, NULL with an error when a name is not fit for it. */
static char *make_header(const char *path, const struct vaemark_tensor *const *tensors, size_t count, json_t *metadata,
                         struct error *error) {
    uint64_t offset = 0;
    char place[512];
    json_t *header = metadata ? json_pack("{s:O}", "__metadata__", metadata)
                              : json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    for (size_t i = 0; i < count; i++) {
        const char *name = tensors[i]->name;
        weights_place(place, path, name);
        if (json_object_get(header, name) != NULL) {
            error_set_at(error, VAEMARK_INVALID_ARGUMENT, place, "is there twice, or has a reserved name");
            json_decref(header);
            return NULL;
        }
        if (json_object_set_new(header, name, describe_tensor(tensors[i], &offset)) != 0) {
            error_set_at(error, VAEMARK_INVALID_ARGUMENT, place, "cannot be described: its name is not UTF-8");
            json_decref(header);
            return NULL;
        }
    }
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    if (text == NULL) {
        error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "no memory for its header");
    }
    return text;
}

static void write_header(FILE *stream, const char *text) {
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++) {
        prefix[i] = (unsigned char)(padded >> (8 * i));
    }
    fwrite(prefix, 1, sizeof prefix, stream);
    fwrite(text, 1, length, stream);
    fwrite("       ", 1, padded - length, stream);
}

enum vaemark_status weights_write_stream(const char *path, const struct vaemark_tensors *tensors, json_t *metadata,
                                         void (*write)(FILE *stream, const struct vaemark_tensor *tensor, void *user),
                                         void *user, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    struct atomic_file file;
    char *header = NULL;
    const struct vaemark_tensor **order = calloc(tensors->count + 1, sizeof *order);
    if (order == NULL) {
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "no memory to write it");
    }
    for (size_t i = 0; i < tensors->count; i++) {
        order[i] = &tensors->items[i];
    }
    qsort(order, tensors->count, sizeof *order, compare_widths);
    struct error header_error;
    header = make_header(path, order, tensors->count, metadata, &header_error);
    if (header == NULL) {
        if (error != NULL) {
            *error = header_error;
        }
        status = header_error.status;
        goto cleanup;
    }
    status = atomic_file_open(&file, path, error);
    if (status != VAEMARK_OK) {
        goto cleanup;
    }
    write_header(file.stream, header);
    for (size_t i = 0; i < tensors->count && !ferror(file.stream); i++) {
        write(file.stream, order[i], user);
    }
    status = atomic_file_commit(&file, error);
cleanup:
    free(header);
    free(order);
    return status;
}

static void write_tensor(FILE *stream, const struct vaemark_tensor *tensor, void *user) {
    (void)user;
    fwrite(tensor->data, 1, tensor_size_bytes(tensor), stream);
}

enum vaemark_status weights_write(const char *path, const struct vaemark_tensors *tensors, struct error *error) {
    return weights_write_stream(path, tensors, NULL, write_tensor, NULL, error);
}

enum vaemark_status weights_write_described(const char *path, const struct vaemark_tensors *tensors,
                                            const struct weights_text *texts, size_t text_count, struct error *error) {
    json_t *metadata = json_object();
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < text_count; i++) {
        if (json_object_set_new(metadata, texts[i].key, json_string(texts[i].value)) != 0) {
            status = error_set_at(error, VAEMARK_INVALID_ARGUMENT, path, "its description is not UTF-8");
        }
    }
    if (status == VAEMARK_OK) {
        status = weights_write_stream(path, tensors, metadata, write_tensor, NULL, error);
    }
    json_decref(metadata);
    return status;
}
