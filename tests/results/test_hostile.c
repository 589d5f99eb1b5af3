/* Files that are not what they should be. Nothing here may crash or hang, whatever the answer. */
#include "results/store.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { SEAL_BYTES = 512 };

static char *make_file(const char *path, size_t *size_bytes) {
    struct results_error error = {""};
    struct record *record = support_make_record();
    cr_assert(store_write(path, record, &error), "%s", error.message);
    record_free(record);
    char *bytes = support_read_file(path, size_bytes);
    cr_assert(bytes && *size_bytes > 10000);
    return bytes;
}

/* Reads; a refusal names the file and says something. */
static bool read_it(const char *path, char message[1024]) {
    struct results_error error = {""};
    struct record *record = store_read(path, &error);
    bool read = record != NULL;
    record_free(record);
    cr_assert(read || strncmp(error.message, path, strlen(path)) == 0, "'%s'", error.message);
    memcpy(message, error.message, 1024);
    return read;
}

Test(hostile, a_file_cut_short_is_refused_at_every_length) {
    char *path = support_path("run.h5");
    char message[1024];
    size_t size_bytes;
    char *bytes = make_file(path, &size_bytes);
    for (size_t length = 0; length < size_bytes; length += length < 2000 ? 37 : 991) {
        support_write_file(path, bytes, length);
        cr_expect_not(read_it(path, message), "%zu of %zu bytes", length, size_bytes);
    }
    cr_expect_not_null(strstr(message, "cut short"), "%s", message);
    free(bytes);
}

Test(hostile, a_single_changed_byte_is_found_anywhere) {
    char *path = support_path("run.h5");
    char message[1024];
    size_t size_bytes;
    char *bytes = make_file(path, &size_bytes);
    for (size_t i = SEAL_BYTES; i < size_bytes; i += 173) {
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        support_write_file(path, bytes, size_bytes);
        cr_expect_not(read_it(path, message), "byte %zu", i);
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    }
    cr_expect_not_null(strstr(message, "checksum"), "%s", message);
    support_write_file(path, bytes, size_bytes);
    cr_expect(read_it(path, message), "%s", message);
    free(bytes);
}

Test(hostile, a_damaged_seal_is_refused) {
    char *path = support_path("run.h5");
    char message[1024];
    size_t size_bytes;
    char *bytes = make_file(path, &size_bytes);
    for (size_t i = 0; i < 128; i++) { /* its text; behind it is padding */
        char kept = bytes[i];
        bytes[i] = '#';
        support_write_file(path, bytes, size_bytes);
        bool read = read_it(path, message);
        bytes[i] = kept;
        /* The first half tells whose file it is: without it the rest is judged as anybody's HDF5. And a figure's line
         * may be ended by padding's newline as well. */
        bool whole_otherwise = i < 40 || kept == '\n';
        cr_expect(!read || whole_otherwise, "byte %zu", i);
    }
    free(bytes);
}

/* Without a seal (as software of others writes it) HDF5 has to find the damage, in a child process. */
Test(hostile, files_without_a_seal_are_tried_apart, .timeout = 300) {
    char *path = support_path("run.h5");
    char message[1024];
    size_t size_bytes;
    char *bytes = make_file(path, &size_bytes);
    memset(bytes, 0, SEAL_BYTES);
    support_write_file(path, bytes, size_bytes);
    cr_assert(read_it(path, message), "%s", message);
#ifndef __SANITIZE_ADDRESS__ /* which would report HDF5's own H5HG_read, in the child, as our defect */
    size_t refused = 0, tried = 0;
    for (size_t i = SEAL_BYTES; i < size_bytes; i += 641, tried++) {
        char kept = bytes[i];
        bytes[i] = (char)~kept;
        support_write_file(path, bytes, size_bytes);
        refused += !read_it(path, message);
        bytes[i] = kept;
    }
    cr_expect(refused > tried / 20, "%zu of %zu", refused, tried);
#endif
    for (size_t length = SEAL_BYTES; length < size_bytes; length += 4999) {
        support_write_file(path, bytes, length);
        cr_expect_not(read_it(path, message), "%zu of %zu bytes", length, size_bytes);
    }
    free(bytes);
}

#ifndef __SANITIZE_ADDRESS__
/* HDF5 1.10 believes the size of a text in its heap and copies past the end of memory. With a seal the file is never
 * shown to HDF5; without one, it is a child that dies. */
Test(hostile, a_file_that_crashes_hdf5_is_refused) {
    char *path = support_path("run.h5");
    char message[1024];
    size_t size_bytes;
    char *bytes = make_file(path, &size_bytes);
    char *heap = memmem(bytes, size_bytes, "GCOL", 4);
    cr_assert(heap && heap + 32 < bytes + size_bytes);
    heap[16 + 8 + 3] = '\xff'; /* in the first object's size: 4 GB */
    support_write_file(path, bytes, size_bytes);
    cr_expect_not(read_it(path, message));
    cr_expect_not_null(strstr(message, "checksum"), "%s", message);
    memset(bytes, 0, SEAL_BYTES);
    support_write_file(path, bytes, size_bytes);
    cr_expect_not(read_it(path, message));
    cr_expect_not_null(strstr(message, "crashed or hung"), "%s", message);
    free(bytes);
}
#endif

Test(hostile, what_is_no_result_file_is_called_what_it_is) {
    char message[1024];
    char *path = support_path("not.h5");
    cr_expect_not(read_it(path, message));
    cr_expect_not_null(strstr(message, "No such file"), "%s", message);
    support_write_file(path, "", 0);
    cr_expect_not(read_it(path, message));
    cr_expect_not_null(strstr(message, "is empty"), "%s", message);
    support_write_file(path, "a letter to somebody", 20);
    cr_expect_not(read_it(path, message));
    cr_expect_not_null(strstr(message, "is not an HDF5 file"), "%s", message);
    cr_expect_not(read_it("/tmp", message));
    cr_expect_not_null(strstr(message, "is a folder"), "%s", message);
    cr_expect_not(read_it("/dev/zero", message));
    cr_expect_not_null(strstr(message, "is a device"), "%s", message);
}
