/* The record for programs: JSON and CSV. Both go by the tables of columns alone. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "results/schema.h"
#include "results/show.h"

static json_t *column_to_json(const struct column *column, const void *row) {
    switch (column->type) {
    case COLUMN_INTEGER: {
        int64_t value = column_integer(column, row);
        return value == -1 ? json_null() : json_integer(value);
    }
    case COLUMN_REAL: { /* JSON has neither NaN nor infinity */
        double value = column_real(column, row);
        return isfinite(value) ? json_real(value) : json_null();
    }
    case COLUMN_TEXT:
        return json_string(column_text(column, row));
    }
    return json_null();
}

static json_t *row_to_json(const struct table_schema *schema, const void *row) {
    json_t *object = json_object();
    for (size_t i = 0; i < schema->column_count; i++) {
        if (json_object_set_new(object, schema->columns[i].name, column_to_json(&schema->columns[i], row)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* A case's rows, and its model's; without case ids every row. */
static bool row_is_wanted(const struct record *record, const struct table_schema *schema, const void *row,
                          const char *const *case_ids, size_t case_count) {
    const bool is_cases = schema == &results_schema[TABLE_CASES];
    const struct column *key = schema_find_column(schema, is_cases ? "id" : "case_id");
    bool wanted = !case_ids;
    for (size_t i = 0; i < case_count && !wanted; i++) {
        if (key) {
            wanted = strcmp(column_text(key, row), case_ids[i]) == 0;
            continue;
        }
        for (size_t j = 0; j < record->tables[TABLE_CASES].count && !wanted; j++) {
            const struct case_row *other = RECORD_ROW(record, TABLE_CASES, j, case_row);
            wanted =
                strcmp(other->id, case_ids[i]) == 0 && strcmp(other->model, ((const struct model_row *)row)->name) == 0;
        }
    }
    return wanted;
}

static json_t *table_to_json(const struct record *record, enum table_id id, const char *const *case_ids,
                             size_t case_count) {
    const struct table *table = &record->tables[id];
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < table->count; i++) {
        const void *row = table_row(table, i);
        if (row_is_wanted(record, table->schema, row, case_ids, case_count) &&
            json_array_append_new(rows, row_to_json(table->schema, row)) != 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

/* Named as the file's attributes: KEY, and KEY__unit where there is a unit. */
static json_t *facts_to_json(const struct record *record) {
    json_t *object = json_object();
    for (size_t i = 0; object && i < record->fact_count; i++) {
        const struct environment_fact *fact = &record->facts[i];
        char unit_name[256];
        snprintf(unit_name, sizeof unit_name, "%s__unit", fact->key);
        if (json_object_set_new(object, fact->key, json_string(fact->value)) != 0 ||
            (fact->unit[0] && json_object_set_new(object, unit_name, json_string(fact->unit)) != 0)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

bool show_json_cases(FILE *out, const struct record *record, const char *const *case_ids, size_t case_count) {
    json_t *document = json_object();
    bool done = json_object_set_new(document, "schema_version", json_integer(RESULTS_SCHEMA_VERSION)) == 0 &&
                json_object_set_new(document, "environment", facts_to_json(record)) == 0;
    for (int i = 0; done && i < TABLE_COUNT; i++) {
        done = json_object_set_new(document, results_schema[i].name,
                                   table_to_json(record, (enum table_id)i, case_ids, case_count)) == 0;
    }
    done = done && json_dumpf(document, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;
    json_decref(document);
    return done;
}

bool show_json(FILE *out, const struct record *record, const char *case_id) {
    if (!case_id) {
        return show_json_cases(out, record, NULL, 0);
    }
    for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
        if (strcmp(RECORD_ROW(record, TABLE_CASES, i, case_row)->id, case_id) == 0) {
            return show_json_cases(out, record, &case_id, 1);
        }
    }
    return false;
}

/* RFC 4180: quoted where it must be, quotes doubled. */
static void print_field(FILE *out, const char *text) {
    if (!text[strcspn(text, "\",\r\n")]) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        fputs(*text == '"' ? "\"\"" : (const char[]){*text, '\0'}, out);
    }
    fputc('"', out);
}

static void print_value(FILE *out, const struct column *column, const void *row) {
    switch (column->type) {
    case COLUMN_INTEGER:
        if (column_integer(column, row) != -1) {
            fprintf(out, "%lld", (long long)column_integer(column, row));
        }
        break;
    case COLUMN_REAL:
        if (!isnan(column_real(column, row))) {
            fprintf(out, "%.17g", column_real(column, row));
        }
        break;
    case COLUMN_TEXT:
        print_field(out, column_text(column, row));
        break;
    }
}

bool show_csv(FILE *out, const struct record *record, enum table_id id) {
    const struct table *table = &record->tables[id];
    const struct table_schema *schema = table->schema;
    for (size_t i = 0; i < schema->column_count; i++) {
        fprintf(out, "%s%s", i ? "," : "", schema->columns[i].name);
    }
    fputc('\n', out);
    for (size_t r = 0; r < table->count; r++) {
        for (size_t i = 0; i < schema->column_count; i++) {
            fputs(i ? "," : "", out);
            print_value(out, &schema->columns[i], table_row(table, r));
        }
        fputc('\n', out);
    }
    return !ferror(out);
}
