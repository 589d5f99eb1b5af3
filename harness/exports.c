#include "harness/exports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "results/junit.h"
#include "results/markdown.h"

typedef bool format_record(const struct record *record, char **text, size_t *size_bytes, struct results_error *error);

bool exports_take(struct exports *exports, const char *option, const char *value) {
    bool junit = strcmp(option, "junit") == 0;
    if (junit) {
        exports->junit = value;
    } else if (strcmp(option, "markdown") == 0) {
        exports->markdown = value;
    } else {
        return false;
    }
    return true;
}

static bool is_stdout(const char *path) {
    return path && strcmp(path, "-") == 0;
}

bool exports_take_stdout(const struct exports *exports) {
    return is_stdout(exports->junit) || is_stdout(exports->markdown);
}

enum vaemark_status exports_try_path(const char *path, struct error *error) {
    if (path[0] == '\0') {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "the name of a file to write is empty");
    }
    char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    enum vaemark_status status = VAEMARK_OK;
    if (slash && slash != folder) {
        *slash = '\0';
        status = folder_make(folder, error);
    }
    struct atomic_file probe;
    if (status == VAEMARK_OK && (status = atomic_file_open(&probe, path, error)) == VAEMARK_OK) {
        atomic_file_abandon(&probe);
    }
    free(folder);
    return status;
}

static bool is_journal_of(const char *path, const char *result_path) {
    char *journal = result_path ? text_format("%s.journal", result_path) : NULL;
    bool is = journal && path_is_same(path, journal);
    free(journal);
    return is;
}

enum vaemark_status exports_prepare(const struct exports *exports, const char *other, struct error *error) {
    const char *const paths[] = {exports->junit, exports->markdown, other};
    enum { COUNT = sizeof paths / sizeof *paths };
    for (int i = 0; i < COUNT; i++) {
        for (int k = i + 1; k < COUNT && paths[i]; k++) {
            if (paths[k] && path_is_same(paths[i], paths[k])) {
                return error_set(error, VAEMARK_INVALID_ARGUMENT,
                                 "two outputs are to be written to '%s': give each its own", paths[i]);
            }
        }
        if (paths[i] && paths[i] != other && is_journal_of(paths[i], other)) {
            return error_set_at(error, VAEMARK_INVALID_ARGUMENT, paths[i],
                                "is where finished cases wait for the end of the run: choose another name");
        }
    }
    enum vaemark_status status = VAEMARK_OK;
    for (int i = 0; status == VAEMARK_OK && i < COUNT; i++) {
        if (paths[i] && paths[i] != other && !is_stdout(paths[i])) {
            status = exports_try_path(paths[i], error);
        }
    }
    return status;
}

enum vaemark_status exports_write_text(const char *path, const char *text, size_t size_bytes, struct error *error) {
    if (is_stdout(path)) {
        fwrite(text, 1, size_bytes, stdout);
        return fflush(stdout) == 0 && !ferror(stdout)
                   ? VAEMARK_OK
                   : error_set(error, VAEMARK_IO_ERROR, "writing to standard output failed");
    }
    struct atomic_file file;
    enum vaemark_status status = atomic_file_open(&file, path, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    fwrite(text, 1, size_bytes, file.stream);
    return atomic_file_commit(&file, error);
}

static enum vaemark_status write_one(const char *path, format_record *format, const struct record *record,
                                     struct error *error) {
    struct results_error failure = {""};
    char *text = NULL;
    size_t size_bytes = 0;
    if (!path) {
        return VAEMARK_OK;
    }
    if (!format(record, &text, &size_bytes, &failure)) {
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "%s", failure.message);
    }
    enum vaemark_status status = exports_write_text(path, text, size_bytes, error);
    free(text);
    return status;
}

enum vaemark_status exports_write(const struct exports *exports, const struct record *record, struct error *error) {
    struct error second = {0};
    enum vaemark_status status = write_one(exports->junit, junit_format, record, error);
    enum vaemark_status other =
        write_one(exports->markdown, markdown_format, record, status == VAEMARK_OK ? error : &second);
    return status == VAEMARK_OK ? other : status;
}
