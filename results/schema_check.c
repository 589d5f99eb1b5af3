/* What holds for every table of columns, and reading values through one. */
#include <stdlib.h>
#include <string.h>

#include "results/schema.h"

/* Short, because readers of a result file must know all of them. */
static const char *const known_units[] = {"1",     "text",    "ns",   "bytes",  "bytes/s",  "dB",
                                          "pixel", "pixel/s", "FLOP", "FLOP/s", "FLOP/byte"};

static bool unit_is_known(const char *unit) {
    for (size_t i = 0; i < sizeof known_units / sizeof known_units[0]; i++) {
        if (unit && strcmp(unit, known_units[i]) == 0) {
            return true;
        }
    }
    return false;
}

static size_t column_size_bytes(enum column_type type) {
    switch (type) {
    case COLUMN_INTEGER:
        return sizeof(int64_t);
    case COLUMN_REAL:
        return sizeof(double);
    case COLUMN_TEXT:
        return sizeof(const char *);
    }
    return 0;
}

static const char *find_column_fault(const struct table_schema *table, size_t index) {
    const struct column *column = &table->columns[index];
    size_t size_bytes = column_size_bytes(column->type);
    if (!column->name || !*column->name || strchr(column->name, '/')) {
        return "a column has no name that HDF5 takes";
    }
    if (!column->description || !*column->description) {
        return "a column has no description";
    }
    if (!unit_is_known(column->unit) || (strcmp(column->unit, "text") == 0) != (column->type == COLUMN_TEXT)) {
        return "a column's unit is not one of the list, or does not go with its type";
    }
    if (size_bytes == 0 || column->offset % size_bytes != 0 || column->offset > table->row_size_bytes ||
        table->row_size_bytes - column->offset < size_bytes) {
        return "a column's offset is outside its row";
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(table->columns[i].name, column->name) == 0) {
            return "two columns of a table have the same name";
        }
        if (table->columns[i].offset == column->offset) {
            return "two columns of a table share a member";
        }
    }
    return NULL;
}

const char *schema_find_fault(const struct table_schema *tables, size_t table_count) {
    for (size_t i = 0; i < table_count; i++) {
        const struct table_schema *table = &tables[i];
        if (!table->name || !*table->name || !table->description || !*table->description) {
            return "a table has no name or no description";
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(tables[j].name, table->name) == 0) {
                return "two tables have the same name";
            }
        }
        size_t covered_bytes = 0;
        for (size_t j = 0; j < table->column_count; j++) {
            const char *fault = find_column_fault(table, j);
            if (fault) {
                return fault;
            }
            covered_bytes += column_size_bytes(table->columns[j].type);
        }
        if (covered_bytes != table->row_size_bytes) {
            return "a member of a row has no column";
        }
    }
    return NULL;
}

const char *column_type_name(enum column_type type) {
    static const char *const names[] = {[COLUMN_INTEGER] = "integer", [COLUMN_REAL] = "real", [COLUMN_TEXT] = "text"};
    return names[type];
}

enum table_id schema_find_table(const char *name) {
    int id = 0;
    while (id < TABLE_COUNT && strcmp(results_schema[id].name, name) != 0) {
        id++;
    }
    return (enum table_id)id;
}

const struct column *schema_find_column(const struct table_schema *table, const char *name) {
    for (size_t i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i].name, name) == 0) {
            return &table->columns[i];
        }
    }
    return NULL;
}

int64_t column_integer(const struct column *column, const void *row) {
    return *(const int64_t *)(const void *)((const char *)row + column->offset);
}

double column_real(const struct column *column, const void *row) {
    return *(const double *)(const void *)((const char *)row + column->offset);
}

const char *column_text(const struct column *column, const void *row) {
    const char *text = *(const char *const *)(const void *)((const char *)row + column->offset);
    return text ? text : "";
}

const void *table_row(const struct table *table, size_t index) {
    return (const char *)table->rows + index * table->schema->row_size_bytes;
}

void schema_print_markdown(FILE *out) {
    for (int i = 0; i < TABLE_COUNT; i++) {
        const struct table_schema *table = &results_schema[i];
        fprintf(out, "### `/%s`\n\n%s.\n\n| column | type | unit | what it is |\n| --- | --- | --- | --- |\n",
                table->name, table->description);
        for (size_t j = 0; j < table->column_count; j++) {
            const struct column *column = &table->columns[j];
            fprintf(out, "| `%s` | %s | %s | %s |\n", column->name, column_type_name(column->type), column->unit,
                    column->description);
        }
        fprintf(out, "\n");
    }
}
