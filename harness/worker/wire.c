#include "harness/worker/wire.h"

#include <stdio.h>
#include <string.h>

#include "reference/tensor.h"

const char *const wire_memory_classes[VAEMARK_MEMORY_CLASS_COUNT] = {
    [VAEMARK_MEMORY_WEIGHTS] = "weights",
    [VAEMARK_MEMORY_ACTIVATIONS] = "activations",
    [VAEMARK_MEMORY_WORKSPACE] = "workspace",
    [VAEMARK_MEMORY_TENSORS] = "tensors",
};

json_t *wire_text_write(const char *text) {
    json_t *value = json_string(text ? text : "");
    if (value)
        return value;
    char copy[2048];
    size_t length = 0;
    for (; length < sizeof copy - 1 && text[length]; length++)
        copy[length] = (unsigned char)text[length] < 0x80 ? text[length] : '?';
    copy[length] = '\0';
    return json_string(copy);
}

json_t *wire_text_or_null(const char *text) {
    return text ? wire_text_write(text) : json_null();
}

static const char *type_name(const json_t *value) {
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "text", [JSON_INTEGER] = "an integer",
        [JSON_REAL] = "a real",      [JSON_TRUE] = "true",      [JSON_FALSE] = "false", [JSON_NULL] = "null",
    };
    return value ? names[json_typeof(value)] : "nothing";
}

static enum vaemark_status wrong_field(const char *key, const char *wanted, const json_t *found, struct error *error) {
    return error_set(error, VAEMARK_INVALID_ARGUMENT, "field '%s': wanted %s, found %s", key, wanted, type_name(found));
}

static enum vaemark_status check_integer(const char *key, const json_t *field, int64_t low, int64_t high,
                                         int64_t *value, struct error *error) {
    if (!json_is_integer(field))
        return wrong_field(key, "an integer", field, error);
    int64_t found = json_integer_value(field);
    if (found < low || found > high)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field '%s': wanted %lld to %lld, found %lld", key,
                         (long long)low, (long long)high, (long long)found);
    *value = found;
    return VAEMARK_OK;
}

enum vaemark_status wire_integer(const json_t *object, const char *key, int64_t low, int64_t high, int64_t *value,
                                 struct error *error) {
    return check_integer(key, json_object_get(object, key), low, high, value, error);
}

enum vaemark_status wire_integer_or(const json_t *object, const char *key, int64_t low, int64_t high, int64_t fallback,
                                    int64_t *value, struct error *error) {
    if (!json_object_get(object, key)) {
        *value = fallback;
        return VAEMARK_OK;
    }
    return wire_integer(object, key, low, high, value, error);
}

enum vaemark_status wire_boolean_or(const json_t *object, const char *key, bool fallback, bool *value,
                                    struct error *error) {
    const json_t *field = json_object_get(object, key);
    if (field && !json_is_boolean(field))
        return wrong_field(key, "true or false", field, error);
    *value = field ? json_is_true(field) : fallback;
    return VAEMARK_OK;
}

enum vaemark_status wire_text(const json_t *object, const char *key, const char **value, struct error *error) {
    const json_t *field = json_object_get(object, key);
    if (!json_is_string(field))
        return wrong_field(key, "text", field, error);
    if (strlen(json_string_value(field)) != json_string_length(field))
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field '%s' has a zero byte in it", key);
    *value = json_string_value(field);
    return VAEMARK_OK;
}

enum vaemark_status wire_text_or(const json_t *object, const char *key, const char *fallback, const char **value,
                                 struct error *error) {
    if (!json_object_get(object, key)) {
        *value = fallback;
        return VAEMARK_OK;
    }
    return wire_text(object, key, value, error);
}

enum vaemark_status wire_object(const json_t *object, const char *key, const json_t **value, struct error *error) {
    const json_t *field = json_object_get(object, key);
    if (!json_is_object(field))
        return wrong_field(key, "an object", field, error);
    *value = field;
    return VAEMARK_OK;
}

enum vaemark_status wire_array(const json_t *object, const char *key, size_t least, size_t most, const json_t **value,
                               struct error *error) {
    const json_t *field = json_object_get(object, key);
    if (!json_is_array(field))
        return wrong_field(key, "an array", field, error);
    if (json_array_size(field) < least || json_array_size(field) > most)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field '%s': wanted %zu to %zu items, found %zu", key, least,
                         most, json_array_size(field));
    *value = field;
    return VAEMARK_OK;
}

