#include "harness/oracle/oracle_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "reference/executor.h"

static const char KIND_KEY[] = "format", KIND[] = "vaemark-oracles";
static const char VERSION_KEY[] = "version", VERSION[] = "1";
enum { KEY_LENGTH = 64 };

/* The texts of a label, in the order in which they are written and hashed. */
static const struct label_text {
    const char *name;
    size_t offset, capacity;
} label_texts[] = {
#define LABEL_TEXT(member)                                                \
    {                                                                     \
        .name = #member, .offset = offsetof(struct oracle_label, member), \
        .capacity = sizeof((struct oracle_label *)0)->member              \
    }
    LABEL_TEXT(recipe), LABEL_TEXT(model),   LABEL_TEXT(shape),   LABEL_TEXT(latents),
    LABEL_TEXT(tiling), LABEL_TEXT(made_by), LABEL_TEXT(made_at),
#undef LABEL_TEXT
};
enum { LABEL_TEXT_COUNT = sizeof label_texts / sizeof *label_texts };

static const char *label_text(const struct oracle_label *label, size_t i) {
    return (const char *)label + label_texts[i].offset;
}

void oracle_label_fill(struct oracle_label *label, int reference_version, const char *graph_sha256,
                       const char *weights_sha256, const char *inputs_sha256, const char *tiling) {
    snprintf(label->recipe, sizeof label->recipe, "oracle 1, reference %d, graph %s, weights %s, inputs %s, tiling %s",
             reference_version, graph_sha256, weights_sha256, inputs_sha256, tiling);
    snprintf(label->tiling, sizeof label->tiling, "%s", tiling);
    hash_bytes(label->recipe, strlen(label->recipe), label->key);
}

bool oracle_label_is_current(const struct oracle_label *label) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "oracle 1, reference %d, ", REFERENCE_VERSION);
    return strncmp(label->recipe, wanted, strlen(wanted)) == 0;
}

/* ---- The checksum ---- */

static void hash_image(struct hash *hash, const struct vaemark_tensor *image) {
    char text[256];
    struct shape shape = tensor_shape(image);
    char dims[192];
    snprintf(text, sizeof text, "%s %s", dtype_name(image->dtype), shape_format(&shape, dims, sizeof dims));
    hash_update(hash, text, strlen(text) + 1);
    hash_update(hash, image->data, tensor_size_bytes(image));
}

static enum vaemark_status hash_entry(const struct oracle_entry *entry, char hex[65], struct error *error) {
    struct hash *hash = hash_begin();
    if (!hash) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a checksum");
    }
    hash_update(hash, entry->label.key, sizeof entry->label.key);
    for (size_t i = 0; i < LABEL_TEXT_COUNT; i++) {
        const char *text = label_text(&entry->label, i);
        hash_update(hash, text, strlen(text) + 1);
    }
    hash_image(hash, &entry->fp32);
    hash_image(hash, &entry->fp64);
    hash_finish(hash, hex);
    return VAEMARK_OK;
}

enum vaemark_status oracle_entry_check(const struct oracle_entry *entry, const char *path, struct error *error) {
    char hex[65];
    enum vaemark_status status = hash_entry(entry, hex, error);
    if (status == VAEMARK_OK && strcmp(hex, entry->sha256) != 0) {
        status = error_set_at(error, VAEMARK_BAD_INPUT, path,
                              "oracle %.12s: its content does not have the checksum that was written with it: damaged",
                              entry->label.key);
    }
    return status;
}

/* ---- Reading ---- */

