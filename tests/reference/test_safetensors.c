/* Safetensors files from strangers: every way of lying in the header costs an error that names file and tensor, and
 * nothing else. CI runs this under AddressSanitizer too. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reference/weights.h"
#include "tests/reference/support_files.h"

/* Length, header, `data_size_bytes` bytes 0, 1, 2, ... */
static const char *write_file(const char *name, const char *header, size_t header_size_bytes, uint64_t length,
                              size_t data_size_bytes) {
    const char *path = support_path("%s/%s", support_folder(), name);
    size_t size_bytes = 8 + header_size_bytes + data_size_bytes;
    unsigned char *bytes = malloc(size_bytes);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(length >> (8 * i));
    }
    memcpy(bytes + 8, header, header_size_bytes);
    for (size_t i = 0; i < data_size_bytes; i++) {
        bytes[8 + header_size_bytes + i] = (unsigned char)i;
    }
    support_write(path, bytes, size_bytes);
    free(bytes);
    return path;
}

static const char *write_header(const char *header, size_t data_size_bytes) {
    return write_file("x.safetensors", header, strlen(header), strlen(header), data_size_bytes);
}

static struct weights *open_good(const char *path) {
    struct weights *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    cr_assert_eq(weights_open(path, &weights, &error), VAEMARK_OK, "%s: %s", error.where, error.message);
    return weights;
}

/* Opening fails, tells `words`, and names the file. */
static void expect_refused(const char *path, const char *case_name, const char *words) {
    struct weights *weights = (struct weights *)&weights;
    struct error error = {.status = VAEMARK_OK};
    enum vaemark_status status = weights_open(path, &weights, &error);
    cr_expect_eq(status, VAEMARK_BAD_INPUT, "%s: status %s", case_name, status_name(status));
    cr_expect_null(weights, "%s", case_name);
    cr_expect_eq(strncmp(error.where, path, strlen(path)), 0, "%s: where is '%s'", case_name, error.where);
    char whole[sizeof error.where + sizeof error.message];
    snprintf(whole, sizeof whole, "%s|%s", error.where, error.message);
    cr_expect_not_null(strstr(whole, words), "%s: '%s' lacks '%s'", case_name, whole, words);
}

