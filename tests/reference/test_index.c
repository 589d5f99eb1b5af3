/* Indexes of shards: good ones join their files, bent ones are refused, whatever they say. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/weights.h"
#include "tests/reference/support_files.h"

static const float NUMBERS[4] = {1, 2, 3, 4};

static void write_shard(const char *folder, const char *file, const char *const *names, size_t count) {
    struct vaemark_tensor items[4];
    struct error error = {.status = VAEMARK_OK};
    struct shape shape = {.rank = 1, .dims = {2}};
    for (size_t i = 0; i < count; i++) {
        items[i] = tensor_make(names[i], VAEMARK_F32, &shape, (void *)(NUMBERS + i));
    }
    struct vaemark_tensors tensors = {.items = items, .count = count};
    cr_assert_eq(weights_write(support_path("%s/%s", folder, file), &tensors, &error), VAEMARK_OK, "%s", error.message);
}

/* one.safetensors holds a and b, two.safetensors holds c. */
static const char *make_shards(void) {
    const char *folder = support_folder();
    write_shard(folder, "one.safetensors", (const char *const[]){"a", "b"}, 2);
    write_shard(folder, "two.safetensors", (const char *const[]){"c"}, 1);
    return folder;
}

static const char GOOD[] = "{\"metadata\":{\"total_size\":24},\"weight_map\":{\"a\":\"one.safetensors\","
                           "\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"}}";

Test(index, shards_are_one_checkpoint) {
    const char *folder = make_shards(), *path = support_path("%s/x.safetensors.index.json", folder);
    struct weights *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    support_write_text(path, GOOD);
    cr_assert_eq(weights_open(path, &weights, &error), VAEMARK_OK, "%s: %s", error.where, error.message);
    cr_expect_eq(weights_count(weights), 3);
    cr_expect_eq(*(const float *)weights_find(weights, "b")->data, 2);
    cr_expect_eq(*(const float *)weights_find(weights, "c")->data, 1);
    cr_expect_eq(weights_file_count(weights), 3);
    cr_expect_str_eq(weights_file_path(weights, 0), path);
    cr_expect_str_eq(weights_file_path(weights, 1), support_path("%s/one.safetensors", folder));
    cr_expect_str_eq(weights_file_path(weights, 2), support_path("%s/two.safetensors", folder));
    int64_t size_bytes = 0;
    for (size_t i = 0; i < 3; i++) {
        struct weights *part = NULL;
        if (i > 0) {
            cr_assert_eq(weights_open(weights_file_path(weights, i), &part, &error), VAEMARK_OK);
            size_bytes += weights_file_bytes(part);
            weights_free(part);
        }
    }
    cr_expect_eq(weights_file_bytes(weights), size_bytes + (int64_t)strlen(GOOD));
    weights_free(weights);
}

#define MAP(entries) "{\"weight_map\":{" entries "}}"
#define AB           "\"a\":\"one.safetensors\",\"b\":\"one.safetensors\""
#define C            "\"c\":\"two.safetensors\""

