/* Reading a config.json with checks. */
#include "reference/models/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void config_begin(struct config *config, const json_t *json) {
    *config = (struct config){.json = json};
    if (!json_is_object(json)) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "the configuration is not a JSON object");
    }
}

enum vaemark_status config_finish(const struct config *config, struct error *error) {
    if (config->error.status != VAEMARK_OK && error != NULL) {
        *error = config->error;
    }
    return config->error.status;
}

/* A value as it stands in the file, shortened, for messages. */
static const char *show(char text[96], const json_t *value) {
    char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    snprintf(text, 96, "%.80s%s", dump == NULL ? "?" : dump, dump != NULL && strlen(dump) > 80 ? "..." : "");
    free(dump);
    return text;
}

/* The value of a key; NULL where it is absent or an error is pending. */
static const json_t *find(const struct config *config, const char *key) {
    return config->error.status == VAEMARK_OK ? json_object_get(config->json, key) : NULL;
}

static bool in_range(const json_t *value, int64_t least, int64_t most) {
    return json_is_integer(value) && json_integer_value(value) >= least && json_integer_value(value) <= most;
}

int64_t config_integer(struct config *config, const char *key, int64_t fallback, int64_t least, int64_t most) {
    char text[96];
    const json_t *value = find(config, key);
    if (value == NULL) {
        return fallback;
    }
    if (!in_range(value, least, most)) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; a whole number from %lld to %lld is wanted", key,
                  show(text, value), (long long)least, (long long)most);
        return fallback;
    }
    return json_integer_value(value);
}

int64_t config_integer_or_null(struct config *config, const char *key, int64_t fallback, int64_t least, int64_t most) {
    return json_is_null(find(config, key)) ? fallback : config_integer(config, key, fallback, least, most);
}

int64_t config_channels(struct config *config, const char *key, int64_t fallback) {
    return config_integer(config, key, fallback, 1, CONFIG_MAX_CHANNELS);
}

int32_t config_layers(struct config *config, const char *key, int32_t fallback) {
    return (int32_t)config_integer(config, key, fallback, 0, CONFIG_MAX_LAYERS);
}

bool config_boolean(struct config *config, const char *key, bool fallback) {
    char text[96];
    const json_t *value = find(config, key);
    if (value == NULL) {
        return fallback;
    }
    if (!json_is_boolean(value)) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; true or false is wanted", key, show(text, value));
        return fallback;
    }
    return json_is_true(value);
}

double config_positive(struct config *config, const char *key, double fallback) {
    char text[96];
    const json_t *value = find(config, key);
    if (value == NULL) {
        return fallback;
    }
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number > 0) || !isfinite(number)) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; a finite number above 0 is wanted", key,
                  show(text, value));
        return fallback;
    }
    return number;
}

struct config_list config_integers(struct config *config, const char *key, struct config_list fallback, int64_t least,
                                   int64_t most) {
    char text[96];
    const json_t *value = find(config, key);
    if (value == NULL) {
        return fallback;
    }
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count < 1 || count > CONFIG_MAX_LEVELS) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; a list of 1 to %d whole numbers is wanted", key,
                  show(text, value), CONFIG_MAX_LEVELS);
        return fallback;
    }
    struct config_list list = {.count = (int32_t)count};
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(value, i);
        if (!in_range(item, least, most)) {
            error_set(&config->error, VAEMARK_BAD_INPUT,
                      "entry %zu of \"%s\" is %s; a whole number from %lld to %lld is wanted", i, key, show(text, item),
                      (long long)least, (long long)most);
            return fallback;
        }
        list.items[i] = json_integer_value(item);
    }
    return list;
}

struct config_list config_booleans(struct config *config, const char *key, struct config_list fallback) {
    char text[96];
    const json_t *value = find(config, key);
    struct config_list list = {.count = (int32_t)json_array_size(value)};
    bool good = json_is_array(value) && json_array_size(value) <= CONFIG_MAX_LEVELS;
    if (value == NULL) {
        return fallback;
    }
    for (int32_t i = 0; good && i < list.count; i++) {
        good = json_is_boolean(json_array_get(value, (size_t)i));
        list.items[i] = json_is_true(json_array_get(value, (size_t)i)) ? 1 : 0;
    }
    if (!good) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; a list of at most %d times true or false is wanted",
                  key, show(text, value), CONFIG_MAX_LEVELS);
    }
    return good ? list : fallback;
}

/* The index of a text among the choices; their number where it is none of them. */
static int32_t choice_of(const json_t *value, const char *const *choices, int32_t *count) {
    int32_t found = -1;
    for (*count = 0; choices[*count] != NULL; (*count)++) {
        if (json_is_string(value) && strcmp(json_string_value(value), choices[*count]) == 0) {
            found = *count;
        }
    }
    return found < 0 ? *count : found;
}

static void report_choice(struct config *config, const char *key, const json_t *value, const char *const *choices) {
    char text[96], known[160] = "";
    for (size_t i = 0; choices[i] != NULL; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s\"%s\"", i == 0 ? "" : ", ", choices[i]);
    }
    error_set(&config->error, json_is_string(value) ? VAEMARK_UNSUPPORTED_MODEL : VAEMARK_BAD_INPUT,
              "\"%s\" has %s; supported are %s", key, show(text, value), known);
}