struct bad_header {
    const char *what, *header;
    size_t data_size_bytes;
    const char *words;
};

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct bad_header BAD_HEADERS[] = {
    {"not JSON", "{\"a\":", 0, "not valid JSON"},
    {"not JSON at all", "\x80\x02}q", 0, "not valid JSON"},
    {"a list", "[]", 0, "not a JSON object"},
    {"something behind the JSON", "{} {}", 0, "not valid JSON"},
    {"empty header", "", 0, "not valid JSON"},
    {"duplicate tensor", "{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[0,4]") "}", 4, "duplicate"},
    {"duplicate key", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "duplicate"},
    {"tensor is a number", "{\"a\":1}", 0, "tensor 'a'"},
    {"metadata not an object", "{\"__metadata__\":[]}", 0, "__metadata__"},
    {"metadata not text", "{\"__metadata__\":{\"a\":1}}", 0, "__metadata__"},
    {"no dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "'dtype'"},
    {"unknown dtype", "{\"a\":" T("F33", "[1]", "[0,4]") "}", 4, "'F33'"},
    {"dtype a number", "{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "'dtype'"},
    {"no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "'shape'"},
    {"negative dimension", "{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4, "dimension 0"},
    {"two negative dimensions", "{\"a\":" T("F32", "[-1,-1]", "[0,4]") "}", 4, "dimension 0"},
    {"fractional dimension", "{\"a\":" T("F32", "[1.0]", "[0,4]") "}", 4, "dimension 0"},
    {"text dimension", "{\"a\":" T("F32", "[1,\"1\"]", "[0,4]") "}", 4, "dimension 1"},
    {"dimension beyond 2^63", "{\"a\":" T("F32", "[9223372036854775808]", "[0,4]") "}", 4, "not valid JSON"},
    {"rank 9", "{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "rank 9"},
    {"product overflows to 1", "{\"a\":" T("F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "larger than any memory"},
    {"bytes overflow to 4", "{\"a\":" T("F32", "[4611686018427387905]", "[0,4]") "}", 4, "larger than any memory"},
    {"zero beside overflow", "{\"a\":" T("F32", "[0,4611686018427387905,4611686018427387905]", "[0,0]") "}", 0,
     "larger than any memory"},
    {"no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "'data_offsets'"},
    {"three offsets", "{\"a\":" T("F32", "[1]", "[0,4,4]") "}", 4, "'data_offsets'"},
    {"negative offset", "{\"a\":" T("F32", "[1]", "[-4,0]") "}", 4, "data_offsets"},
    {"fractional offset", "{\"a\":" T("F32", "[1]", "[0,4.0]") "}", 4, "data_offsets"},
    {"offsets backwards", "{\"a\":" T("F32", "[1]", "[4,0]") "}", 4, "backwards"},
    {"offset beyond the file", "{\"a\":" T("F32", "[2]", "[0,8]") "}", 4, "cut short"},
    {"offset 2^63-1", "{\"a\":" T("F32", "[1]", "[9223372036854775803,9223372036854775807]") "}", 4, "cut short"},
    {"shape smaller than data", "{\"a\":" T("F32", "[1]", "[0,8]") "}", 8, "takes 4 bytes, but its data has 8"},
    {"shape larger than data", "{\"a\":" T("F16", "[3]", "[0,4]") "}", 4, "takes 6 bytes, but its data has 4"},
    {"half a byte", "{\"a\":" T("F4", "[3]", "[0,2]") "}", 2, "takes 2 bytes"},
    {"overlap", "{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[4,12]") "}", 12, "overlaps tensor 'a'"},
    {"same place", "{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[0,4]") "}", 4, "overlaps"},
    {"gap", "{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[8,12]") "}", 12, "gap"},
    {"gap in front", "{\"a\":" T("F32", "[1]", "[4,8]") "}", 8, "gap"},
    {"rest behind", "{\"a\":" T("F32", "[1]", "[0,4]") "}", 9, "5 bytes behind"},
    {"nothing but a rest", "{}", 1, "1 bytes behind"},
    {"zero inside another", "{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[0]", "[4,4]") "}", 8, "overlaps"},
    {"terminal control in a name", "{\"\\u001b[2J\":1}", 0, "tensor '?[2J'"},
    {"no UTF-8 in a name", "{\"\xff\":1}", 0, "not valid JSON"},
};

Test(safetensors, bad_headers_are_refused_with_their_reason) {
    const char *folder = support_folder();
    for (size_t i = 0; i < sizeof BAD_HEADERS / sizeof BAD_HEADERS[0]; i++) {
        const struct bad_header *bad = &BAD_HEADERS[i];
        size_t length = strlen(bad->header);
        unsigned char *bytes = calloc(1, 8 + length + bad->data_size_bytes);
        bytes[0] = (unsigned char)length;
        bytes[1] = (unsigned char)(length >> 8);
        memcpy(bytes + 8, bad->header, length);
        const char *path = support_path("%s/bad.safetensors", folder);
        support_write(path, bytes, 8 + length + bad->data_size_bytes);
        expect_refused(path, bad->what, bad->words);
        free(bytes);
    }
}

Test(safetensors, what_is_no_safetensors_file_is_refused) {
    const char *folder = support_folder();
    expect_refused(folder, "folder", "is a folder");
    expect_refused(support_path("%s/none.safetensors", folder), "missing", "No such file");
    expect_refused(support_path("%s/a/b.safetensors", folder), "missing folder", "No such file");
    const char *path = support_path("%s/short.safetensors", folder);
    support_write(path, "", 0);
    expect_refused(path, "empty", "is empty");
    support_write(path, "\x02\0\0\0\0\0\0", 7);
    expect_refused(path, "seven bytes", "only 7 bytes long");
    const char *pipe = support_path("%s/pipe", folder);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    expect_refused(pipe, "pipe", "not a regular file");
}

Test(safetensors, header_lengths_that_lie_are_refused) {
    const uint64_t lengths[] = {3,          4096,          UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63,
                                UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        expect_refused(write_file("x.safetensors", "{}", 2, lengths[i], 0), "length", "bytes long, but only 2 follow");
    }
    expect_refused(write_file("x.safetensors", "{}", 2, 1, 0), "one byte short", "not valid JSON");
}

/* Larger than any real header, though the file holds it. */
Test(safetensors, enormous_headers_are_refused) {
    size_t size_bytes = (16 << 20) + 1;
    char *header = malloc(size_bytes);
    memset(header, ' ', size_bytes);
    header[0] = '{';
    header[1] = '}';
    expect_refused(write_file("x.safetensors", header, size_bytes, size_bytes, 0), "enormous", "at most 16777216");
    free(header);
}

/* A recursive parser without a limit would run out of stack. */
Test(safetensors, deep_json_is_refused) {
    enum { DEPTH = 100000 };
    const char openers[] = {'[', '{'};
    for (int kind = 0; kind < 2; kind++) {
        size_t unit = kind == 0 ? 1 : 5;
        char *header = malloc(DEPTH * unit + 6);
        char *end = header + sprintf(header, "{\"a\":");
        for (int i = 0; i < DEPTH; i++) {
            end += kind == 0 ? sprintf(end, "%c", openers[0]) : sprintf(end, "{\"a\":");
        }
        size_t size_bytes = (size_t)(end - header);
        expect_refused(write_file("x.safetensors", header, size_bytes, size_bytes, 0), "deep", "not valid JSON");
        free(header);
    }
}

/* Every prefix of a good file is a file cut short in download. */
Test(safetensors, every_truncation_is_refused) {
    const char *folder = support_folder();
    const char *header = "{\"a\":" T("F32", "[2,1]", "[0,8]") ",\"b\":" T("F16", "[3]", "[8,14]") "}  ";
    unsigned char bytes[256] = {0};
    size_t size_bytes = 8 + strlen(header) + 14;
    bytes[0] = (unsigned char)strlen(header);
    memcpy(bytes + 8, header, strlen(header));
    const char *path = support_path("%s/cut.safetensors", folder);
    for (size_t size = 0; size < size_bytes; size++) {
        struct weights *weights = NULL;
        support_write(path, bytes, size);
        cr_expect_eq(weights_open(path, &weights, NULL), VAEMARK_BAD_INPUT, "cut to %zu bytes", size);
        cr_expect_null(weights);
    }
    support_write(path, bytes, size_bytes);
    weights_free(open_good(path));
}

Test(safetensors, every_dtype_of_ours_is_found) {
    const char *path = write_header(
        "{\"__metadata__\":{\"format\":\"pt\"},\"f64\":" T("F64", "[1]", "[0,8]") ",\"i64\":" T(
            "I64", "[]",
            "[8,16]") ",\"f32\":" T("F32", "[1,1]",
                                    "[16,20]") ",\"i32\":" T("I32", "[1]",
                                                             "[20,24]") ",\"f16\":" T("F16", "[1]",
                                                                                      "[24,26]") ",\"bf16\":" T("BF16",
                                                                                                                "[1]",
                                                                                                                "[26,"
                                                                                                                "28]") "}",
        28);
    struct weights *weights = open_good(path);
    cr_assert_eq(weights_count(weights), 6);
    cr_expect_str_eq(weights_path(weights), path);
    cr_expect_eq(weights_find(weights, "f64")->dtype, VAEMARK_F64);
    cr_expect_eq(weights_find(weights, "i64")->dtype, VAEMARK_I64);
    cr_expect_eq(weights_find(weights, "i64")->rank, 1, "a scalar is one element");
    cr_expect_eq(weights_find(weights, "i64")->shape[0], 1);
    cr_expect_eq(weights_find(weights, "f32")->rank, 2);
    cr_expect_eq(weights_find(weights, "i32")->dtype, VAEMARK_I32);
    cr_expect_eq(weights_find(weights, "f16")->dtype, VAEMARK_F16);
    cr_expect_eq(weights_find(weights, "bf16")->dtype, VAEMARK_BF16);
    cr_expect_eq(*(const unsigned char *)weights_find(weights, "bf16")->data, 26);
    cr_expect_null(weights_find(weights, "__metadata__"));
    cr_expect_null(weights_find(weights, "f"));
    weights_free(weights);
}

/* Known to the format, unknown to us: kept out, told by its dtype. */
Test(safetensors, foreign_dtypes_are_kept_out) {
    const char *path =
        write_header("{\"a\":" T("I8", "[3]", "[0,3]") ",\"b\":" T("F8_E4M3", "[1]", "[3,4]") ",\"c\":" T(
                         "F32", "[1]", "[4,8]") ",\"d\":" T("F4", "[2]", "[8,9]") "}",
                     9);
    struct weights *weights = open_good(path);
    cr_expect_eq(weights_count(weights), 1);
    cr_expect_null(weights_find(weights, "a"));
    cr_expect_str_eq(weights_unreadable_dtype(weights, "a"), "I8");
    cr_expect_str_eq(weights_unreadable_dtype(weights, "b"), "F8_E4M3");
    cr_expect_str_eq(weights_unreadable_dtype(weights, "d"), "F4");
    cr_expect_null(weights_unreadable_dtype(weights, "c"));
    cr_expect_null(weights_unreadable_dtype(weights, "e"));
    weights_free(weights);
}

Test(safetensors, tensors_of_no_size_are_parsed) {
    const char *path = write_header("{\"a\":" T("F32", "[0]", "[0,0]") ",\"b\":" T("F32", "[1]", "[0,4]") ",\"c\":" T(
                                        "F64", "[3,0,2]", "[4,4]") "}",
                                    4);
    struct weights *weights = open_good(path);
    cr_expect_eq(weights_count(weights), 3);
    cr_expect_eq(tensor_size_bytes(weights_find(weights, "c")), 0);
    weights_free(weights);
    weights_free(open_good(write_header("{}", 0)));
}

/* The format allows any header length, so data may lie at any address. */
Test(safetensors, misaligned_data_is_read) {
    const char *header = "{\"a\":" T("F64", "[2]", "[0,16]") ",\"b\":" T("F32", "[1]", "[16,20]") "}";
    double numbers[2] = {1.5, -3e300};
    float number = 0.1f;
    for (size_t padding = 0; padding < 8; padding++) {
        const char *path = support_path("%s/x.safetensors", support_folder());
        unsigned char bytes[256] = {0};
        size_t length = strlen(header) + padding;
        bytes[0] = (unsigned char)length;
        memset(bytes + 8, ' ', length);
        memcpy(bytes + 8, header, strlen(header));
        memcpy(bytes + 8 + length, numbers, 16);
        memcpy(bytes + 8 + length + 16, &number, 4);
        support_write(path, bytes, 8 + length + 20);
        struct weights *weights = open_good(path);
        double read[2];
        float read_single;
        tensor_read_f64(read, weights_find(weights, "a"), 0, 2);
        tensor_read_f32(&read_single, weights_find(weights, "b"), 0, 1);
        cr_expect_eq(memcmp(read, numbers, sizeof read), 0, "padding %zu", padding);
        cr_expect_eq(memcmp(&read_single, &number, sizeof number), 0, "padding %zu", padding);
        weights_free(weights);
    }
}

Test(safetensors, freeing_nothing_is_fine) {
    weights_free(NULL);
}

static void count_text(const char *key, const char *value, void *user) {
    int *matches = user;
    *matches += strcmp(key, "model") == 0 && strcmp(value, "sd15") == 0;
    *matches += strcmp(key, "note") == 0 && strcmp(value, "a \"quoted\" text") == 0;
}

Test(safetensors, texts_are_written_and_found) {
    const char *path = support_path("%s/described.safetensors", support_folder());
    float data[2] = {1, 2};
    struct shape shape = {.rank = 1, .dims = {2}};
    struct vaemark_tensor tensor = tensor_make("x", VAEMARK_F32, &shape, data);
    struct vaemark_tensors tensors = {.items = &tensor, .count = 1};
    const struct weights_text texts[] = {{"model", "sd15"}, {"note", "a \"quoted\" text"}}, bad = {"model", "\xff"};
    int matches = 0;
    cr_assert_eq(weights_write_described(path, &tensors, texts, 2, NULL), VAEMARK_OK);
    struct weights *weights = open_good(path);
    cr_expect_eq(weights_metadata_count(weights), 2);
    cr_expect_str_eq(weights_metadata_find(weights, "model"), "sd15");
    cr_expect_null(weights_metadata_find(weights, "x"), "a tensor is no text");
    weights_metadata_visit(weights, count_text, &matches);
    cr_expect_eq(matches, 2);
    cr_expect_eq(*(const float *)weights_find(weights, "x")->data, 1);
    weights_free(weights);
    cr_expect_neq(weights_write_described(path, &tensors, &bad, 1, NULL), VAEMARK_OK, "not UTF-8");
    weights = open_good(write_header("{}", 0));
    cr_expect_eq(weights_metadata_count(weights), 0);
    cr_expect_null(weights_metadata_find(weights, "model"));
    weights_metadata_visit(weights, count_text, &matches);
    weights_free(weights);
}