static enum vaemark_status shape_read(const json_t *object, struct segment_tensor *tensor, struct error *error) {
    const json_t *array = NULL;
    enum vaemark_status status = wire_array(object, "shape", 1, VAEMARK_MAX_RANK, &array, error);
    struct shape shape = {.rank = status == VAEMARK_OK ? (int32_t)json_array_size(array) : 0};
    for (int32_t i = 0; status == VAEMARK_OK && i < shape.rank; i++)
        status = check_integer("shape", json_array_get(array, (size_t)i), 1, INT64_MAX, &shape.dims[i], error);
    if (status != VAEMARK_OK)
        return status;
    int64_t elements = shape_element_count(&shape);
    if (elements < 1 || __builtin_mul_overflow((size_t)elements, dtype_size_bytes(tensor->dtype), &tensor->size_bytes))
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'shape': too many elements");
    tensor->rank = shape.rank;
    memcpy(tensor->shape, shape.dims, sizeof tensor->shape);
    return VAEMARK_OK;
}

enum vaemark_status wire_tensor_read(const json_t *object, bool named, bool placed, struct segment_tensor *tensor,
                                     struct error *error) {
    struct segment_tensor read = {.rank = 0};
    const char *name = "image", *dtype = NULL;
    int64_t offset = 0;
    if (!json_is_object(object))
        return wrong_field("tensor", "an object", object, error);
    enum vaemark_status status = named ? wire_text(object, "name", &name, error) : VAEMARK_OK;
    if (status == VAEMARK_OK)
        status = wire_text(object, "dtype", &dtype, error);
    if (status != VAEMARK_OK)
        return status;
    if (strlen(name) >= sizeof read.name)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'name' is longer than %zu bytes",
                         sizeof read.name - 1);
    if (!dtype_from_name(dtype, &read.dtype))
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'dtype': no dtype is called '%.32s'", dtype);
    snprintf(read.name, sizeof read.name, "%s", name);
    status = shape_read(object, &read, error);
    if (status == VAEMARK_OK && placed)
        status = wire_integer(object, "offset", 0, INT64_MAX, &offset, error);
    if (status != VAEMARK_OK)
        return status;
    read.offset_bytes = (size_t)offset;
    *tensor = read;
    return VAEMARK_OK;
}

json_t *wire_shape_write(const int64_t *shape, int32_t rank) {
    json_t *array = json_array();
    for (int32_t i = 0; i < rank; i++)
        json_array_append_new(array, json_integer(shape[i]));
    return array;
}

json_t *wire_tensor_write(const struct segment_tensor *tensor, bool placed) {
    json_t *object = json_pack("{s:s, s:s, s:o}", "name", tensor->name, "dtype", dtype_name(tensor->dtype), "shape",
                               wire_shape_write(tensor->shape, tensor->rank));
    if (placed)
        json_object_set_new(object, "offset", json_integer((json_int_t)tensor->offset_bytes));
    return object;
}

json_t *wire_bytes_write(const uint64_t bytes[VAEMARK_MEMORY_CLASS_COUNT]) {
    json_t *object = json_object();
    for (size_t i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++)
        json_object_set_new(object, wire_memory_classes[i], json_integer((json_int_t)bytes[i]));
    return object;
}

enum vaemark_status wire_bytes_read(const json_t *object, const char *key, uint64_t bytes[VAEMARK_MEMORY_CLASS_COUNT],
                                    struct error *error) {
    const json_t *field = NULL;
    int64_t value = 0;
    memset(bytes, 0, VAEMARK_MEMORY_CLASS_COUNT * sizeof bytes[0]);
    if (!json_object_get(object, key))
        return VAEMARK_OK;
    enum vaemark_status status = wire_object(object, key, &field, error);
    for (size_t i = 0; status == VAEMARK_OK && i < VAEMARK_MEMORY_CLASS_COUNT; i++) {
        status = wire_integer_or(field, wire_memory_classes[i], 0, INT64_MAX, 0, &value, error);
        bytes[i] = (uint64_t)value;
    }
    return status;
}

json_t *wire_option_write(const struct vaemark_option *option) {
    switch (option->type) {
    case VAEMARK_BOOLEAN:
        return json_boolean(option->value.boolean);
    case VAEMARK_INTEGER:
        return json_integer(option->value.integer);
    case VAEMARK_REAL:
        return json_real(option->value.real);
    case VAEMARK_TEXT:
        return json_string(option->value.text ? option->value.text : "");
    }
    return NULL;
}

enum vaemark_status wire_option_read(const char *key, const json_t *value, struct vaemark_option *option,
                                     struct error *error) {
    *option = (struct vaemark_option){.key = key};
    if (json_is_boolean(value)) {
        option->type = VAEMARK_BOOLEAN;
        option->value.boolean = json_is_true(value);
    } else if (json_is_integer(value)) {
        option->type = VAEMARK_INTEGER;
        option->value.integer = json_integer_value(value);
    } else if (json_is_real(value)) {
        option->type = VAEMARK_REAL;
        option->value.real = json_real_value(value);
    } else if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value)) {
        option->type = VAEMARK_TEXT;
        option->value.text = json_string_value(value);
    } else {
        return wrong_field(key, "true, false, a number or text", value, error);
    }
    return VAEMARK_OK;
}
