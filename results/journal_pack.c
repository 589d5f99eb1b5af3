/* Numbers are 8 bytes, little-endian; a text is its length and its bytes. Counts come before what they count. */
#include "results/journal_pack.h"

#include <stdlib.h>
#include <string.h>

#include "results/schema.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie in memory");

/* ---- Packing ---- */

void pack_bytes_add(struct pack_bytes *pack, const void *bytes, size_t size) {
    if (pack->failed || size > SIZE_MAX / 4 - pack->size) {
        pack->failed = true;
        return;
    }
    if (pack->size + size > pack->capacity) {
        size_t capacity = 2 * (pack->size + size);
        char *grown = realloc(pack->bytes, capacity);
        if (!grown) {
            pack->failed = true;
            return;
        }
        pack->bytes = grown;
        pack->capacity = capacity;
    }
    if (size > 0) {
        memcpy(pack->bytes + pack->size, bytes, size);
    }
    pack->size += size;
}

static void add_number(struct pack_bytes *pack, uint64_t number) {
    pack_bytes_add(pack, &number, sizeof number);
}

static void add_text(struct pack_bytes *pack, const char *text) {
    size_t length = strlen(text);
    add_number(pack, length);
    pack_bytes_add(pack, text, length);
}

static void add_facts(struct pack_bytes *pack, const struct record *record) {
    add_number(pack, record->fact_count);
    for (size_t i = 0; i < record->fact_count; i++) {
        add_text(pack, record->facts[i].key);
        add_text(pack, record->facts[i].value);
        add_text(pack, record->facts[i].unit);
    }
}

static void add_row(struct pack_bytes *pack, const struct table_schema *schema, const void *row) {
    for (size_t i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->type == COLUMN_TEXT) {
            add_text(pack, column_text(column, row));
        } else {
            pack_bytes_add(pack, (const char *)row + column->offset, 8);
        }
    }
}

static void add_table(struct pack_bytes *pack, const struct table *table, size_t first) {
    const struct table_schema *schema = table->schema;
    add_text(pack, schema->name);
    add_number(pack, schema->column_count);
    for (size_t i = 0; i < schema->column_count; i++) {
        add_text(pack, schema->columns[i].name);
        add_number(pack, schema->columns[i].type);
    }
    add_number(pack, table->count - first);
    for (size_t i = first; i < table->count; i++) {
        add_row(pack, schema, table_row(table, i));
    }
}

static void add_image(struct pack_bytes *pack, const struct record_image *image) {
    add_number(pack, (uint64_t)image->height);
    add_number(pack, (uint64_t)image->width);
    pack_bytes_add(pack, image->pixels, (size_t)image->height * (size_t)image->width * 3);
}

void pack_add_payload(struct pack_bytes *pack, const char *const *case_ids, size_t case_id_count,
                      const struct record *record, const struct pack_mark *mark) {
    add_number(pack, case_id_count);
    for (size_t i = 0; i < case_id_count; i++) {
        add_text(pack, case_ids[i]);
    }
    add_facts(pack, record);
    add_number(pack, TABLE_COUNT);
    for (int i = 0; i < TABLE_COUNT; i++) {
        add_table(pack, &record->tables[i], mark->rows[i]);
    }
    add_number(pack, record->image_count - mark->images);
    for (size_t i = mark->images; i < record->image_count; i++) {
        add_image(pack, &record->images[i]);
    }
}

struct pack_mark pack_mark_of(const struct record *record) {
    struct pack_mark mark = {.images = record->image_count};
    for (int i = 0; i < TABLE_COUNT; i++) {
        mark.rows[i] = record->tables[i].count;
    }
    return mark;
}

/* ---- Unpacking: every length is held against what is left ---- */

struct unpack {
    const char *at, *end;
    bool failed;
};

static const char *take(struct unpack *unpack, size_t size) {
    if (unpack->failed || size > (size_t)(unpack->end - unpack->at)) {
        unpack->failed = true;
        return NULL;
    }
    const char *taken = unpack->at;
    unpack->at += size;
    return taken;
}

static uint64_t take_number(struct unpack *unpack) {
    uint64_t number = 0;
    const char *taken = take(unpack, sizeof number);
    if (taken) {
        memcpy(&number, taken, sizeof number);
    }
    return number;
}

/* A count of things that take at least `least_bytes` each. */
static size_t take_count(struct unpack *unpack, size_t least_bytes) {
    uint64_t count = take_number(unpack);
    if (count > (size_t)(unpack->end - unpack->at) / least_bytes) {
        unpack->failed = true;
        return 0;
    }
    return (size_t)count;
}

/* A copy that the caller frees; NULL after failures. */
static char *take_text(struct unpack *unpack) {
    size_t length = take_count(unpack, 1);
    const char *bytes = take(unpack, length);
    char *text = bytes ? strndup(bytes, length) : NULL;
    unpack->failed |= !text;
    return text;
}

