/* Is this the run that was begun? Everything that could change an outcome or a figure must be what it was. */
#include <stdio.h>
#include <string.h>

#include "harness/run/run_internal.h"

struct differences {
    char *text;
    size_t length, capacity;
};

/* How much of a value is shown: the start of a digest is enough to tell it from another. */
static int shown(const char *value) {
    enum { DIGEST_LENGTH = 64, DIGEST_SHOWN = 12, VALUE_SHOWN = 80 };
    bool digest = strlen(value) == DIGEST_LENGTH && strspn(value, "0123456789abcdef") == DIGEST_LENGTH;
    return digest ? DIGEST_SHOWN : VALUE_SHOWN;
}

static void add(struct differences *differences, const char *what, const char *before, const char *now) {
    const char *separator = differences->length ? "; " : "";
    size_t left = differences->capacity - differences->length;
    before = before && *before ? before : "none";
    now = now && *now ? now : "none";
    int length = snprintf(differences->text + differences->length, left, "%s%s: %.*s there, %.*s now", separator, what,
                          shown(before), before, shown(now), now);
    if (length > 0) {
        differences->length += (size_t)length < left ? (size_t)length : left - 1;
    }
}

static bool same(const char *a, const char *b) {
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static void compare_facts(const struct record *before, const struct record *now, struct differences *differences) {
    static const struct {
        const char *key, *what;
    } compared[] = {
        {"suite", "the suite"},
        {"suite_sha256", "the suite's file (SHA-256)"},
        {"vaemark_binary_sha256", "the vaemark binary (SHA-256)"},
        {"seed", "--seed"},
        {"threads_asked_for", "--threads"},
        {"profile", "--profile"},
        {"worker_timeout", "--timeout"},
        {"worker_memory_limit", "--memory-limit"},
    };
    for (size_t i = 0; i < sizeof compared / sizeof *compared; i++) {
        const char *there = record_fact(before, compared[i].key), *here = record_fact(now, compared[i].key);
        if (!same(there, here)) {
            add(differences, compared[i].what, there, here);
        }
    }
}

/* decoder_1, decoder_1_file_1_sha256, ...: in both directions, so that none is missed. */
static void compare_decoders(const struct record *before, const struct record *now, struct differences *differences) {
    static const char prefix[] = "decoder_";
    for (size_t i = 0; i < now->fact_count; i++) {
        const struct environment_fact *fact = &now->facts[i];
        if (strncmp(fact->key, prefix, sizeof prefix - 1) == 0 && !same(record_fact(before, fact->key), fact->value)) {
            add(differences, fact->key, record_fact(before, fact->key), fact->value);
        }
    }
    for (size_t i = 0; i < before->fact_count; i++) {
        const struct environment_fact *fact = &before->facts[i];
        if (strncmp(fact->key, prefix, sizeof prefix - 1) == 0 && !record_fact(now, fact->key)) {
            add(differences, fact->key, fact->value, NULL);
        }
    }
}

static const struct model_row *find_model(const struct record *record, const char *name) {
    for (size_t i = 0; i < record->tables[TABLE_MODELS].count; i++) {
        const struct model_row *row = RECORD_ROW(record, TABLE_MODELS, i, model_row);
        if (same(row->name, name)) {
            return row;
        }
    }
    return NULL;
}

/* Which models there are follows from the cases. */
static void compare_models(const struct record *before, const struct record *now, struct differences *differences) {
    char what[200];
    for (size_t i = 0; i < now->tables[TABLE_MODELS].count; i++) {
        const struct model_row *here = RECORD_ROW(now, TABLE_MODELS, i, model_row);
        const struct model_row *there = find_model(before, here->name);
        if (there && !same(there->weights_sha256, here->weights_sha256)) {
            snprintf(what, sizeof what, "weights of %.100s (SHA-256)", here->name);
            add(differences, what, there->weights_sha256, here->weights_sha256);
        }
        if (there && !same(there->config_sha256, here->config_sha256)) {
            snprintf(what, sizeof what, "config.json of %.100s (SHA-256)", here->name);
            add(differences, what, there->config_sha256, here->config_sha256);
        }
    }
}

static void compare_cases(const char *const *before, size_t count_before, const struct case_list *now,
                          struct differences *differences) {
    char what[100];
    size_t first = 0;
    while (first < count_before && first < now->count && same(before[first], now->items[first].id)) {
        first++;
    }
    if (first < count_before || first < now->count) {
        snprintf(what, sizeof what, "the selected cases (%zu there, %zu now), the first that differs", count_before,
                 now->count);
        add(differences, what, first < count_before ? before[first] : NULL,
            first < now->count ? now->items[first].id : NULL);
    }
}

void run_compare(const struct record *before, const char *const *case_ids_before, size_t count_before,
                 const struct record *now, const struct case_list *cases_now, char *text, size_t capacity) {
    struct differences differences = {.text = text, .capacity = capacity};
    text[0] = '\0';
    compare_facts(before, now, &differences);
    compare_cases(case_ids_before, count_before, cases_now, &differences);
    compare_decoders(before, now, &differences);
    compare_models(before, now, &differences);
}
