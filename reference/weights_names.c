/* Bringing the names of a checkpoint's tensors to those of the VAE type's builder. */
#include "reference/weights_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/weights_internal.h"

/* In the order of probing; the last that matches wins, as in the framework (spec 2.1). */
static const char *const PREFIXES[] = {"first_stage_model.", "vae."};
enum { PREFIX_COUNT = sizeof PREFIXES / sizeof PREFIXES[0], MAX_NAMINGS = 4 };

struct adoption {
    struct weights *weights;
    const struct naming *naming;
    const char *prefix; /* "": none */
    bool prefix_seen[PREFIX_COUNT];
    int32_t levels;
    const char *namings[MAX_NAMINGS]; /* those met, NULL behind the last */
    bool split;                       /* a to_qkv was */
    size_t unprefixed_count;          /* of the decoder's tensors, where there is a prefix */
};

static bool starts_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_of_decoder(const struct naming *naming, const char *canonical) {
    for (const char *const *prefix = naming->decoder_prefixes; *prefix != NULL; prefix++) {
        if (starts_with(canonical, *prefix)) {
            return true;
        }
    }
    return false;
}

const char *weights_stored_name(const struct weights *weights, size_t index) {
    return weights->stored_names == NULL ? weights->items[index].name : weights->stored_names[index];
}

size_t weights_total_count(const struct weights *weights) {
    return weights->count + weights->ignored_count;
}

/* ---- Which prefix, how many levels ---- */

static void probe_name(struct adoption *adoption, const char *name) {
    char canonical[WEIGHTS_MAX_NAME_BYTES];
    for (size_t i = 0; i < PREFIX_COUNT; i++) {
        if (starts_with(name, PREFIXES[i])) {
            adoption->naming->canonical_name(name + strlen(PREFIXES[i]), 1, canonical, sizeof canonical);
            adoption->prefix_seen[i] = adoption->prefix_seen[i] || is_of_decoder(adoption->naming, canonical);
        }
    }
}

static void choose_prefix(struct adoption *adoption) {
    const struct weights *weights = adoption->weights;
    for (size_t i = 0; i < weights->count; i++) {
        probe_name(adoption, weights->items[i].name);
    }
    for (size_t i = 0; i < weights->unreadable_count; i++) {
        probe_name(adoption, weights->unreadable[i].name);
    }
    adoption->prefix = "";
    for (size_t i = 0; i < PREFIX_COUNT; i++) {
        adoption->prefix = adoption->prefix_seen[i] ? PREFIXES[i] : adoption->prefix;
    }
}

static void count_levels(struct adoption *adoption) {
    const struct weights *weights = adoption->weights;
    for (size_t i = 0; adoption->naming->level_of != NULL && i < weights->count; i++) {
        const char *name = weights->items[i].name;
        int32_t level =
            starts_with(name, adoption->prefix) ? adoption->naming->level_of(name + strlen(adoption->prefix)) : -1;
        adoption->levels = level >= adoption->levels ? level + 1 : adoption->levels;
    }
}

/* ---- Renaming ---- */

static void remember_naming(struct adoption *adoption, const char *naming) {
    for (size_t i = 0; naming != NULL && i < MAX_NAMINGS; i++) {
        if (adoption->namings[i] == NULL || strcmp(adoption->namings[i], naming) == 0) {
            adoption->namings[i] = naming;
            return;
        }
    }
}

/* The name under which a tensor is adopted, allocated; NULL where memory is short. */
static char *rename_tensor(struct adoption *adoption, const char *name) {
    char canonical[WEIGHTS_MAX_NAME_BYTES];
    const char *bare = name + strlen(adoption->prefix);
    if (strlen(bare) >= sizeof canonical) {
        return strdup(bare); /* nobody's name is that long */
    }
    const char *naming = adoption->naming->canonical_name(bare, adoption->levels, canonical, sizeof canonical);
    if (is_of_decoder(adoption->naming, canonical)) {
        remember_naming(adoption, naming);
    }
    return strdup(canonical);
}

struct pair {
    struct vaemark_tensor tensor;
    const char *stored;
};

static int compare_pairs(const void *left, const void *right) {
    const struct pair *a = left, *b = right;
    int order = strcmp(a->tensor.name, b->tensor.name);
    return order != 0 ? order : strcmp(a->stored, b->stored);
}

