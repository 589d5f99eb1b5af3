/* The oracle store believes nothing that it did not write: every damaged byte, every cut, every exchange is found. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "harness/oracle/oracle_store.h"
#include "reference/executor.h"

enum { PIXELS = 3 * 2 * 4 };

static const char GRAPH[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* An entry over static images; `weights` tells entries apart. */
static struct oracle_entry make_entry(int version, const char *weights) {
    static float fp32[PIXELS];
    static double fp64[PIXELS];
    struct shape shape = {.rank = 4, .dims = {1, 3, 2, 4}};
    struct oracle_entry entry = {.fp32 = tensor_make("image", VAEMARK_F32, &shape, fp32),
                                 .fp64 = tensor_make("image", VAEMARK_F64, &shape, fp64)};
    for (int i = 0; i < PIXELS; i++) {
        fp64[i] = 0.1 * i - 1;
        fp32[i] = (float)fp64[i];
    }
    oracle_label_fill(&entry.label, version, GRAPH, weights, GRAPH, "off");
    strcpy(entry.label.model, "mini");
    strcpy(entry.label.shape, "1x4x1x1");
    strcpy(entry.label.latents, "synthetic, seed 0, ring member 0");
    strcpy(entry.label.made_by, "a test");
    strcpy(entry.label.made_at, "2026-11-24T00:00:00Z");
    return entry;
}

/* A store in a fresh folder; both go with store_drop(). */
static struct oracle_store store_make(void) {
    char folder[] = "/tmp/vaemark-test-XXXXXX";
    struct oracle_store store;
    struct error error = {0};
    cr_assert_not_null(mkdtemp(folder));
    setenv("VAEMARK_CACHE", folder, 1);
    cr_assert_eq(oracle_store_open(&store, &error), VAEMARK_OK, "%s", error.message);
    return store;
}

static void store_drop(struct oracle_store *store) {
    char *command = text_format("rm -rf '%s'", getenv("VAEMARK_CACHE"));
    cr_assert_eq(system(command), 0);
    free(command);
    oracle_store_close(store);
}

static void save(const struct oracle_store *store, const struct oracle_entry *entry) {
    struct error error = {0};
    cr_assert_eq(oracle_store_save(store, entry, &error), VAEMARK_OK, "%s", error.message);
}

static enum vaemark_status load(const struct oracle_store *store, const char *key, struct oracle_entry *entry) {
    struct error error = {0};
    enum vaemark_status status = oracle_store_load(store, key, entry, &error);
    cr_assert(status == VAEMARK_OK || error.message[0], "an error without a message");
    return status;
}

static void release(struct oracle_entry *entry) {
    free(entry->fp32.data);
    free(entry->fp64.data);
}

static bool same_entry(const struct oracle_entry *a, const struct oracle_entry *b) {
    return memcmp(a->fp32.data, b->fp32.data, PIXELS * sizeof(float)) == 0 &&
           memcmp(a->fp64.data, b->fp64.data, PIXELS * sizeof(double)) == 0 &&
           strcmp(a->label.key, b->label.key) == 0 && strcmp(a->label.recipe, b->label.recipe) == 0 &&
           strcmp(a->label.model, b->label.model) == 0 && strcmp(a->label.made_at, b->label.made_at) == 0 &&
           strcmp(a->label.latents, b->label.latents) == 0;
}

static void overwrite(const char *path, const void *bytes, size_t size_bytes) {
    FILE *stream = fopen(path, "wb");
    cr_assert_not_null(stream);
    cr_assert_eq(fwrite(bytes, 1, size_bytes, stream), size_bytes);
    cr_assert_eq(fclose(stream), 0);
}

Test(oracle_store, gives_back_what_was_kept) {
    struct oracle_store store = store_make();
    struct oracle_entry kept = make_entry(REFERENCE_VERSION, GRAPH), found;
    cr_assert_not(oracle_store_has(&store, kept.label.key));
    save(&store, &kept);
    cr_assert(oracle_store_has(&store, kept.label.key));
    cr_assert_eq(load(&store, kept.label.key, &found), VAEMARK_OK);
    cr_assert(same_entry(&kept, &found));
    cr_assert(oracle_label_is_current(&found.label));
    release(&found);
    store_drop(&store);
}

Test(oracle_store, finds_every_damaged_byte) {
    static const unsigned char flips[] = {0x01, 0x20};
    struct oracle_store store = store_make();
    struct oracle_entry kept = make_entry(REFERENCE_VERSION, GRAPH), found;
    save(&store, &kept);
    char *path = oracle_store_path(&store, kept.label.key), *bytes = NULL;
    size_t size_bytes = 0, believed = 0;
    cr_assert_eq(file_read(path, 1 << 20, &bytes, &size_bytes, NULL), VAEMARK_OK);
    for (size_t at = 0; at < size_bytes; at++) {
        unsigned char flip = flips[at % sizeof flips];
        bytes[at] = (char)(bytes[at] ^ flip);
        overwrite(path, bytes, size_bytes);
        if (load(&store, kept.label.key, &found) == VAEMARK_OK) {
            believed++;
            cr_expect(same_entry(&kept, &found), "byte %zu, flip %02x", at, flip);
            release(&found);
        }
        bytes[at] = (char)(bytes[at] ^ flip);
    }
    cr_assert_eq(believed, 0, "%zu flips went unnoticed", believed);
    free(bytes);
    free(path);
    store_drop(&store);
}

