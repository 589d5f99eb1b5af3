#include "results/combined.h"

#include <string.h>

#include "results/schema.h"

/* A text of a row as it is called among several runs. */
static const char *make_text(struct record *combined, const char *label, const char *column, const char *text) {
    bool is_id = strcmp(column, "id") == 0 || strcmp(column, "case_id") == 0;
    bool is_decoder = strcmp(column, "backend") == 0 || strcmp(column, "decoder") == 0;
    return is_id        ? record_format(combined, "%s/%s", label, text)
           : is_decoder ? record_format(combined, "%s %s", label, text)
                        : record_text(combined, text);
}

static bool append_rows(struct record *combined, const struct record *from, const char *label, enum table_id id) {
    const struct table *table = &from->tables[id];
    for (size_t i = 0; i < table->count; i++) {
        const char *source = table_row(table, i);
        char *row = record_append(combined, id);
        if (!row) {
            return false;
        }
        memcpy(row, source, table->schema->row_size_bytes);
        for (size_t c = 0; c < table->schema->column_count; c++) {
            const struct column *column = &table->schema->columns[c];
            if (column->type == COLUMN_TEXT) {
                const char *text = make_text(combined, label, column->name, column_text(column, source));
                memcpy(row + column->offset, &text, sizeof text);
            }
        }
    }
    return true;
}

static bool append_images(struct record *combined, const struct record *from, const char *label) {
    bool done = true;
    for (size_t i = 0; done && i < from->image_count && i < from->tables[TABLE_IMAGES].count; i++) {
        const struct image_row *row = RECORD_ROW(from, TABLE_IMAGES, i, image_row);
        const struct record_image *image = &from->images[i];
        done = record_add_image(combined, record_format(combined, "%s/%s", label, row->case_id), row->kind,
                                image->height, image->width, image->pixels, row->gain);
    }
    return done;
}

bool combined_agrees(const struct record *const *records, size_t count, const char *key) {
    const char *first = count ? record_fact(records[0], key) : NULL;
    for (size_t i = 0; first && i < count; i++) {
        const char *value = record_fact(records[i], key);
        first = value && strcmp(value, first) == 0 ? first : NULL;
    }
    return first != NULL;
}

struct record *combined_create(const struct record *const *records, const char *const *labels, size_t count) {
    struct record *combined = record_create();
    bool done = combined != NULL;
    for (size_t r = 0; done && r < count; r++) {
        for (int id = 0; done && id < TABLE_COUNT; id++) {
            done = id == TABLE_IMAGES ? append_images(combined, records[r], labels[r])
                                      : append_rows(combined, records[r], labels[r], (enum table_id)id);
        }
    }
    for (size_t i = 0; done && count && i < records[0]->fact_count; i++) {
        const struct environment_fact *fact = &records[0]->facts[i];
        done = !combined_agrees(records, count, fact->key) ||
               record_add_fact(combined, fact->key, fact->value, fact->unit);
    }
    if (!done) {
        record_free(combined);
        combined = NULL;
    }
    return combined;
}