static int compare_pair_names(const void *left, const void *right) {
    return strcmp(((const struct pair *)left)->tensor.name, ((const struct pair *)right)->tensor.name);
}

static enum vaemark_status set_no_memory(const struct weights *weights, struct error *error) {
    return error_set_at(error, VAEMARK_OUT_OF_MEMORY, weights->path, "no memory for its names");
}

/* Keeps a string alive as long as the weights; NULL where there is none or no memory to keep it. */
static const char *own(struct weights *weights, char *text) {
    char **grown = text == NULL ? NULL : realloc(weights->owned_names, (weights->owned_name_count + 1) * sizeof *grown);
    if (grown == NULL) {
        free(text);
        return NULL;
    }
    weights->owned_names = grown;
    grown[weights->owned_name_count++] = text;
    return text;
}

/* `pairs` are sorted: a hostile file may hold a hundred thousand. */
static bool pairs_have(const struct pair *pairs, size_t count, const char *stem, const char *part, const char *tail) {
    char name[WEIGHTS_MAX_NAME_BYTES];
    snprintf(name, sizeof name, "%s%s%s", stem, part, tail);
    struct pair key = {.tensor = {.name = name}};
    return bsearch(&key, pairs, count, sizeof *pairs, compare_pair_names) != NULL;
}

/* A model saved while fused and stripped of the parts: rows of q, then k, then v (spec 1.3). Adds the three at `parts`
 * and answers how many it added, or -1 where memory is short. `pairs` are sorted. */
static int split_to_qkv(struct adoption *adoption, const struct pair *pairs, size_t count, const struct pair *joined,
                        struct pair *parts) {
    static const char *const PARTS[] = {"to_q.", "to_k.", "to_v."};
    char stem[WEIGHTS_MAX_NAME_BYTES], name[WEIGHTS_MAX_NAME_BYTES + 8];
    const char *found = strstr(joined->tensor.name, "to_qkv.");
    struct shape shape = tensor_shape(&joined->tensor);
    if (found == NULL || adoption->naming->keeps_to_qkv || !is_of_decoder(adoption->naming, joined->tensor.name) ||
        shape.dims[0] < 3 || shape.dims[0] % 3 != 0) {
        return 0;
    }
    snprintf(stem, sizeof stem, "%.*s", (int)(found - joined->tensor.name), joined->tensor.name);
    const char *tail = found + strlen("to_qkv.");
    size_t part_bytes = tensor_size_bytes(&joined->tensor) / 3;
    shape.dims[0] /= 3;
    for (size_t i = 0; i < 3; i++) {
        if (pairs_have(pairs, count, stem, PARTS[i], tail)) {
            return 0;
        }
        snprintf(name, sizeof name, "%s%s%s", stem, PARTS[i], tail);
        const char *kept = own(adoption->weights, strdup(name));
        if (kept == NULL) {
            return -1;
        }
        char *data = (char *)joined->tensor.data + i * part_bytes;
        parts[i] = (struct pair){tensor_make(kept, joined->tensor.dtype, &shape, data), joined->stored};
    }
    adoption->split = true;
    return 3;
}

/* Adds the parts of every to_qkv that stands alone; false where memory is short. */
static bool split_all(struct adoption *adoption, struct pair *pairs, size_t *count) {
    size_t end = *count;
    qsort(pairs, end, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < end; i++) {
        int added = split_to_qkv(adoption, pairs, end, &pairs[i], &pairs[*count]);
        if (added < 0) {
            return false;
        }
        *count += (size_t)added;
    }
    qsort(pairs, *count, sizeof *pairs, compare_pairs);
    return true;
}

/* Fills `pairs`, the adopted first, then those left out under their own names; both by name. */
static enum vaemark_status rename_all(struct adoption *adoption, struct pair *pairs, size_t *adopted, size_t *ignored,
                                      struct error *error) {
    struct weights *weights = adoption->weights;
    size_t count = 0, other_count = 0, total = weights->count;
    struct pair *others = calloc(total + 1, sizeof *others);
    bool good = others != NULL;
    for (size_t i = 0; good && i < total; i++) {
        struct pair pair = {.tensor = weights->items[i], .stored = weights->items[i].name};
        if (!starts_with(pair.stored, adoption->prefix)) {
            others[other_count++] = pair;
            continue;
        }
        pair.tensor.name = own(weights, rename_tensor(adoption, pair.stored));
        good = pair.tensor.name != NULL;
        pairs[count++] = pair;
    }
    good = good && split_all(adoption, pairs, &count);
    if (good) {
        memcpy(pairs + count, others, other_count * sizeof *others);
        *adopted = count;
        *ignored = other_count;
    }
    free(others);
    return good ? VAEMARK_OK : set_no_memory(weights, error);
}