static bool is_hex(const char *text, size_t length) {
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

static enum vaemark_status set_strange(const char *path, const char *name, const char *what, struct error *error) {
    char place[200];
    snprintf(place, sizeof place, "%.150s", name);
    for (char *c = place; *c; c++) {
        *c = *c < ' ' || *c == 0x7f ? '?' : *c;
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, path, "'%s' %s: not a file of oracles, or a damaged one", place,
                        what);
}

static enum vaemark_status copy_text(const json_t *json, const char *name, char *out, size_t capacity, const char *path,
                                     const char *key, struct error *error) {
    const char *text = json_string_value(json_object_get(json, name));
    if (!text || strlen(text) >= capacity) {
        return error_set_at(error, VAEMARK_BAD_INPUT, path, "oracle %.12s: its description %s '%s'", key,
                            text ? "has too long a" : "has no", name);
    }
    strcpy(out, text);
    for (char *c = out; *c; c++) {
        *c = *c < ' ' || *c == 0x7f ? '?' : *c; /* it is shown on terminals; changed, it fails its checksum */
    }
    return VAEMARK_OK;
}

static enum vaemark_status parse_label(const char *key, const char *text, const char *path, struct oracle_entry *entry,
                                       struct error *error) {
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    enum vaemark_status status = json_is_object(json) && json_object_size(json) == LABEL_TEXT_COUNT + 1
                                     ? VAEMARK_OK
                                     : set_strange(path, key, "is not described as an oracle is", error);
    strcpy(entry->label.key, key);
    for (size_t i = 0; status == VAEMARK_OK && i < LABEL_TEXT_COUNT; i++) {
        status = copy_text(json, label_texts[i].name, (char *)&entry->label + label_texts[i].offset,
                           label_texts[i].capacity, path, key, error);
    }
    if (status == VAEMARK_OK) {
        status = copy_text(json, "sha256", entry->sha256, sizeof entry->sha256, path, key, error);
    }
    json_decref(json);
    char own_key[65];
    hash_bytes(entry->label.recipe, strlen(entry->label.recipe), own_key);
    if (status == VAEMARK_OK && strcmp(own_key, key) != 0) {
        status = error_set_at(error, VAEMARK_BAD_INPUT, path,
                              "oracle %.12s: is described as another one, %.12s: renamed, or damaged", key, own_key);
    }
    return status;
}

static enum vaemark_status find_image(const struct oracle_file *file, const char *key, const char *name,
                                      enum vaemark_dtype dtype, const char *path, struct vaemark_tensor *image,
                                      struct error *error) {
    char full[80];
    snprintf(full, sizeof full, "%s/%s", key, name);
    const struct vaemark_tensor *found = weights_find(file->weights, full);
    if (!found) {
        return error_set_at(error, VAEMARK_BAD_INPUT, path, "oracle %.12s: has no %s image", key, name);
    }
    struct shape shape = tensor_shape(found);
    if (found->dtype != dtype || (found->rank != 4 && found->rank != 5) || shape_element_count(&shape) <= 0) {
        char text[192];
        return error_set_at(error, VAEMARK_BAD_INPUT, path, "oracle %.12s: its %s image is %s of %s, not of %s", key,
                            name, shape_format(&shape, text, sizeof text), dtype_name(found->dtype), dtype_name(dtype));
    }
    *image = *found;
    return VAEMARK_OK;
}

static enum vaemark_status parse_entry(struct oracle_file *file, const char *key, const char *text, const char *path,
                                       struct error *error) {
    struct oracle_entry *entry = &file->entries[file->count];
    enum vaemark_status status = parse_label(key, text, path, entry, error);
    if (status == VAEMARK_OK) {
        status = find_image(file, key, "fp32", VAEMARK_F32, path, &entry->fp32, error);
    }
    if (status == VAEMARK_OK) {
        status = find_image(file, key, "fp64", VAEMARK_F64, path, &entry->fp64, error);
    }
    struct shape single = tensor_shape(&entry->fp32), twofold = tensor_shape(&entry->fp64);
    if (status == VAEMARK_OK && !shape_equal(&single, &twofold)) {
        status = error_set_at(error, VAEMARK_BAD_INPUT, path, "oracle %.12s: its two images differ in shape", key);
    }
    file->count += status == VAEMARK_OK;
    return status;
}

/* A walk over the metadata that stops at the first error. */
struct walk {
    struct oracle_file *file;
    const char *path;
    enum vaemark_status status;
    struct error *error;
};

static void visit_text(const char *key, const char *value, void *user) {
    struct walk *walk = user;
    if (walk->status != VAEMARK_OK || strcmp(key, KIND_KEY) == 0 || strcmp(key, VERSION_KEY) == 0) {
        return;
    }
    walk->status = is_hex(key, KEY_LENGTH) ? parse_entry(walk->file, key, value, walk->path, walk->error)
                                           : set_strange(walk->path, key, "belongs to no oracle", walk->error);
}

static enum vaemark_status check_kind(const struct weights *weights, const char *path, struct error *error) {
    const char *kind = weights_metadata_find(weights, KIND_KEY), *version = weights_metadata_find(weights, VERSION_KEY);
    if (!kind || strcmp(kind, KIND) != 0 || !version) {
        return error_set_at(error, VAEMARK_BAD_INPUT, path,
                            "is a safetensors file, but not one of oracles; 'vaemark oracle export' writes such files");
    }
    if (strcmp(version, VERSION) != 0) {
        return error_set_at(
            error, VAEMARK_BAD_INPUT, path,
            "is a file of oracles of another version ('%.20s', this program reads '%s'); export it again "
            "with this program's version",
            version, VERSION);
    }
    return VAEMARK_OK;
}

enum vaemark_status oracle_file_open(const char *path, struct oracle_file *file, struct error *error) {
    *file = (struct oracle_file){0};
    enum vaemark_status status = weights_open(path, &file->weights, error);
    if (status == VAEMARK_OK) {
        status = check_kind(file->weights, path, error);
    }
    if (status == VAEMARK_OK) {
        file->entries = calloc(weights_metadata_count(file->weights) + 1, sizeof *file->entries);
        status = file->entries ? VAEMARK_OK
                               : error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "not enough memory to read it");
    }
    struct walk walk = {.file = file, .path = path, .status = status, .error = error};
    if (status == VAEMARK_OK) {
        weights_metadata_visit(file->weights, visit_text, &walk);
    }
    if (walk.status == VAEMARK_OK && (file->count == 0 || weights_count(file->weights) != 2 * file->count)) {
        walk.status =
            error_set_at(error, VAEMARK_BAD_INPUT, path, "holds %zu tensors for %zu oracles; two each are right",
                         weights_count(file->weights), file->count);
    }
    if (walk.status != VAEMARK_OK) {
        oracle_file_close(file);
    }
    return walk.status;
}

