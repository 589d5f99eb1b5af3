#include <stdlib.h>
#include <string.h>

#include "harness/worker/wire.h"

static void drop_taken(struct line_buffer *buffer) {
    if (buffer->taken == 0)
        return;
    memmove(buffer->bytes, buffer->bytes + buffer->taken, buffer->used - buffer->taken);
    buffer->used -= buffer->taken;
    buffer->scanned = 0;
    buffer->taken = 0;
}

char *line_buffer_room(struct line_buffer *buffer, size_t *size_bytes) {
    drop_taken(buffer);
    if (buffer->capacity - buffer->used < 4096) {
        size_t capacity = buffer->capacity ? 2 * buffer->capacity : 65536;
        char *grown = realloc(buffer->bytes, capacity);
        if (!grown)
            return NULL;
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    *size_bytes = buffer->capacity - buffer->used;
    return buffer->bytes + buffer->used;
}

void line_buffer_added(struct line_buffer *buffer, size_t size_bytes) {
    buffer->used += size_bytes;
}

char *line_buffer_take(struct line_buffer *buffer, size_t *length) {
    drop_taken(buffer);
    if (buffer->used == buffer->scanned)
        return NULL;
    char *end = memchr(buffer->bytes + buffer->scanned, '\n', buffer->used - buffer->scanned);
    /* A line that is too long stays so, also when its end arrives with the bytes that made it too long. */
    if (!end || (size_t)(end - buffer->bytes) > WIRE_LINE_LIMIT_BYTES) {
        buffer->scanned = buffer->used;
        return NULL;
    }
    *end = '\0';
    *length = (size_t)(end - buffer->bytes);
    buffer->taken = *length + 1;
    return buffer->bytes;
}

bool line_buffer_overlong(const struct line_buffer *buffer) {
    return buffer->taken == 0 && buffer->scanned > WIRE_LINE_LIMIT_BYTES;
}

void line_buffer_free(struct line_buffer *buffer) {
    free(buffer->bytes);
    memset(buffer, 0, sizeof *buffer);
}

char *wire_line_format(const json_t *object, size_t *length) {
    char *text = json_dumps(object, JSON_COMPACT);
    if (!text)
        return NULL;
    size_t size_bytes = strlen(text);
    char *line = size_bytes < WIRE_LINE_LIMIT_BYTES ? realloc(text, size_bytes + 2) : NULL;
    if (!line) {
        free(text);
        return NULL;
    }
    line[size_bytes] = '\n';
    line[size_bytes + 1] = '\0';
    *length = size_bytes + 1;
    return line;
}