static int compare_unreadable(const void *left, const void *right) {
    return strcmp(((const struct unreadable_tensor *)left)->name, ((const struct unreadable_tensor *)right)->name);
}

static enum vaemark_status rename_unreadable(struct adoption *adoption, struct error *error) {
    struct weights *weights = adoption->weights;
    for (size_t i = 0; i < weights->unreadable_count; i++) {
        struct unreadable_tensor *tensor = &weights->unreadable[i];
        if (starts_with(tensor->name, adoption->prefix)) {
            tensor->name = own(weights, rename_tensor(adoption, tensor->name));
            if (tensor->name == NULL) {
                weights->unreadable_count = 0;
                return set_no_memory(weights, error);
            }
        }
    }
    qsort(weights->unreadable, weights->unreadable_count, sizeof *weights->unreadable, compare_unreadable);
    return VAEMARK_OK;
}

/* ---- One tensor under two names ---- */

static enum vaemark_status report_twice(const struct weights *weights, const char *name, const char *one,
                                        const char *other, struct error *error) {
    char place[512];
    return error_set_at(error, VAEMARK_BAD_INPUT, weights_place(place, weights->path, name),
                        "is there twice, as '%.200s' and as '%.200s': two layouts of names in one file, and only its "
                        "maker knows which is meant; save one of them alone",
                        one, other);
}

static enum vaemark_status check_twice(struct adoption *adoption, struct error *error) {
    const struct weights *weights = adoption->weights;
    for (size_t i = 1; i < weights->count; i++) {
        if (strcmp(weights->items[i - 1].name, weights->items[i].name) == 0) {
            return report_twice(weights, weights->items[i].name, weights->stored_names[i - 1], weights->stored_names[i],
                                error);
        }
    }
    /* Between the known prefixes there is a rule, between a prefix and none there is not. */
    for (size_t i = weights->count; i < weights_total_count(weights); i++) {
        char canonical[WEIGHTS_MAX_NAME_BYTES];
        adoption->naming->canonical_name(weights->items[i].name, adoption->levels, canonical, sizeof canonical);
        const struct vaemark_tensor *twin =
            is_of_decoder(adoption->naming, canonical) ? weights_find(weights, canonical) : NULL;
        if (twin != NULL) {
            return report_twice(weights, canonical, weights->items[i].name,
                                weights_stored_name(weights, (size_t)(twin - weights->items)), error);
        }
    }
    return VAEMARK_OK;
}

/* ---- For people ---- */

static void describe(const struct adoption *adoption, char *text, size_t size_bytes) {
    char namings[128] = "";
    for (size_t i = 0; i < MAX_NAMINGS && adoption->namings[i] != NULL; i++) {
        size_t used = strlen(namings);
        snprintf(namings + used, sizeof namings - used, "%s%s", i == 0 ? "" : " and ", adoption->namings[i]);
    }
    const char *also = "";
    for (size_t i = 0; i < PREFIX_COUNT; i++) {
        also = adoption->prefix_seen[i] && strcmp(PREFIXES[i], adoption->prefix) != 0 ? PREFIXES[i] : also;
    }
    char shards[40] = "";
    if (adoption->weights->shard_count > 0) {
        snprintf(shards, sizeof shards, ", %zu shards", adoption->weights->shard_count);
    }
    snprintf(text, size_bytes, "%s%s%s%s%s%s%s%s", namings[0] == '\0' ? "diffusers names" : namings,
             adoption->prefix[0] == '\0' ? "" : ", prefix ", adoption->prefix, also[0] == '\0' ? "" : " (not ", also,
             also[0] == '\0' ? "" : ")", adoption->split ? ", to_qkv split" : "", shards);
}

