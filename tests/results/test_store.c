#include "results/store.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "results/schema.h"
#include "support.h"

static void write_or_die(const char *path, const struct record *record) {
    struct results_error error = {""};
    cr_assert(store_write(path, record, &error), "%s", error.message);
}

static struct record *read_or_die(const char *path) {
    struct results_error error = {""};
    struct record *record = store_read(path, &error);
    cr_assert_not_null(record, "%s", error.message);
    return record;
}

static void expect_same_value(const struct column *column, const void *a, const void *b) {
    double left, right;
    switch (column->type) {
    case COLUMN_INTEGER:
        cr_expect_eq(column_integer(column, a), column_integer(column, b), "%s", column->name);
        break;
    case COLUMN_REAL:
        left = column_real(column, a);
        right = column_real(column, b);
        cr_expect((isnan(left) && isnan(right)) || left == right, "%s: %g is not %g", column->name, left, right);
        break;
    case COLUMN_TEXT:
        cr_expect_str_eq(column_text(column, a), column_text(column, b), "%s", column->name);
        break;
    }
}

static void expect_same(const struct record *a, const struct record *b) {
    for (int t = 0; t < TABLE_COUNT; t++) {
        cr_assert_eq(a->tables[t].count, b->tables[t].count, "%s", results_schema[t].name);
        for (size_t r = 0; r < a->tables[t].count; r++) {
            for (size_t c = 0; c < results_schema[t].column_count; c++) {
                expect_same_value(&results_schema[t].columns[c], table_row(&a->tables[t], r),
                                  table_row(&b->tables[t], r));
            }
        }
    }
    cr_assert_eq(a->fact_count, b->fact_count);
    for (size_t i = 0; i < a->fact_count; i++) {
        cr_expect_str_eq(a->facts[i].key, b->facts[i].key, "facts keep their order");
        cr_expect_str_eq(a->facts[i].value, b->facts[i].value);
        cr_expect_str_eq(a->facts[i].unit, b->facts[i].unit);
    }
    cr_assert_eq(a->image_count, b->image_count);
    for (size_t i = 0; i < a->image_count; i++) {
        cr_assert_eq(a->images[i].height, b->images[i].height);
        cr_assert_eq(a->images[i].width, b->images[i].width);
        size_t size_bytes = (size_t)a->images[i].height * (size_t)a->images[i].width * 3;
        cr_expect_arr_eq(a->images[i].pixels, b->images[i].pixels, size_bytes);
    }
}

Test(store, every_type_comes_back) {
    char *path = support_path("run.h5");
    struct record *record = support_make_record();
    write_or_die(path, record);
    struct record *read = read_or_die(path);
    expect_same(record, read);
    record_free(read);
    record_free(record);
}

Test(store, an_empty_record_comes_back) {
    char *path = support_path("run.h5");
    struct record *record = record_create();
    write_or_die(path, record);
    struct record *read = read_or_die(path);
    expect_same(record, read);
    record_free(read);
    record_free(record);
}

Test(store, many_samples_and_facts_and_a_large_picture_come_back) {
    char *path = support_path("run.h5");
    struct record *record = record_create();
    for (int i = 0; i < 100000; i++) { /* more than a chunk */
        struct sample_row *sample = record_append(record, TABLE_SAMPLES);
        sample->case_id = record_format(record, "model-%d/cpu", i % 7);
        sample->wall_ns = INT64_C(1) << (i % 63);
    }
    for (int i = 0; i < 100; i++) {
        char key[32];
        snprintf(key, sizeof key, "fact_%d", i);
        cr_assert(record_add_fact(record, key, i % 2 ? "" : "value", i % 3 ? "" : "ns"));
    }
    const int64_t side = 1000; /* 3 MB: several chunks */
    uint8_t *pixels = malloc((size_t)(side * side * 3));
    for (int64_t i = 0; i < side * side * 3; i++) {
        pixels[i] = (uint8_t)(i * i >> 3);
    }
    cr_assert(record_add_image(record, "x", "decoded", side, side, pixels, 1));
    free(pixels);
    write_or_die(path, record);
    struct record *read = read_or_die(path);
    expect_same(record, read);
    record_free(read);
    record_free(record);
}

