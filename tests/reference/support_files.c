#include "tests/reference/support_files.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512, MAX_FOLDERS = 16 };

static _Noreturn void give_up(const char *what) {
    perror(what);
    abort();
}

const char *support_source(void) {
    const char *source = getenv("VAEMARK_SOURCE");
    return source == NULL ? "." : source;
}

/* A few hundred bytes a call, in a process that ends soon: kept so that no test has to free a path. */
const char *support_path(const char *format, ...) {
    static char paths[256][PATH_BYTES];
    static size_t used;
    char *path = paths[used++ % 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path, PATH_BYTES, format, arguments);
    va_end(arguments);
    return path;
}

static char folders[MAX_FOLDERS][PATH_BYTES];
static size_t folder_count;

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *place) {
    (void)facts, (void)kind, (void)place;
    return remove(path);
}

static void remove_folders(void) {
    for (size_t i = 0; i < folder_count; i++) {
        nftw(folders[i], remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

const char *support_folder(void) {
    const char *parent = getenv("TMPDIR");
    if (folder_count == MAX_FOLDERS) {
        give_up("too many folders");
    }
    if (folder_count == 0) {
        atexit(remove_folders);
    }
    char *folder = folders[folder_count++];
    snprintf(folder, PATH_BYTES, "%s/vaemark-test-XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(folder) == NULL) {
        give_up(folder);
    }
    return folder;
}

void support_write(const char *path, const void *bytes, size_t size_bytes) {
    FILE *stream = fopen(path, "wb");
    if (stream == NULL || fwrite(bytes, 1, size_bytes, stream) != size_bytes || fclose(stream) != 0) {
        give_up(path);
    }
}

void support_write_text(const char *path, const char *text) {
    support_write(path, text, strlen(text));
}
