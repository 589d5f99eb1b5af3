/* The schema's own checks and its description for people. The tables themselves: results/schema.c. */
#ifndef RESULTS_SCHEMA_H
#define RESULTS_SCHEMA_H

#include <stdio.h>

#include "results/record.h"

/* What is wrong with these tables (a name twice, an offset outside the row, an unknown unit, a member of the struct
 * without a column, ...), or NULL. Judged by a test; the text is static. */
const char *schema_find_fault(const struct table_schema *tables, size_t table_count);

/* The tables of docs/result-schema.md, as Markdown. A test holds the file against this. */
void schema_print_markdown(FILE *out);

const char *column_type_name(enum column_type type); /* "integer", "real", "text" */
/* The table of that name, or TABLE_COUNT. */
enum table_id schema_find_table(const char *name);
/* The column of that name in a table, or NULL. */
const struct column *schema_find_column(const struct table_schema *table, const char *name);

/* Values by column, of the row at `row`. */
int64_t column_integer(const struct column *column, const void *row);
double column_real(const struct column *column, const void *row);
const char *column_text(const struct column *column, const void *row); /* never NULL */
/* The row at `index` of a table. */
const void *table_row(const struct table *table, size_t index);

#endif