static size_t count_files(const char *path_in_folder) {
    char *folder = strdup(path_in_folder);
    *strrchr(folder, '/') = '\0';
    DIR *listing = opendir(folder);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(listing));) {
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    }
    closedir(listing);
    free(folder);
    return count;
}

/* The disk "fills up" at 4 KiB. */
Test(store, a_failed_write_leaves_the_old_file_and_nothing_else) {
    char *path = support_path("run.h5");
    struct record *record = support_make_record();
    write_or_die(path, record);
    size_t old_bytes = 0, new_bytes = 0;
    char *old_text = support_read_file(path, &old_bytes);
    record_add_fact(record, "more", "of it", "");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit, tight = {4096, 4096};
    getrlimit(RLIMIT_FSIZE, &limit);
    tight.rlim_max = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &tight);
    struct results_error error = {""};
    bool written = store_write(path, record, &error);
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_expect_not(written);
    cr_expect_not_null(strstr(error.message, path), "%s", error.message);
    char *new_text = support_read_file(path, &new_bytes);
    cr_assert_eq(new_bytes, old_bytes);
    cr_expect_arr_eq(new_text, old_text, old_bytes);
    cr_expect_eq(count_files(path), 1, "what was half written is gone");
    free(new_text);
    free(old_text);
    record_free(record);
}

Test(store, places_that_cannot_be_written_are_named_with_a_remedy) {
    static const struct {
        const char *path, *reason;
    } places[] = {{"/nonexistent-folder/run.h5", "make the folder"},
                  {"/proc/run.h5", "choose another name"},
                  {"/dev/null/run.h5", "is a file, not a folder"},
                  {"/tmp", "a folder has that name"}};
    struct record *record = record_create();
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct results_error error = {""};
        cr_expect_not(store_write(places[i].path, record, &error));
        cr_expect_not_null(strstr(error.message, places[i].path), "%s", error.message);
        cr_expect_not_null(strstr(error.message, places[i].reason), "%s", error.message);
    }
    record_free(record);
}

/* Two runs that found the same can be compared by cmp; and the bytes of a test's file do not change from day to day. */
Test(store, the_same_record_makes_the_same_bytes) {
    size_t size_bytes[2] = {0, 0};
    char *bytes[2];
    for (int i = 0; i < 2; i++) {
        char *path = support_path("run.h5");
        struct record *record = support_make_record();
        write_or_die(path, record);
        bytes[i] = support_read_file(path, &size_bytes[i]);
        record_free(record);
        usleep(i == 0 ? 1100000 : 0); /* HDF5's times are in seconds */
    }
    cr_assert_eq(size_bytes[0], size_bytes[1]);
    cr_expect_arr_eq(bytes[0], bytes[1], size_bytes[0]);
    free(bytes[0]);
    free(bytes[1]);
}

Test(store, a_new_file_has_the_usual_rights) {
    char *path = support_path("run.h5");
    struct record *record = record_create();
    umask(022);
    write_or_die(path, record);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0644);
    record_free(record);
}

/* For test_h5py.py, which runs this program for a file to read; alone it proves that the name may be relative. */
Test(store, sample_file) {
    const char *path = getenv("VAEMARK_RESULTS_SAMPLE");
    struct record *record = support_make_record();
    if (path) {
        write_or_die(path, record);
    } else {
        char *elsewhere = support_path("run.h5");
        *strrchr(elsewhere, '/') = '\0';
        cr_assert_eq(chdir(elsewhere), 0);
        write_or_die("run.h5", record);
        struct record *read = read_or_die("run.h5");
        cr_expect_eq(read->tables[TABLE_CASES].count, 2);
        record_free(read);
    }
    record_free(record);
}
