/* The journal: what goes in comes out, what is torn is dropped, what is foreign is refused, and two do not write at
 * once. */
#include "results/journal.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results/schema.h"
#include "support.h"

static const char *const case_ids[] = {"a/cpu/fp32/plain/1x4x4x4", "b/cpu/fp32/plain/1x4x4x4"};
enum { CASE_COUNT = 2, PREAMBLE_BYTES = 64 };

static struct journal *open_it(const char *path) {
    struct journal *journal = NULL;
    struct results_error error = {""};
    cr_assert_eq(journal_open(path, true, &journal, &error), JOURNAL_OPENED, "%s", error.message);
    return journal;
}

static struct journal_content read_it(struct journal *journal) {
    struct journal_content content;
    struct results_error error = {""};
    cr_assert(journal_read(journal, &content, &error), "%s", error.message);
    return content;
}

/* A picture whose row says the same as itself, as a run's do. */
static void add_picture(struct record *record) {
    uint8_t pixels[2 * 3 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)(i * 7);
    }
    cr_assert(record_add_image(record, case_ids[0], "decoded", 2, 3, pixels, 1));
}

static bool same_value(const struct column *column, const void *a, const void *b) {
    return column->type == COLUMN_TEXT
               ? strcmp(column_text(column, a), column_text(column, b)) == 0
               : memcmp((const char *)a + column->offset, (const char *)b + column->offset, 8) == 0;
}

static void assert_same(const struct record *a, const struct record *b) {
    cr_assert_eq(a->fact_count, b->fact_count);
    for (size_t i = 0; i < a->fact_count; i++) {
        cr_assert_str_eq(a->facts[i].key, b->facts[i].key);
        cr_assert_str_eq(a->facts[i].value, b->facts[i].value);
        cr_assert_str_eq(a->facts[i].unit, b->facts[i].unit);
    }
    for (int t = 0; t < TABLE_COUNT; t++) {
        cr_assert_eq(a->tables[t].count, b->tables[t].count, "/%s", results_schema[t].name);
        for (size_t i = 0; i < a->tables[t].count; i++) {
            for (size_t k = 0; k < results_schema[t].column_count; k++) {
                const struct column *column = &results_schema[t].columns[k];
                cr_assert(same_value(column, table_row(&a->tables[t], i), table_row(&b->tables[t], i)),
                          "/%s/%s row %zu", results_schema[t].name, column->name, i);
            }
        }
    }
    cr_assert_eq(a->image_count, b->image_count);
    for (size_t i = 0; i < a->image_count; i++) {
        cr_assert_eq(a->images[i].height, b->images[i].height);
        cr_assert_eq(a->images[i].width, b->images[i].width);
        cr_assert_arr_eq(a->images[i].pixels, b->images[i].pixels,
                         (size_t)(a->images[i].height * a->images[i].width * 3));
    }
}

/* Two records: a head with what was there, and one with the rest of support_make_record's and a picture. */
static struct record *write_two(const char *path) {
    struct results_error error = {""};
    struct journal *journal = open_it(path);
    struct record *record = support_make_record();
    cr_assert(journal_start(journal, case_ids, CASE_COUNT, record, &error), "%s", error.message);
    support_add_case(record, "b", "AutoencoderKL", "cpu", "plain", "passed");
    support_add_check(record, case_ids[1], "quality", "passed", "fine");
    add_picture(record);
    record_add_fact(record, "run_duration", "1.5", "s");
    cr_assert(journal_append(journal, record, &error), "%s", error.message);
    journal_close(journal);
    return record;
}

Test(journal, what_goes_in_comes_out) {
    char *path = support_path("run.h5.journal");
    struct record *record = write_two(path);
    struct journal *journal = open_it(path);
    struct journal_content content = read_it(journal);
    cr_assert_not_null(content.record);
    cr_expect_eq(content.dropped_bytes, 0);
    cr_assert_eq(content.case_id_count, CASE_COUNT);
    cr_expect_str_eq(content.case_ids[1], case_ids[1]);
    assert_same(content.record, record);
    journal_content_free(&content);
    journal_close(journal);
    record_free(record);
}

Test(journal, goes_on_behind_what_was_read) {
    char *path = support_path("run.h5.journal");
    struct results_error error = {""};
    record_free(write_two(path));
    struct journal *journal = open_it(path);
    struct journal_content content = read_it(journal);
    support_add_case(content.record, "c", "AutoencoderTiny", "cpu", "plain", "failed");
    add_picture(content.record);
    cr_assert(journal_append(journal, content.record, &error), "%s", error.message);
    struct journal_content again = read_it(journal);
    assert_same(again.record, content.record);
    journal_content_free(&content);
    journal_content_free(&again);
    journal_close(journal);
}

/* A kill may cut the file anywhere. Whatever is whole is kept, and nothing crashes. */
Test(journal, a_torn_end_is_dropped_at_every_length) {
    char *path = support_path("run.h5.journal");
    struct results_error error = {""};
    size_t size_bytes, cases_seen[4] = {0};
    record_free(write_two(path));
    char *bytes = support_read_file(path, &size_bytes);
    for (size_t length = 0; length < size_bytes; length += length < 200 ? 1 : 13) {
        support_write_file(path, bytes, length);
        struct journal *journal = open_it(path);
        struct journal_content content = read_it(journal);
        size_t cases = content.record ? content.record->tables[TABLE_CASES].count : 0;
        cr_assert_lt(cases, 4);
        cases_seen[cases]++;
        cr_assert(content.record || content.dropped_bytes <= length);
        if (content.record && length % 16 == 0) { /* and the next append makes it whole again */
            cr_assert(journal_append(journal, content.record, &error), "%s", error.message);
            struct journal_content again = read_it(journal);
            cr_assert_eq(again.dropped_bytes, 0);
            assert_same(again.record, content.record);
            journal_content_free(&again);
        }
        journal_content_free(&content);
        journal_close(journal);
    }
    cr_expect_gt(cases_seen[0], PREAMBLE_BYTES); /* before the head is whole */
    cr_expect_gt(cases_seen[1] + cases_seen[2], 100);
    free(bytes);
}

