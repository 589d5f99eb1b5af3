#include "results/schema.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

Test(schema, has_no_fault) {
    const char *fault = schema_find_fault(results_schema, TABLE_COUNT);
    cr_expect_null(fault, "%s", fault);
}

/* The check itself: each planted fault is found. */
static struct column broken_columns[64];

static const char *fault_after(void (*plant)(struct column *columns, struct table_schema *table)) {
    struct table_schema table = results_schema[TABLE_CHECKS];
    memcpy(broken_columns, table.columns, table.column_count * sizeof *table.columns);
    table.columns = broken_columns;
    plant(broken_columns, &table);
    const char *fault = schema_find_fault(&table, 1);
    return fault ? fault : "";
}

static void plant_nothing(struct column *columns, struct table_schema *table) {
    (void)columns, (void)table;
}
static void plant_same_name(struct column *columns, struct table_schema *table) {
    (void)table;
    columns[1].name = columns[0].name;
}
static void plant_outside(struct column *columns, struct table_schema *table) {
    columns[1].offset = table->row_size_bytes;
}
static void plant_shared_member(struct column *columns, struct table_schema *table) {
    (void)table;
    columns[1].offset = columns[0].offset;
}
static void plant_unit(struct column *columns, struct table_schema *table) {
    (void)table;
    columns[3].unit = "furlongs";
}
static void plant_text_with_number_unit(struct column *columns, struct table_schema *table) {
    (void)table;
    columns[0].unit = "ns";
}
static void plant_forgotten_member(struct column *columns, struct table_schema *table) {
    (void)columns;
    table->column_count--;
}
static void plant_no_description(struct column *columns, struct table_schema *table) {
    (void)table;
    columns[2].description = "";
}

Test(schema, faults_are_found) {
    cr_expect_str_empty(fault_after(plant_nothing));
    cr_expect_not_null(strstr(fault_after(plant_same_name), "same name"));
    cr_expect_not_null(strstr(fault_after(plant_outside), "outside its row"));
    cr_expect_not_null(strstr(fault_after(plant_shared_member), "share a member"));
    cr_expect_not_null(strstr(fault_after(plant_unit), "unit"));
    cr_expect_not_null(strstr(fault_after(plant_text_with_number_unit), "unit"));
    cr_expect_not_null(strstr(fault_after(plant_forgotten_member), "no column"));
    cr_expect_not_null(strstr(fault_after(plant_no_description), "description"));
    const struct table_schema twice[2] = {results_schema[0], results_schema[0]};
    cr_expect_not_null(schema_find_fault(twice, 2));
}

/* docs/result-schema.md holds these tables word for word. After a change of the schema, write them anew:
 * VAEMARK_UPDATE_DOCS=1 ctest -R results/schema */
Test(schema, is_documented_column_by_column) {
    static const char begin[] = "<!-- tables: begin -->\n\n", end[] = "<!-- tables: end -->";
    const char *source = getenv("VAEMARK_SOURCE");
    if (!source) {
        cr_skip_test("VAEMARK_SOURCE is not set: run this by ctest");
    }
    char *path = NULL, *wanted = NULL;
    size_t wanted_bytes = 0, text_bytes = 0;
    cr_assert(asprintf(&path, "%s/docs/result-schema.md", source) > 0);
    char *text = support_read_file(path, &text_bytes);
    cr_assert_not_null(text, "%s is missing", path);
    char *from = strstr(text, begin);
    char *to = strstr(text, end);
    cr_assert(from && to && from < to, "%s has lost its markers", path);
    from += strlen(begin);
    FILE *stream = open_memstream(&wanted, &wanted_bytes);
    schema_print_markdown(stream);
    fclose(stream);
    bool same = (size_t)(to - from) == wanted_bytes && memcmp(from, wanted, wanted_bytes) == 0;
    if (!same && getenv("VAEMARK_UPDATE_DOCS")) {
        FILE *out = fopen(path, "w");
        cr_assert_not_null(out);
        fprintf(out, "%.*s%s%s", (int)(from - text), text, wanted, to);
        fclose(out);
        same = true;
    }
    cr_expect(same, "%s does not say what results/schema.c says; VAEMARK_UPDATE_DOCS=1 with this test rewrites it",
              path);
    free(wanted);
    free(text);
    free(path);
}