void oracle_file_close(struct oracle_file *file) {
    weights_free(file->weights);
    free(file->entries);
    *file = (struct oracle_file){0};
}

/* ---- Writing ---- */

/* The label and its checksum as one text. Allocated; NULL when memory is short. */
static char *describe(const struct oracle_entry *entry) {
    char hex[65];
    if (hash_entry(entry, hex, NULL) != VAEMARK_OK) {
        return NULL;
    }
    json_t *json = json_object();
    for (size_t i = 0; i < LABEL_TEXT_COUNT; i++) {
        json_object_set_new(json, label_texts[i].name, json_string(label_text(&entry->label, i)));
    }
    json_object_set_new(json, "sha256", json_string(hex));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* The three lists that a file of `count` oracles is written from. */
struct listing {
    struct weights_text *texts;     /* kind, version, then one an oracle, whose value is allocated */
    struct vaemark_tensor *tensors; /* two an oracle; names allocated */
};

static bool add_entry(struct listing *listing, size_t index, const struct oracle_entry *entry) {
    struct vaemark_tensor *fp32 = &listing->tensors[2 * index], *fp64 = fp32 + 1;
    *fp32 = entry->fp32;
    *fp64 = entry->fp64;
    fp32->name = text_format("%s/fp32", entry->label.key);
    fp64->name = text_format("%s/fp64", entry->label.key);
    listing->texts[index + 2] = (struct weights_text){.key = entry->label.key, .value = describe(entry)};
    return fp32->name && fp64->name && listing->texts[index + 2].value;
}

enum vaemark_status oracle_file_write(const char *path, const struct oracle_entry *entries, size_t count,
                                      struct error *error) {
    struct listing listing = {.texts = calloc(count + 2, sizeof *listing.texts),
                              .tensors = calloc(2 * count + 1, sizeof *listing.tensors)};
    bool listed = listing.texts && listing.tensors;
    size_t done = 0;
    for (; listed && done < count; done++) {
        listed = add_entry(&listing, done, &entries[done]);
    }
    enum vaemark_status status =
        listed ? VAEMARK_OK : error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "not enough memory to write it");
    if (status == VAEMARK_OK) {
        listing.texts[0] = (struct weights_text){.key = KIND_KEY, .value = KIND};
        listing.texts[1] = (struct weights_text){.key = VERSION_KEY, .value = VERSION};
        struct vaemark_tensors tensors = {.items = listing.tensors, .count = 2 * count};
        status = weights_write_described(path, &tensors, listing.texts, count + 2, error);
    }
    for (size_t i = 0; i < done; i++) {
        free((char *)listing.texts[i + 2].value);
        free((char *)listing.tensors[2 * i].name);
        free((char *)listing.tensors[2 * i + 1].name);
    }
    free(listing.texts);
    free(listing.tensors);
    return status;
}
