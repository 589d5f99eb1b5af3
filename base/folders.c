/* Folders: making them, and where the project's data and the user's cache are. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

static bool folder_exists(const char *path) {
    struct stat facts;

    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

enum vaemark_status folder_make(const char *path, struct error *error) {
    char *partial = strdup(path);
    enum vaemark_status status = VAEMARK_OK;

    if (partial == NULL) {
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "out of memory while making the folder");
    }
    for (char *end = partial + 1; status == VAEMARK_OK && *partial != '\0'; end++) {
        const char kept = *end;
        if (kept != '/' && kept != '\0') {
            continue;
        }
        *end = '\0';
        if (mkdir(partial, 0777) != 0) {
            const int cause = errno;
            /* A parent on a read-only filesystem answers EROFS although it exists. */
            if (!folder_exists(partial)) {
                status = error_set_at(error, VAEMARK_IO_ERROR, path, "cannot make the folder %s: %s", partial,
                                      strerror(cause == EEXIST ? ENOTDIR : cause));
            }
        }
        *end = kept;
        if (kept == '\0') {
            break;
        }
    }
    free(partial);
    return status;
}

char *own_binary_path(void) {
    size_t capacity = 256;

    for (;;) {
        char *path = malloc(capacity);
        ssize_t length;

        if (path == NULL) {
            return NULL;
        }
        length = readlink("/proc/self/exe", path, capacity);
        if (length >= 0 && (size_t)length < capacity) {
            path[length] = '\0';
            return path;
        }
        free(path);
        if (length < 0) {
            return NULL;
        }
        capacity *= 2;
    }
}

/* ../share/vaemark beside the binary: where an installed copy keeps its data. */
static char *installed_data_folder(void) {
    char *binary = own_binary_path();
    char *slash = binary == NULL ? NULL : strrchr(binary, '/');
    char *folder = NULL;

    if (slash != NULL) {
        *slash = '\0';
        folder = text_format("%s/../share/vaemark", binary);
    }
    free(binary);
    return folder;
}

enum vaemark_status data_folder(char **path, struct error *error) {
    const char *chosen = getenv("VAEMARK_DATA");
    char *installed;

    *path = NULL;
    if (chosen != NULL && chosen[0] != '\0') {
        if (!folder_exists(chosen)) {
            return error_set_at(error, VAEMARK_IO_ERROR, chosen,
                                "VAEMARK_DATA names a folder that is not there; unset it, or name the folder that "
                                "holds suites/ and models/");
        }
        *path = strdup(chosen);
        return *path != NULL ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory");
    }
    /* An installed copy goes with its own data, also on the machine that it was built on. */
    installed = installed_data_folder();
    if (installed != NULL && folder_exists(installed)) {
        *path = installed;
        return VAEMARK_OK;
    }
    free(installed);
    if (folder_exists(VAEMARK_SOURCE_DIR "/suites")) {
        *path = strdup(VAEMARK_SOURCE_DIR);
        return *path != NULL ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory");
    }
    return error_set_at(error, VAEMARK_IO_ERROR, VAEMARK_SOURCE_DIR,
                        "the folder that holds suites/ and models/ is not there (nor ../share/vaemark beside the "
                        "binary); set VAEMARK_DATA to it");
}

enum vaemark_status cache_folder(char **path, struct error *error) {
    const char *own = getenv("VAEMARK_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    enum vaemark_status status;
    char *folder;

    *path = NULL;
    if (own != NULL && own[0] != '\0') {
        folder = strdup(own);
    } else if (xdg != NULL && xdg[0] == '/') { /* the XDG specification: relative paths are to be ignored */
        folder = text_format("%s/vaemark", xdg);
    } else if (home != NULL && home[0] != '\0') {
        folder = text_format("%s/.cache/vaemark", home);
    } else {
        return error_set(error, VAEMARK_IO_ERROR,
                         "no cache folder: none of VAEMARK_CACHE, XDG_CACHE_HOME, HOME is set");
    }
    if (folder == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "out of memory");
    }
    struct error cause;
    status = folder_make(folder, &cause);
    if (status != VAEMARK_OK) {
        error_set_at(error, status, cause.where,
                     "%s; it is the cache folder: set VAEMARK_CACHE to one that you may "
                     "write to",
                     cause.message);
        free(folder);
        return status;
    }
    *path = folder;
    return VAEMARK_OK;
}
