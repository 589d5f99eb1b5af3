#include "results/record.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "support.h"

Test(record, a_fresh_row_knows_nothing) {
    struct record *record = record_create();
    const struct case_row *row = record_append(record, TABLE_CASES);
    cr_expect_str_empty(row->id);
    cr_expect_eq(row->fused_modules, -1);
    cr_expect(isnan(row->image_std));
    record_free(record);
}

Test(record, rows_and_texts_stay_when_tables_grow) {
    struct record *record = record_create();
    for (int i = 0; i < 5000; i++) {
        struct trace_row *row = record_append(record, TABLE_TRACE);
        row->order = i;
        row->module = record_format(record, "module.%d", i);
    }
    for (int i = 0; i < 5000; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "module.%d", i);
        const struct trace_row *row = RECORD_ROW(record, TABLE_TRACE, i, trace_row);
        cr_assert_eq(row->order, i);
        cr_assert_str_eq(row->module, wanted);
    }
    record_free(record);
}

/* Readers rely on UTF-8: h5py would raise on other bytes, and jansson would drop the text. */
Test(record, what_is_not_utf8_is_replaced) {
    struct record *record = record_create();
    cr_expect_str_eq(record_text(record, "naïve ✓ 😀"), "naïve ✓ 😀");
    cr_expect_str_eq(record_text(record, "a\xff!"), "a\xEF\xBF\xBD!");
    cr_expect_str_eq(record_text(record, "\xC0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD", "an overlong zero");
    cr_expect_str_eq(record_text(record, "\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "a surrogate");
    cr_expect_str_eq(record_text(record, "cut \xE2\x9C"), "cut \xEF\xBF\xBD\xEF\xBF\xBD", "a cut sequence");
    cr_expect_str_eq(record_text(record, "\xF4\x90\x80\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    cr_expect_str_empty(record_text(record, NULL));
    record_free(record);
}

Test(record, facts_have_one_value_and_no_reserved_names) {
    struct record *record = record_create();
    cr_expect(record_add_fact(record, "seed", "1", ""));
    cr_expect(record_add_fact(record, "seed", "2", "1"));
    cr_expect_eq(record->fact_count, 1);
    cr_expect_str_eq(record_fact(record, "seed"), "2");
    cr_expect_null(record_fact(record, "other"));
    cr_expect_not(record_add_fact(record, "vaemark", "x", ""));
    cr_expect_not(record_add_fact(record, "schema_version", "x", ""));
    cr_expect_not(record_add_fact(record, "seed__unit", "x", ""));
    cr_expect_not(record_add_fact(record, "", "x", ""));
    record_free(record);
}

Test(record, pictures_are_copied_and_impossible_sizes_refused) {
    struct record *record = record_create();
    uint8_t pixels[12] = {1, 2, 3};
    cr_expect(record_add_image(record, "a/b", "decoded", 2, 2, pixels, 1));
    pixels[0] = 99;
    cr_expect_eq(record->images[0].pixels[0], 1);
    cr_expect_str_eq(RECORD_ROW(record, TABLE_IMAGES, 0, image_row)->dataset, "/images/pixels/0000");
    cr_expect_not(record_add_image(record, "a/b", "decoded", 0, 2, pixels, 1));
    cr_expect_not(record_add_image(record, "a/b", "decoded", INT64_MAX / 2, 4, pixels, 1));
    cr_expect_eq(record->image_count, record->tables[TABLE_IMAGES].count);
    record_free(record);
}