Test(journal, a_changed_byte_drops_its_record_and_what_follows) {
    char *path = support_path("run.h5.journal");
    size_t size_bytes;
    struct record *record = write_two(path);
    char *bytes = support_read_file(path, &size_bytes);
    for (size_t i = PREAMBLE_BYTES; i < size_bytes; i += 61) {
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        support_write_file(path, bytes, size_bytes);
        struct journal *journal = open_it(path);
        struct journal_content content = read_it(journal);
        cr_expect_gt(content.dropped_bytes, 0, "byte %zu", i);
        cr_expect(!content.record || content.record->tables[TABLE_CASES].count < record->tables[TABLE_CASES].count);
        journal_content_free(&content);
        journal_close(journal);
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    }
    free(bytes);
    record_free(record);
}

Test(journal, what_is_no_journal_is_left_alone) {
    char *path = support_path("run.h5.journal");
    struct journal *journal = NULL;
    struct results_error error = {""};
    size_t size_bytes;
    support_write_file(path, "a letter to somebody", 20);
    cr_assert_eq(journal_open(path, true, &journal, &error), JOURNAL_UNUSABLE);
    cr_expect_not_null(strstr(error.message, path));
    cr_expect_not_null(strstr(error.message, "is not a journal"), "%s", error.message);
    char *bytes = support_read_file(path, &size_bytes);
    cr_expect_eq(size_bytes, 20);
    free(bytes);
    cr_assert_eq(journal_open("/dev/zero", true, &journal, &error), JOURNAL_UNUSABLE);
    cr_assert_eq(journal_open("/tmp", true, &journal, &error), JOURNAL_UNUSABLE);
    cr_assert_eq(journal_open(support_path("none.journal"), false, &journal, &error), JOURNAL_ABSENT);
    cr_assert_eq(journal_open(support_path("no/folder.journal"), true, &journal, &error), JOURNAL_UNUSABLE);
}

Test(journal, another_version_is_refused_with_both_named) {
    char *path = support_path("run.h5.journal");
    struct results_error error = {""};
    size_t size_bytes;
    record_free(write_two(path));
    char *bytes = support_read_file(path, &size_bytes);
    const char *const versions[] = {"vaemark journal 0 schema 1\n", "vaemark journal 1 schema 2\n",
                                    "vaemark journal \xff\n"};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        memcpy(bytes, versions[i], strlen(versions[i]));
        support_write_file(path, bytes, size_bytes);
        struct journal *journal = open_it(path);
        struct journal_content content;
        cr_assert_not(journal_read(journal, &content, &error), "%s", versions[i]);
        cr_expect_not_null(strstr(error.message, "vaemark journal 1 schema 1"), "%s", error.message);
        cr_expect_not_null(strstr(error.message, "--fresh"), "%s", error.message);
        journal_close(journal);
    }
    free(bytes);
}

/* A full disk, as far as a limit on file sizes is one: the record is not half there, and fits once there is room. */
Test(journal, what_cannot_be_written_is_not_half_written) {
    char *path = support_path("run.h5.journal");
    struct results_error error = {""};
    struct stat before, after;
    record_free(write_two(path));
    struct journal *journal = open_it(path);
    struct journal_content content = read_it(journal);
    stat(path, &before);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit, tight;
    getrlimit(RLIMIT_FSIZE, &limit);
    tight = (struct rlimit){.rlim_cur = (rlim_t)before.st_size + 100, .rlim_max = limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    support_add_case(content.record, "c", "AutoencoderTiny", "cpu", "plain", "failed");
    bool appended = journal_append(journal, content.record, &error);
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_not(appended);
    cr_expect_not_null(strstr(error.message, path), "%s", error.message);
    stat(path, &after);
    cr_expect_eq(before.st_size, after.st_size);
    support_add_case(content.record, "d", "AutoencoderTiny", "cpu", "plain", "failed");
    cr_assert(journal_append(journal, content.record, &error), "%s", error.message);
    struct journal_content again = read_it(journal);
    assert_same(again.record, content.record); /* both cases, by one append */
    journal_content_free(&content);
    journal_content_free(&again);
    journal_close(journal);
}

/* A child holds the journal until it is killed. */
Test(journal, one_process_at_a_time) {
    char *path = support_path("run.h5.journal");
    struct journal *journal = NULL;
    struct results_error error = {""};
    char pid[32], byte;
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        bool held = journal_open(path, true, &journal, &error) == JOURNAL_OPENED;
        (void)!write(ready[1], held ? "y" : "n", 1);
        pause();
        _exit(0);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert_eq(byte, 'y');
    cr_expect_eq(journal_open(path, true, &journal, &error), JOURNAL_HELD);
    snprintf(pid, sizeof pid, "process %d,", child);
    cr_expect_not_null(strstr(error.message, pid), "%s", error.message);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cr_assert_eq(journal_open(path, true, &journal, &error), JOURNAL_OPENED, "%s", error.message);
    journal_remove(journal);
    cr_expect_neq(access(path, F_OK), 0);
}