static void take_case_ids(struct unpack *unpack, struct journal_content *content) {
    size_t count = take_count(unpack, 8);
    if (count == 0 || unpack->failed) {
        return;
    }
    char **ids = content->case_ids ? NULL : calloc(count, sizeof *ids); /* the first record alone has some */
    unpack->failed = !ids;
    content->case_ids = ids ? ids : content->case_ids;
    for (size_t i = 0; ids && i < count && !unpack->failed; i++) {
        ids[i] = take_text(unpack);
        content->case_id_count += ids[i] != NULL;
    }
}

static void take_facts(struct unpack *unpack, struct record *record) {
    size_t count = take_count(unpack, 24);
    for (size_t i = 0; i < count && !unpack->failed; i++) {
        char *key = take_text(unpack), *value = take_text(unpack), *unit = take_text(unpack);
        if (!unpack->failed) {
            unpack->failed = !record_add_fact(record, key, value, unit);
        }
        free(key);
        free(value);
        free(unit);
    }
}

/* A column as the journal has it: its own type, and ours if we know it. */
struct packed_column {
    enum column_type type;
    const struct column *column; /* NULL: to be left out */
};

static void take_value(struct unpack *unpack, const struct packed_column *packed, struct record *record, char *row) {
    if (packed->type == COLUMN_TEXT) {
        char *text = take_text(unpack);
        if (text && packed->column && row) {
            *(const char **)(void *)(row + packed->column->offset) = record_text(record, text);
        }
        free(text);
        return;
    }
    const char *value = take(unpack, 8);
    if (value && packed->column && row) {
        memcpy(row + packed->column->offset, value, 8);
    }
}

static struct packed_column take_column(struct unpack *unpack, enum table_id id) {
    char *name = take_text(unpack);
    uint64_t type = take_number(unpack);
    struct packed_column packed = {.type = (enum column_type)type};
    unpack->failed |= type > COLUMN_TEXT;
    if (name && id != TABLE_COUNT) {
        const struct column *column = schema_find_column(&results_schema[id], name);
        packed.column = column && column->type == packed.type ? column : NULL;
    }
    free(name);
    return packed;
}

static void take_table(struct unpack *unpack, struct record *record) {
    char *name = take_text(unpack);
    enum table_id id = name ? schema_find_table(name) : TABLE_COUNT;
    free(name);
    size_t column_count = take_count(unpack, 16);
    struct packed_column *columns = calloc(column_count + 1, sizeof *columns);
    unpack->failed |= !columns || column_count == 0;
    for (size_t i = 0; i < column_count && !unpack->failed; i++) {
        columns[i] = take_column(unpack, id);
    }
    size_t row_count = unpack->failed ? 0 : take_count(unpack, 8 * column_count);
    for (size_t i = 0; i < row_count && !unpack->failed; i++) {
        char *row = id == TABLE_COUNT ? NULL : record_append(record, id);
        unpack->failed = !row && id != TABLE_COUNT;
        for (size_t k = 0; k < column_count && !unpack->failed; k++) {
            take_value(unpack, &columns[k], record, row);
        }
    }
    free(columns);
}

/* The picture of the next row of /images, which must be as large as that says. */
static void take_image(struct unpack *unpack, struct record *record) {
    uint64_t height = take_number(unpack), width = take_number(unpack);
    size_t index = record->image_count;
    if (unpack->failed || index >= record->tables[TABLE_IMAGES].count) {
        unpack->failed = true;
        return;
    }
    const struct image_row *row = RECORD_ROW(record, TABLE_IMAGES, index, image_row);
    size_t left = (size_t)(unpack->end - unpack->at);
    if (height == 0 || width == 0 || height > left || width > left / height / 3 || row->height != (int64_t)height ||
        row->width != (int64_t)width) {
        unpack->failed = true;
        return;
    }
    size_t size = (size_t)height * (size_t)width * 3;
    const char *pixels = take(unpack, size);
    unpack->failed |=
        !pixels || !record_append_pixels(record, row->height, row->width, (const uint8_t *)(const void *)pixels);
}

bool pack_take_payload(const char *bytes, size_t size, struct journal_content *content) {
    struct unpack unpack = {.at = bytes, .end = bytes + size};
    struct record *record = content->record;
    take_case_ids(&unpack, content);
    take_facts(&unpack, record);
    size_t table_count = take_count(&unpack, 24);
    for (size_t i = 0; i < table_count && !unpack.failed; i++) {
        take_table(&unpack, record);
    }
    size_t image_count = take_count(&unpack, 16);
    for (size_t i = 0; i < image_count && !unpack.failed; i++) {
        take_image(&unpack, record);
    }
    return !unpack.failed && unpack.at == unpack.end && record->image_count == record->tables[TABLE_IMAGES].count;
}