static const struct {
    const char *what, *text, *words;
} HOSTILE[] = {
    {"cut off", "{\"weight_map\":{\"a\":\"one.saf", "not valid JSON"},
    {"no map", "{\"metadata\":{}}", "no \"weight_map\""},
    {"a configuration", "{\"_class_name\":\"AutoencoderKL\"}", "no \"weight_map\""},
    {"map is a list", "{\"weight_map\":[]}", "unusable \"weight_map\""},
    {"map is empty", "{\"weight_map\":{}}", "is empty"},
    {"map twice", "{\"weight_map\":{},\"weight_map\":{" AB "," C "}}", "duplicate"},
    {"tensor twice", MAP(AB ",\"a\":\"two.safetensors\"," C), "duplicate"},
    {"shard is a number", MAP(AB ",\"c\":3"), "not mapped to a text"},
    {"shard is null", MAP(AB ",\"c\":null"), "not mapped to a text"},
    {"path upwards", MAP(AB ",\"c\":\"../two.safetensors\""), "plain name"},
    {"path into a folder", MAP(AB ",\"c\":\"sub/two.safetensors\""), "plain name"},
    {"absolute path", MAP(AB ",\"c\":\"/etc/passwd\""), "plain name"},
    {"backslashes", MAP(AB ",\"c\":\"..\\\\two.safetensors\""), "plain name"},
    {"dot", MAP(AB ",\"c\":\".\""), "plain name"},
    {"dots", MAP(AB ",\"c\":\"..\""), "plain name"},
    {"hidden", MAP(AB ",\"c\":\".two.safetensors\""), "plain name"},
    {"nothing", MAP(AB ",\"c\":\"\""), "plain name"},
    {"control characters", MAP(AB ",\"c\":\"two\\u001b[2J\""), "plain name"},
    {"zero in the name", MAP(AB ",\"c\":\"two.safetensors\\u0000x\""), "not valid JSON"},
    {"shard missing", MAP(AB ",\"c\":\"three.safetensors\""), "not beside it"},
    {"itself", MAP(AB ",\"c\":\"x.safetensors.index.json\""), "safetensors"},
    {"a pickle", MAP(AB ",\"c\":\"bad.bin\""), "pickle"},
    {"mapped to a shard that lacks it", MAP(AB "," C ",\"d\":\"two.safetensors\""), "does not hold it"},
    {"mapped to the wrong shard", MAP("\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"," C), "maps it to"},
    {"not mapped", MAP("\"a\":\"one.safetensors\"," C), "does not map it"},
};

Test(index, hostile_indexes_are_refused) {
    const char *folder = make_shards(), *path = support_path("%s/x.safetensors.index.json", folder);
    support_write(support_path("%s/bad.bin", folder), "\x80\x02}q\x00.", 6);
    for (size_t i = 0; i < sizeof HOSTILE / sizeof HOSTILE[0]; i++) {
        struct weights *weights = (struct weights *)&weights;
        struct error error = {.status = VAEMARK_OK};
        support_write_text(path, HOSTILE[i].text);
        cr_expect_eq(weights_open(path, &weights, &error), VAEMARK_BAD_INPUT, "%s", HOSTILE[i].what);
        cr_expect_null(weights);
        cr_expect_not_null(strstr(error.message, HOSTILE[i].words), "%s: '%s' lacks '%s'", HOSTILE[i].what,
                           error.message, HOSTILE[i].words);
        cr_expect_not_null(strstr(error.where, folder), "%s: %s", HOSTILE[i].what, error.where);
        cr_expect_null(strchr(error.message, '\x1b'), "%s drives the terminal", HOSTILE[i].what);
    }
}

/* A tensor that lies in two shards, and a shard that was damaged. */
Test(index, shards_that_disagree_are_refused) {
    const char *folder = make_shards(), *path = support_path("%s/x.safetensors.index.json", folder);
    struct weights *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    support_write_text(path, GOOD);
    write_shard(folder, "two.safetensors", (const char *const[]){"a", "c"}, 2);
    cr_expect_eq(weights_open(path, &weights, &error), VAEMARK_BAD_INPUT);
    cr_expect_not_null(strstr(error.where, "'a'"), "%s", error.where);
    cr_expect_not_null(strstr(error.message, "'two.safetensors'"), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "'one.safetensors'"), "%s", error.message);
    support_write_text(support_path("%s/two.safetensors", folder), "Entry not found");
    cr_expect_eq(weights_open(path, &weights, &error), VAEMARK_BAD_INPUT);
    cr_expect_not_null(strstr(error.where, "two.safetensors"), "%s", error.where);
}

/* Every prefix, and every byte bent: an answer without a crash, and never success where the map is not the good one. */
Test(index, bent_bytes_never_crash) {
    const char *folder = make_shards(), *path = support_path("%s/x.safetensors.index.json", folder);
    static const char BENT[] = {'{', '}', '"', '\\', '/', '.', '[', ',', ':', '\x01', '\xff', '0', 'x', ' '};
    struct weights *weights = NULL;
    size_t refused = 0, length = strlen(GOOD);
    char text[sizeof GOOD];
    for (size_t size = 1; size < length; size++) {
        support_write(path, GOOD, size);
        cr_expect_eq(weights_open(path, &weights, NULL), VAEMARK_BAD_INPUT, "cut to %zu bytes", size);
    }
    for (size_t i = 0; i < length; i++) {
        memcpy(text, GOOD, sizeof text);
        text[i] = BENT[i % sizeof BENT];
        support_write(path, text, length);
        if (weights_open(path, &weights, NULL) == VAEMARK_OK) {
            cr_expect_eq(weights_count(weights), 3, "byte %zu", i);
            weights_free(weights);
        } else {
            refused++;
        }
    }
    cr_expect_gt(refused, length / 2);
}
