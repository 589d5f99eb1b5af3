#include "results/record.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/readable.h"

/* Texts are many and small and live as long as the record, so they are packed into blocks that are freed together. */
struct record_arena {
    struct record_arena *older;
    size_t used_bytes, capacity_bytes;
    char bytes[];
};

enum { ARENA_BLOCK_BYTES = 64 * 1024 };

static char *arena_take(struct record *record, size_t size_bytes) {
    struct record_arena *block = record->arena;
    if (!block || block->capacity_bytes - block->used_bytes < size_bytes) {
        size_t capacity_bytes = size_bytes > ARENA_BLOCK_BYTES ? size_bytes : ARENA_BLOCK_BYTES;
        if (capacity_bytes > SIZE_MAX - sizeof *block) {
            return NULL;
        }
        block = malloc(sizeof *block + capacity_bytes);
        if (!block) {
            return NULL;
        }
        *block = (struct record_arena){.older = record->arena, .used_bytes = 0, .capacity_bytes = capacity_bytes};
        record->arena = block;
    }
    char *taken = block->bytes + block->used_bytes;
    block->used_bytes += size_bytes;
    return taken;
}

struct record *record_create(void) {
    struct record *record = calloc(1, sizeof *record);
    if (record) {
        for (int i = 0; i < TABLE_COUNT; i++) {
            record->tables[i].schema = &results_schema[i];
        }
    }
    return record;
}

void record_free(struct record *record) {
    if (!record) {
        return;
    }
    for (int i = 0; i < TABLE_COUNT; i++) {
        free(record->tables[i].rows);
    }
    for (size_t i = 0; i < record->image_count; i++) {
        free(record->images[i].pixels);
    }
    free(record->images);
    free(record->facts);
    while (record->arena) {
        struct record_arena *older = record->arena->older;
        free(record->arena);
        record->arena = older;
    }
    free(record);
}

/* What is written is UTF-8 for every reader, whatever a file name or a worker's message was: other bytes become U+FFFD.
 * With `copy` NULL only counts. */
static size_t copy_as_utf8(char *copy, const char *text) {
    size_t size_bytes = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t length = utf8_sequence_length(at);
        const char *source = length ? (const char *)at : "\xEF\xBF\xBD";
        size_t source_bytes = length ? length : 3;
        if (copy) {
            memcpy(copy + size_bytes, source, source_bytes);
        }
        size_bytes += source_bytes;
        at += length ? length : 1;
    }
    return size_bytes;
}

const char *record_text(struct record *record, const char *text) {
    if (!text || !*text) {
        return "";
    }
    size_t length = copy_as_utf8(NULL, text);
    char *copy = arena_take(record, length + 1);
    if (!copy) {
        return "";
    }
    copy_as_utf8(copy, text);
    copy[length] = '\0';
    return copy;
}

const char *record_format(struct record *record, const char *format, ...) {
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return "";
    }
    const char *copy = record_text(record, text);
    free(text);
    return copy;
}

/* Makes room for one more of `size_bytes` each; false when memory is short. */
static bool grow(void **items, size_t count, size_t *capacity, size_t size_bytes) {
    if (count < *capacity) {
        return true;
    }
    if (*capacity > SIZE_MAX / 2 / size_bytes - 16) {
        return false;
    }
    size_t wanted = *capacity * 2 + 16;
    void *grown = realloc(*items, wanted * size_bytes);
    if (!grown) {
        return false;
    }
    *items = grown;
    *capacity = wanted;
    return true;
}

void *record_append(struct record *record, enum table_id id) {
    struct table *table = &record->tables[id];
    const struct table_schema *schema = table->schema;
    if (!grow(&table->rows, table->count, &table->capacity, schema->row_size_bytes)) {
        return NULL;
    }
    char *row = (char *)table->rows + table->count * schema->row_size_bytes;
    memset(row, 0, schema->row_size_bytes);
    for (size_t i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        switch (column->type) {
        case COLUMN_INTEGER:
            *(int64_t *)(void *)(row + column->offset) = -1;
            break;
        case COLUMN_REAL:
            *(double *)(void *)(row + column->offset) = NAN;
            break;
        case COLUMN_TEXT:
            *(const char **)(void *)(row + column->offset) = "";
            break;
        }
    }
    table->count++;
    return row;
}

/* Names that the result file keeps for itself (results/store.c). */
static bool key_is_reserved(const char *key) {
    static const char unit_suffix[] = "__unit";
    size_t length = strlen(key);
    size_t suffix_length = sizeof unit_suffix - 1;
    return strcmp(key, "vaemark") == 0 || strcmp(key, "schema_version") == 0 ||
           (length >= suffix_length && strcmp(key + length - suffix_length, unit_suffix) == 0);
}

bool record_add_fact(struct record *record, const char *key, const char *value, const char *unit) {
    if (!key || !*key || key_is_reserved(key)) {
        return false;
    }
    struct environment_fact *fact = NULL;
    for (size_t i = 0; i < record->fact_count && !fact; i++) {
        fact = strcmp(record->facts[i].key, key) == 0 ? &record->facts[i] : NULL;
    }
    if (!fact) {
        void *facts = record->facts;
        if (!grow(&facts, record->fact_count, &record->fact_capacity, sizeof *record->facts)) {
            return false;
        }
        record->facts = facts;
        fact = &record->facts[record->fact_count++];
        fact->key = record_text(record, key);
    }
    fact->value = record_text(record, value);
    fact->unit = record_text(record, unit);
    return true;
}

const char *record_fact(const struct record *record, const char *key) {
    for (size_t i = 0; i < record->fact_count; i++) {
        if (strcmp(record->facts[i].key, key) == 0) {
            return record->facts[i].value;
        }
    }
    return NULL;
}

bool record_append_pixels(struct record *record, int64_t height, int64_t width, const uint8_t *pixels) {
    int64_t row_bytes, size_bytes;
    if (height <= 0 || width <= 0 || __builtin_mul_overflow(width, 3, &row_bytes) ||
        __builtin_mul_overflow(height, row_bytes, &size_bytes)) {
        return false;
    }
    void *images = record->images;
    if (!grow(&images, record->image_count, &record->image_capacity, sizeof *record->images)) {
        return false;
    }
    record->images = images;
    uint8_t *copy = malloc((size_t)size_bytes); // (H, W, 3)
    if (!copy) {
        return false;
    }
    memcpy(copy, pixels, (size_t)size_bytes);
    record->images[record->image_count++] = (struct record_image){.height = height, .width = width, .pixels = copy};
    return true;
}

bool record_add_image(struct record *record, const char *case_id, const char *kind, int64_t height, int64_t width,
                      const uint8_t *pixels, double gain) {
    if (!record_append_pixels(record, height, width, pixels)) {
        return false;
    }
    size_t index = record->image_count - 1;
    struct image_row *row = record_append(record, TABLE_IMAGES);
    if (!row) {
        free(record->images[index].pixels);
        record->image_count = index;
        return false;
    }
    row->case_id = record_text(record, case_id);
    row->kind = record_text(record, kind);
    row->dataset = record_format(record, "/images/pixels/%04zu", index);
    row->height = height;
    row->width = width;
    row->gain = gain;
    return true;
}
