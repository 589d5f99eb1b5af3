/* What both ends of the worker protocol share: lines, and JSON fields read one by one. Nothing that arrives is trusted:
 * a missing field, another type or a number out of range is VAEMARK_INVALID_ARGUMENT that names the field. */
#ifndef HARNESS_WORKER_WIRE_H
#define HARNESS_WORKER_WIRE_H

#include <jansson.h>

#include "base/error.h"
#include "harness/worker/segment.h"

/* The one version spoken so far. */
enum { WIRE_VERSION = 0 };
/* A longer line breaks the protocol. */
#define WIRE_LINE_LIMIT_BYTES ((size_t)16 << 20)
/* What one decode message may ask for, so that its answer stays within a line. */
enum { WIRE_MAX_SAMPLES = 32768, WIRE_MAX_SETS = 4096, WIRE_MAX_INPUTS = 16, WIRE_MAX_OPTIONS = 64 };
#define WIRE_SOCKET_VARIABLE  "VAEMARK_SOCKET_FD"
#define WIRE_SEGMENT_VARIABLE "VAEMARK_SEGMENT_FD"
#define WIRE_LEASH_VARIABLE   "VAEMARK_LEASH_FD"

/* Bytes that arrived and were not taken yet. */
struct line_buffer {
    char *bytes;
    size_t used, capacity, scanned; /* no line ends before `scanned` */
    size_t taken;                   /* of the last line handed out; dropped by the next call */
};
/* Room for the next read: at least one byte, or NULL when memory is short. */
char *line_buffer_room(struct line_buffer *buffer, size_t *size_bytes);
void line_buffer_added(struct line_buffer *buffer, size_t size_bytes);
/* The next whole line, zero-terminated, its end cut off; valid until the next call. NULL: none yet. */
char *line_buffer_take(struct line_buffer *buffer, size_t *length);
bool line_buffer_overlong(const struct line_buffer *buffer);
void line_buffer_free(struct line_buffer *buffer);

/* The object as one line with its end; allocated. NULL when memory is short or the line would be too long. */
char *wire_line_format(const json_t *object, size_t *length);

/* Text for JSON, whatever bytes it has: if it is not UTF-8, what is not ASCII becomes '?'. */
json_t *wire_text_write(const char *text);
/* The same, and null for NULL. */
json_t *wire_text_or_null(const char *text);

/* Fields of an object. `*value` stays untouched on errors. The _or forms take a missing field for the fallback. */
enum vaemark_status wire_integer(const json_t *object, const char *key, int64_t low, int64_t high, int64_t *value,
                                 struct error *error);
enum vaemark_status wire_integer_or(const json_t *object, const char *key, int64_t low, int64_t high, int64_t fallback,
                                    int64_t *value, struct error *error);
enum vaemark_status wire_boolean_or(const json_t *object, const char *key, bool fallback, bool *value,
                                    struct error *error);
/* Valid as long as the object. */
enum vaemark_status wire_text(const json_t *object, const char *key, const char **value, struct error *error);
enum vaemark_status wire_text_or(const json_t *object, const char *key, const char *fallback, const char **value,
                                 struct error *error);
enum vaemark_status wire_object(const json_t *object, const char *key, const json_t **value, struct error *error);
enum vaemark_status wire_array(const json_t *object, const char *key, size_t least, size_t most, const json_t **value,
                               struct error *error);

/* {"name", "dtype", "shape"[, "offset"]}; reading fills in size_bytes as well. `named` and `placed` say which of name
 * and offset must be there. */
enum vaemark_status wire_tensor_read(const json_t *object, bool named, bool placed, struct segment_tensor *tensor,
                                     struct error *error);
json_t *wire_tensor_write(const struct segment_tensor *tensor, bool placed);
json_t *wire_shape_write(const int64_t *shape, int32_t rank);

/* "weights", "activations", "workspace", "tensors". */
extern const char *const wire_memory_classes[VAEMARK_MEMORY_CLASS_COUNT];
json_t *wire_bytes_write(const uint64_t bytes[VAEMARK_MEMORY_CLASS_COUNT]);
/* {"weights": n, ...} at `key`; classes, and the whole object, may be missing: 0. */
enum vaemark_status wire_bytes_read(const json_t *object, const char *key, uint64_t bytes[VAEMARK_MEMORY_CLASS_COUNT],
                                    struct error *error);

json_t *wire_option_write(const struct vaemark_option *option); /* its value alone */
/* A JSON boolean, integer, real or text as an option's value; text points into the JSON. */
enum vaemark_status wire_option_read(const char *key, const json_t *value, struct vaemark_option *option,
                                     struct error *error);

#endif