Test(oracle_store, finds_every_cut_and_addition) {
    struct oracle_store store = store_make();
    struct oracle_entry kept = make_entry(REFERENCE_VERSION, GRAPH), found;
    save(&store, &kept);
    char *path = oracle_store_path(&store, kept.label.key), *bytes = NULL;
    size_t size_bytes = 0;
    cr_assert_eq(file_read(path, 1 << 20, &bytes, &size_bytes, NULL), VAEMARK_OK);
    for (size_t length = 0; length < size_bytes; length++) {
        overwrite(path, bytes, length);
        cr_expect_neq(load(&store, kept.label.key, &found), VAEMARK_OK, "cut to %zu bytes", length);
    }
    overwrite(path, bytes, size_bytes + 1); /* file_read() leaves a zero behind what it read */
    cr_expect_neq(load(&store, kept.label.key, &found), VAEMARK_OK);
    overwrite(path, bytes, size_bytes);
    cr_expect_eq(load(&store, kept.label.key, &found), VAEMARK_OK);
    release(&found);
    free(bytes);
    free(path);
    store_drop(&store);
}

Test(oracle_store, finds_another_entry_under_its_name) {
    struct oracle_store store = store_make();
    char other_weights[65];
    memset(other_weights, 'a', 64);
    other_weights[64] = '\0';
    struct oracle_entry wanted = make_entry(REFERENCE_VERSION, GRAPH), found;
    struct oracle_entry other = make_entry(REFERENCE_VERSION, other_weights);
    cr_assert_str_neq(wanted.label.key, other.label.key);
    save(&store, &other);
    char *from = oracle_store_path(&store, other.label.key), *to = oracle_store_path(&store, wanted.label.key);
    cr_assert_eq(rename(from, to), 0);
    cr_assert_neq(load(&store, wanted.label.key, &found), VAEMARK_OK, "its file was renamed");
    /* Even with the right key all over the file, and so with the right checksum, its recipe gives it away. */
    strcpy(other.label.key, wanted.label.key);
    save(&store, &other);
    cr_assert_neq(load(&store, wanted.label.key, &found), VAEMARK_OK, "its key was forged");
    free(from);
    free(to);
    store_drop(&store);
}

Test(oracle_store, finds_images_of_another_kind) {
    struct oracle_store store = store_make();
    struct oracle_entry good = make_entry(REFERENCE_VERSION, GRAPH), entry = good, found;
    entry.fp32 = good.fp64; /* two doubles */
    save(&store, &entry);
    cr_expect_neq(load(&store, entry.label.key, &found), VAEMARK_OK, "wrong dtype");
    entry = good;
    struct shape flat = {.rank = 4, .dims = {1, 3, 4, 2}}, line = {.rank = 1, .dims = {PIXELS}};
    entry.fp64 = tensor_make("image", VAEMARK_F64, &flat, good.fp64.data);
    save(&store, &entry);
    cr_expect_neq(load(&store, entry.label.key, &found), VAEMARK_OK, "two shapes");
    entry.fp32 = tensor_make("image", VAEMARK_F32, &line, good.fp32.data);
    entry.fp64 = tensor_make("image", VAEMARK_F64, &line, good.fp64.data);
    save(&store, &entry);
    cr_expect_neq(load(&store, entry.label.key, &found), VAEMARK_OK, "not an image");
    store_drop(&store);
}

Test(oracle_store, moves_anything_out_of_the_way) {
    struct oracle_store store = store_make();
    struct oracle_entry kept = make_entry(REFERENCE_VERSION, GRAPH), found;
    struct error error = {0};
    char *path = oracle_store_path(&store, kept.label.key);
    cr_assert_eq(symlink("/nowhere/at/all", path), 0);
    cr_assert(oracle_store_has(&store, kept.label.key));
    cr_assert_neq(load(&store, kept.label.key, &found), VAEMARK_OK);
    cr_assert_eq(oracle_store_set_aside(&store, kept.label.key, &error), VAEMARK_OK, "%s", error.message);
    char *aside = text_format("%s.damaged", path);
    cr_assert_eq(unlink(aside), 0);
    cr_assert_eq(mkdir(path, 0777), 0);
    cr_assert_neq(load(&store, kept.label.key, &found), VAEMARK_OK);
    cr_assert_eq(oracle_store_set_aside(&store, kept.label.key, &error), VAEMARK_OK, "%s", error.message);
    save(&store, &kept);
    cr_assert_eq(load(&store, kept.label.key, &found), VAEMARK_OK);
    release(&found);
    free(aside);
    free(path);
    store_drop(&store);
}

Test(oracle_store, lists_entries_and_counts_the_rest) {
    struct oracle_store store = store_make();
    struct oracle_entry kept = make_entry(REFERENCE_VERSION, GRAPH);
    struct oracle_listing listing;
    save(&store, &kept);
    static const char *const names[] = {"notes.txt", "x.safetensors", "y.safetensors.abc123.part"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(store.folder, names[i]);
        overwrite(path, "x", 1);
        free(path);
    }
    cr_assert_eq(oracle_store_list(&store, &listing, NULL), VAEMARK_OK);
    cr_assert_eq(listing.count, 1);
    cr_assert_str_eq(listing.keys[0], kept.label.key);
    cr_expect_eq(listing.strange, 2);
    cr_expect_eq(listing.unfinished, 1);
    cr_expect_eq(listing.set_aside, 0);
    cr_expect_eq(oracle_store_sweep(&store), 0, "somebody may be writing it");
    oracle_listing_free(&listing);
    store_drop(&store);
}

Test(oracle_store, knows_entries_of_other_references) {
    struct oracle_entry now = make_entry(REFERENCE_VERSION, GRAPH), later = make_entry(REFERENCE_VERSION + 1, GRAPH);
    cr_assert(oracle_label_is_current(&now.label));
    cr_assert_not(oracle_label_is_current(&later.label));
    cr_assert_str_neq(now.label.key, later.label.key);
}