enum vaemark_status weights_adopt_names(struct weights *weights, const struct naming *naming, struct error *error) {
    struct adoption adoption = {.weights = weights, .naming = naming};
    size_t adopted = 0, ignored = 0, room = 4 * weights->count + 1; /* each could be a to_qkv */
    choose_prefix(&adoption);
    count_levels(&adoption);
    struct pair *pairs = calloc(room, sizeof *pairs);
    struct vaemark_tensor *items = calloc(room, sizeof *items);
    const char **stored = calloc(room, sizeof *stored);
    enum vaemark_status status = pairs == NULL || items == NULL || stored == NULL
                                     ? set_no_memory(weights, error)
                                     : rename_all(&adoption, pairs, &adopted, &ignored, error);
    if (status == VAEMARK_OK) {
        status = rename_unreadable(&adoption, error);
    }
    if (status != VAEMARK_OK) {
        free(items);
        free(stored);
        free(pairs);
        return status;
    }
    for (size_t i = 0; i < adopted + ignored; i++) {
        items[i] = pairs[i].tensor;
        stored[i] = pairs[i].stored;
    }
    free(pairs);
    free(weights->items);
    weights->items = items;
    weights->stored_names = stored;
    weights->count = adopted;
    weights->ignored_count = ignored;
    describe(&adoption, weights->layout, sizeof weights->layout);
    return check_twice(&adoption, error);
}

const char *weights_layout(const struct weights *weights) {
    return weights->layout;
}

bool weights_has_stored(const struct weights *weights, const char *stored) {
    for (size_t i = 0; i < weights_total_count(weights); i++) {
        if (strcmp(weights_stored_name(weights, i), stored) == 0) {
            return true;
        }
    }
    return false;
}

const char *weights_find_landmark(const struct weights *weights, const struct naming *naming,
                                  const struct naming *except) {
    for (size_t i = 0; i < weights_total_count(weights); i++) {
        const char *stored = weights_stored_name(weights, i), *bare = stored;
        char canonical[WEIGHTS_MAX_NAME_BYTES];
        for (size_t k = 0; k < PREFIX_COUNT; k++) {
            bare = starts_with(stored, PREFIXES[k]) ? stored + strlen(PREFIXES[k]) : bare;
        }
        naming->canonical_name(bare, 1, canonical, sizeof canonical);
        if (strcmp(canonical, naming->landmark) != 0) {
            continue;
        }
        if (except == NULL || except->canonical_name(bare, 1, canonical, sizeof canonical) == NULL) {
            return stored;
        }
    }
    return NULL;
}

/* ---- What nobody asks for ---- */

static bool is_parameter(const struct vaemark_graph *graph, const char *name) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        if (strcmp(graph->parameters[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

enum vaemark_status weights_check_leftovers(const struct weights *weights, const struct vaemark_graph *graph,
                                            const struct naming *naming, const json_t *config, struct error *error) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        const struct graph_parameter *parameter = &graph->parameters[i];
        if (parameter->origin == PARAMETER_STORED && weights_find(weights, parameter->name) == NULL) {
            return VAEMARK_OK;
        }
    }
    for (size_t i = 0; i < weights->count; i++) {
        const char *name = weights->items[i].name;
        if (!is_of_decoder(naming, name) || (!naming->keeps_to_qkv && strstr(name, ".to_qkv.") != NULL) ||
            strstr(name, ".num_batches_tracked") != NULL || is_parameter(graph, name)) {
            continue;
        }
        char place[512], key[200], stored[600] = "";
        if (strcmp(weights_stored_name(weights, i), name) != 0) {
            snprintf(stored, sizeof stored, " (stored as '%.200s')", weights_stored_name(weights, i));
        }
        return error_set_at(error, VAEMARK_BAD_INPUT, weights_place(place, weights->path, name),
                            "is in the checkpoint%s, but the configuration has no place for it: its %s. Use the "
                            "config.json that these weights were published with",
                            stored, weights_describe_key(key, naming, name, -1, config));
    }
    return VAEMARK_OK;
}

const char *weights_describe_key(char text[200], const struct naming *naming, const char *name, int32_t axis,
                                 const json_t *config) {
    const char *key = naming->config_key(name, axis, config);
    const json_t *value = json_object_get(config, key);
    char *shown = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    snprintf(text, 200, "\"%s\" is %.120s", key, value == NULL ? "not given" : shown == NULL ? "?" : shown);
    free(shown);
    return text;
}