struct config_list config_choices(struct config *config, const char *key, const char *const *choices, int32_t count) {
    char text[96];
    int32_t known = 0;
    const json_t *value = find(config, key);
    struct config_list list = {.count = count};
    if (value == NULL) {
        return list;
    }
    if (!json_is_string(value) && (!json_is_array(value) || json_array_size(value) != (size_t)count)) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; a text, or a list of %d, one a level, is wanted",
                  key, show(text, value), count);
        return list;
    }
    for (int32_t i = 0; i < count; i++) {
        const json_t *item = json_is_string(value) ? value : json_array_get(value, (size_t)i);
        int32_t choice = choice_of(item, choices, &known);
        if (choice == known) {
            report_choice(config, key, item, choices);
            return (struct config_list){.count = count};
        }
        list.items[i] = choice;
    }
    return list;
}

/* One list of lists' entry; false where it is not a list of numbers in range. */
static bool read_list(const json_t *value, struct config_list *list, int64_t least, int64_t most) {
    *list = (struct config_list){.count = (int32_t)json_array_size(value)};
    bool good = json_is_array(value) && json_array_size(value) <= CONFIG_MAX_LEVELS;
    for (int32_t i = 0; good && i < list->count; i++) {
        good = in_range(json_array_get(value, (size_t)i), least, most);
        list->items[i] = good ? json_integer_value(json_array_get(value, (size_t)i)) : 0;
    }
    return good;
}

bool config_integer_lists(struct config *config, const char *key, struct config_list *lists, int32_t count,
                          int64_t least, int64_t most) {
    char text[96];
    const json_t *value = find(config, key);
    bool good = json_is_array(value) && json_array_size(value) == (size_t)count;
    if (value == NULL) {
        return false;
    }
    for (int32_t i = 0; good && i < count; i++) {
        good = read_list(json_array_get(value, (size_t)i), &lists[i], least, most);
    }
    if (!good) {
        error_set(&config->error, VAEMARK_BAD_INPUT,
                  "\"%s\" is %s; %d lists, one a level, of at most %d whole numbers from %lld to %lld are wanted", key,
                  show(text, value), count, CONFIG_MAX_LEVELS, (long long)least, (long long)most);
    }
    return good;
}

bool config_choice(struct config *config, const char *key, const char *first, const char *second) {
    char text[96];
    const json_t *value = find(config, key);
    if (value == NULL) {
        return true;
    }
    const char *found = json_string_value(value);
    bool is_first = found != NULL && strcmp(found, first) == 0;
    if (!is_first && (found == NULL || second == NULL || strcmp(found, second) != 0)) {
        error_set(&config->error, found == NULL ? VAEMARK_BAD_INPUT : VAEMARK_UNSUPPORTED_MODEL,
                  "\"%s\" is %s; supported is \"%s\"%s%s%s", key, show(text, value), first,
                  second == NULL ? "" : " or \"", second == NULL ? "" : second, second == NULL ? "" : "\"");
    }
    return is_first;
}

void config_only_boolean(struct config *config, const char *key, bool only, const char *why) {
    if (config_boolean(config, key, only) != only) {
        error_set(&config->error, VAEMARK_UNSUPPORTED_MODEL, "\"%s\" is %s, which is not supported: %s", key,
                  only ? "false" : "true", why);
    }
}

static bool is_text(const json_t *value, const char *text) {
    return text != NULL && json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

struct config_flags config_block_kinds(struct config *config, const char *key, const char *only, const char *other,
                                       int32_t count) {
    struct config_flags flags = {.items = {false}};
    char text[96];
    const json_t *value = find(config, key);
    if (value == NULL) {
        return flags;
    }
    if (!json_is_array(value) || json_array_size(value) != (size_t)count) {
        error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; a list of %d block types, one a level, is wanted",
                  key, show(text, value), count);
        return flags;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        flags.items[i] = is_text(item, other);
        if (!flags.items[i] && !is_text(item, only)) {
            error_set(&config->error, json_is_string(item) ? VAEMARK_UNSUPPORTED_MODEL : VAEMARK_BAD_INPUT,
                      "entry %zu of \"%s\" is %s; supported is \"%s\"%s%s%s", i, key, show(text, item), only,
                      other == NULL ? "" : " or \"", other == NULL ? "" : other, other == NULL ? "" : "\"");
            return flags;
        }
    }
    return flags;
}

void config_block_types(struct config *config, const char *key, const char *only, int32_t count) {
    (void)config_block_kinds(config, key, only, NULL, count);
}

void config_check_groups(struct config *config, const char *key, const struct config_list *channels,
                         const char *groups_key, int64_t groups) {
    for (int32_t i = 0; i < channels->count && config->error.status == VAEMARK_OK; i++) {
        if (channels->items[i] % groups != 0) {
            error_set(&config->error, VAEMARK_BAD_INPUT,
                      "entry %d of \"%s\" is %lld, which \"%s\" = %lld does not divide: group norm needs equal groups",
                      i, key, (long long)channels->items[i], groups_key, (long long)groups);
        }
    }
}

void config_check_latent_scale(struct config *config) {
    static const char *const KEYS[] = {"scaling_factor", "shift_factor"};
    char text[96];
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        const json_t *value = find(config, KEYS[i]);
        if (value != NULL && !json_is_null(value) && !(json_is_number(value) && isfinite(json_number_value(value)))) {
            error_set(&config->error, VAEMARK_BAD_INPUT, "\"%s\" is %s; a finite number or null is wanted", KEYS[i],
                      show(text, value));
        }
    }
}

int64_t config_sample_size(const struct config *config, int64_t fallback, bool *is_list) {
    enum { MAX_SAMPLE_SIZE = 1 << 24 };
    const json_t *value = find(config, "sample_size");

    *is_list = json_is_array(value);
    if (value == NULL) {
        return fallback;
    }
    value = *is_list ? json_array_get(value, 0) : value;
    return in_range(value, 1, MAX_SAMPLE_SIZE) ? json_integer_value(value) : 0;
}
