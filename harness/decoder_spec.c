#include "harness/decoder_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/worker/serve.h"

const char *option_list_find(const struct option_list *list, const char *key) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].key, key) == 0) {
            return list->items[i].value;
        }
    }
    return NULL;
}

enum vaemark_status option_list_set(struct option_list *list, const char *key, const char *value, struct error *error) {
    struct option_text *item = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].key, key) == 0) {
            item = &list->items[i];
        }
    }
    if (!item) {
        if (list->count == DECODER_MAX_OPTIONS) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "more than %d options", DECODER_MAX_OPTIONS);
        }
        item = &list->items[list->count++];
    }
    if (!*key || strlen(key) >= sizeof item->key || strlen(value) >= sizeof item->value) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "option '%.60s=%.60s': empty or too long", key, value);
    }
    strcpy(item->key, key);
    strcpy(item->value, value);
    return VAEMARK_OK;
}

bool option_is_on(const char *value) {
    return value && (strcasecmp(value, "on") == 0 || strcasecmp(value, "true") == 0 || strcasecmp(value, "yes") == 0 ||
                     strcmp(value, "1") == 0);
}

static bool option_is_off(const char *value) {
    return strcasecmp(value, "off") == 0 || strcasecmp(value, "false") == 0 || strcasecmp(value, "no") == 0;
}

bool option_is_asked(const char *value) {
    return value && !option_is_off(value) && strcmp(value, "0") != 0;
}

void option_take_tiling(const struct option_text *option, struct tiling_request *request) {
    if (strcmp(option->key, "tile") == 0) {
        request->tile = strtoll(option->value, NULL, 10);
    } else if (strcmp(option->key, "tile_stride") == 0) {
        request->stride = strtoll(option->value, NULL, 10);
    } else if (strcmp(option->key, "slicing") == 0) {
        request->slicing = option_is_on(option->value);
    } else if (strcmp(option->key, "tiling") == 0) {
        request->mode = strcmp(option->value, "corrected") == 0 ? TILING_CORRECTED
                        : option_is_on(option->value)           ? TILING_ON
                                                                : TILING_OFF;
    }
}

struct tiling_request options_tiling(const struct option_list *options) {
    struct tiling_request request = {.mode = TILING_OFF};
    for (size_t i = 0; options && i < options->count; i++) {
        option_take_tiling(&options->items[i], &request);
    }
    return request;
}

struct vaemark_option option_typed(const struct option_text *text) {
    struct vaemark_option option = {.key = text->key, .type = VAEMARK_TEXT, .value.text = text->value};
    char *end = NULL;
    long long integer = strtoll(text->value, &end, 10);
    bool is_integer = end != text->value && *end == '\0';
    if (!is_integer && (option_is_on(text->value) || option_is_off(text->value))) {
        option.type = VAEMARK_BOOLEAN;
        option.value.boolean = option_is_on(text->value);
    } else if (is_integer) {
        option.type = VAEMARK_INTEGER;
        option.value.integer = integer;
    }
    return option;
}

/* Reads up to an unquoted comma; quotes and backslashes as in a shell word. Returns what follows, NULL on an open
 * quote. */
static const char *read_word(const char *text, char *word, size_t capacity) {
    char quote = '\0';
    size_t length = 0;
    for (; *text && (quote || *text != ','); text++) {
        if (quote && *text == quote) {
            quote = '\0';
        } else if (!quote && (*text == '\'' || *text == '"')) {
            quote = *text;
        } else {
            if (*text == '\\' && quote != '\'' && text[1]) {
                text++;
            }
            if (length + 1 < capacity) {
                word[length++] = *text;
            }
        }
    }
    word[length] = '\0';
    return quote ? NULL : text;
}

static void derive_name(struct decoder_spec *spec) {
    const char *colon = strchr(spec->backend, ':');
    if (strncmp(spec->backend, "plugin:", 7) != 0 && strncmp(spec->backend, "exec:", 5) != 0) {
        snprintf(spec->name, sizeof spec->name, "%.63s", spec->backend);
        return;
    }
    char first_word[256];
    snprintf(first_word, sizeof first_word, "%.*s", (int)strcspn(colon + 1, " "), colon + 1);
    const char *slash = strrchr(first_word, '/');
    snprintf(spec->name, sizeof spec->name, "%.*s:%.50s", (int)(colon - spec->backend), spec->backend,
             slash ? slash + 1 : first_word);
}

static enum vaemark_status take_option(struct decoder_spec *spec, const char *word, struct error *error) {
    const char *equals = strchr(word, '=');
    if (!equals) {
        return option_list_set(&spec->options, word, "on", error);
    }
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)(equals - word), word);
    if (strcmp(key, "name") == 0) {
        if (!equals[1] || strlen(equals + 1) >= sizeof spec->name || strchr(equals, '/')) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT,
                             "decoder '%.200s': name= wants up to 63 characters without '/'", spec->text);
        }
        strcpy(spec->name, equals + 1);
        return VAEMARK_OK;
    }
    return option_list_set(&spec->options, key, equals + 1, error);
}

enum vaemark_status decoder_spec_parse(const char *text, struct decoder_spec *spec, struct error *error) {
    *spec = (struct decoder_spec){0};
    if (!*text || strlen(text) >= sizeof spec->text) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "a decoder's name must have 1 to %zu characters",
                         sizeof spec->text - 1);
    }
    strcpy(spec->text, text);
    const char *rest = read_word(text, spec->backend, sizeof spec->backend);
    derive_name(spec);
    while (rest && *rest == ',') {
        char word[160];
        rest = read_word(rest + 1, word, sizeof word);
        enum vaemark_status status = rest ? take_option(spec, word, error) : VAEMARK_OK;
        if (status != VAEMARK_OK) {
            return status;
        }
    }
    if (!rest) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "decoder '%.200s': a quote is not closed", text);
    }
    for (size_t i = 0; builtin_backends[i]; i++) {
        spec->own |= strcmp(builtin_backends[i]->name, spec->backend) == 0;
    }
    if (strcmp(spec->backend, "exec:") == 0 || strcmp(spec->backend, "plugin:") == 0) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "%s needs a %s", spec->backend,
                         spec->backend[0] == 'e' ? "command, as in exec:'python3 worker.py'"
                                                 : "file, as in plugin:./vendor.so");
    }
    if (strncmp(spec->backend, "exec:", 5) == 0) {
        return VAEMARK_OK;
    }
    const struct vaemark_backend *backend = NULL;
    return strncmp(spec->backend, "plugin:", 7) == 0 ? VAEMARK_OK : backend_find(spec->backend, &backend, error);
}
