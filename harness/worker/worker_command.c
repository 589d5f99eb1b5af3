/* From a backend's name to a worker's command line. */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "harness/worker/serve.h"
#include "harness/worker/worker_internal.h"

enum { MAX_WORDS = 256 };

void worker_command_free(char **command) {
    for (size_t i = 0; command && command[i]; i++)
        free(command[i]);
    free(command);
}

/* Copies one word to `word` as a shell reads it and returns where it ends; NULL when a quote stays open. */
static const char *read_word(const char *text, char *word) {
    char quote = '\0';
    for (; *text && (quote || !strchr(" \t\n", *text)); text++) {
        if (quote == '\0' && (*text == '\'' || *text == '"')) {
            quote = *text;
        } else if (*text == quote) {
            quote = '\0';
        } else if (*text == '\\' && quote != '\'' && text[1] && (quote == '\0' || strchr("\"\\$`", text[1]))) {
            *word++ = *++text;
        } else {
            *word++ = *text;
        }
    }
    *word = '\0';
    return quote ? NULL : text;
}

/* "{data}/scripts/x.py": the folder that suites and models come from, so that a suite can name a worker that comes with
 * it, whatever the working folder is. */
static enum vaemark_status expand_data(const char *word, char **expanded, struct error *error) {
    static const char mark[] = "{data}";
    char *data = NULL;
    if (strncmp(word, mark, sizeof mark - 1) != 0) {
        *expanded = strdup(word);
    } else {
        enum vaemark_status status = data_folder(&data, error);
        if (status != VAEMARK_OK)
            return status;
        *expanded = text_format("%s%s", data, word + sizeof mark - 1);
        free(data);
    }
    return *expanded ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a command");
}

static enum vaemark_status split_words(const char *text, char **words, struct error *error) {
    size_t count = 0;
    char *word = malloc(strlen(text) + 1);
    enum vaemark_status status = VAEMARK_OK;
    for (const char *at = text; word && status == VAEMARK_OK;) {
        at += strspn(at, " \t\n");
        if (!*at)
            break;
        at = read_word(at, word);
        if (!at)
            status = error_set_at(error, VAEMARK_INVALID_ARGUMENT, text, "a quote of this command is not closed");
        else if (count == MAX_WORDS)
            status = error_set_at(error, VAEMARK_INVALID_ARGUMENT, text, "more than %d words", (int)MAX_WORDS);
        else
            status = expand_data(word, &words[count++], error);
    }
    if (!word)
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a command");
    else if (status == VAEMARK_OK && count == 0)
        status = error_set(error, VAEMARK_INVALID_ARGUMENT, "exec: needs a command, as in exec:'python3 worker.py'");
    free(word);
    return status;
}

/* A test's program is not vaemark: $VAEMARK_BINARY says which one is. */
char *worker_binary_path(void) {
    const char *named = getenv("VAEMARK_BINARY");
    return named && *named ? strdup(named) : own_binary_path();
}

static enum vaemark_status own_command(const char *backend, char **words, struct error *error) {
    const struct vaemark_backend *found;
    /* Unknown names are found out here, at once; a plug-in is loaded in its worker alone. */
    if (strncmp(backend, "plugin:", 7) != 0) {
        enum vaemark_status status = backend_find(backend, &found, error);
        if (status != VAEMARK_OK)
            return status;
    }
    words[0] = worker_binary_path();
    words[1] = strdup("serve");
    words[2] = strdup("--backend");
    words[3] = strdup(backend);
    if (!words[0] || !words[1] || !words[2] || !words[3])
        return error_set(error, VAEMARK_UNAVAILABLE, "cannot tell where the vaemark binary is, or no memory");
    return VAEMARK_OK;
}

enum vaemark_status worker_command_make(const char *backend, char ***command, struct error *error) {
    char **words = calloc(MAX_WORDS + 1, sizeof *words);
    if (!words)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a command");
    enum vaemark_status status =
        strncmp(backend, "exec:", 5) == 0 ? split_words(backend + 5, words, error) : own_command(backend, words, error);
    if (status != VAEMARK_OK) {
        worker_command_free(words);
        return status;
    }
    *command = words;
    return VAEMARK_OK;
}
