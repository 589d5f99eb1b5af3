#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

/* Grows as it reads rather than trusting a size asked beforehand: pipes and /proc say 0, and files change. */
static enum vaemark_status file_read_stream(FILE *stream, const char *path, size_t limit_bytes, char **text,
                                            size_t *size_bytes, struct error *error) {
    size_t capacity = 1 << 16, size = 0;
    char *buffer = malloc(capacity + 1);

    while (buffer != NULL) {
        size += fread(buffer + size, 1, capacity - size, stream);
        if (size < capacity || size > limit_bytes) {
            break;
        }
        capacity *= 2;
        char *larger = realloc(buffer, capacity + 1);
        if (larger == NULL) {
            free(buffer);
        }
        buffer = larger;
    }
    if (buffer == NULL) {
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "out of memory while reading");
    }
    if (ferror(stream)) {
        free(buffer);
        return error_set_at(error, VAEMARK_IO_ERROR, path, "cannot read: %s", strerror(errno));
    }
    if (size > limit_bytes) {
        free(buffer);
        return error_set_at(error, VAEMARK_BAD_INPUT, path, "larger than %zu bytes, the most such a file may have",
                            limit_bytes);
    }
    buffer[size] = '\0';
    *text = buffer;
    if (size_bytes != NULL) {
        *size_bytes = size;
    }
    return VAEMARK_OK;
}

enum vaemark_status file_read(const char *path, size_t limit_bytes, char **text, size_t *size_bytes,
                              struct error *error) {
    FILE *stream = fopen(path, "rb");
    enum vaemark_status status;

    *text = NULL;
    if (size_bytes != NULL) {
        *size_bytes = 0;
    }
    if (stream == NULL) {
        return error_set_at(error, VAEMARK_IO_ERROR, path, "cannot open: %s", strerror(errno));
    }
    status = file_read_stream(stream, path, limit_bytes, text, size_bytes, error);
    fclose(stream);
    return status;
}

static void atomic_file_forget(struct atomic_file *file) {
    free(file->path);
    free(file->temporary_path);
    *file = (struct atomic_file){0};
}

enum vaemark_status atomic_file_open(struct atomic_file *file, const char *path, struct error *error) {
    int descriptor;

    *file = (struct atomic_file){.path = strdup(path), .temporary_path = text_format("%s.XXXXXX.part", path)};
    if (file->path == NULL || file->temporary_path == NULL) {
        atomic_file_forget(file);
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "out of memory while opening for writing");
    }
    descriptor = mkostemps(file->temporary_path, (int)strlen(".part"), O_CLOEXEC);
    if (descriptor < 0) {
        const int cause = errno;
        atomic_file_forget(file);
        return error_set_at(error, VAEMARK_IO_ERROR, path, "cannot write beside it: %s", strerror(cause));
    }
    /* mkstemp makes files private; the result should look like any file that the user makes. */
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(descriptor, 0666 & ~mask);
    file->stream = fdopen(descriptor, "wb");
    if (file->stream == NULL) {
        const int cause = errno;
        close(descriptor);
        unlink(file->temporary_path);
        atomic_file_forget(file);
        return error_set_at(error, VAEMARK_IO_ERROR, path, "cannot write beside it: %s", strerror(cause));
    }
    return VAEMARK_OK;
}

/* The rename is on disk only once its folder is. Filesystems that cannot sync a folder are no reason to fail. */
static void folder_sync_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    const int descriptor = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

enum vaemark_status atomic_file_commit(struct atomic_file *file, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    bool written;
    int cause;

    if (file->stream == NULL) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "commit of a file that is not open");
    }
    errno = 0;
    written = fflush(file->stream) == 0 && !ferror(file->stream) && fsync(fileno(file->stream)) == 0;
    cause = errno;
    if (fclose(file->stream) != 0 && written) {
        written = false;
        cause = errno;
    }
    file->stream = NULL;
    if (written && rename(file->temporary_path, file->path) != 0) {
        written = false;
        cause = errno;
    }
    if (written) {
        folder_sync_of(file->path);
    } else {
        unlink(file->temporary_path);
        status = error_set_at(error, VAEMARK_IO_ERROR, file->path, "cannot write: %s",
                              cause != 0 ? strerror(cause) : "an earlier write failed");
    }
    atomic_file_forget(file);
    return status;
}

void atomic_file_abandon(struct atomic_file *file) {
    if (file->stream != NULL) {
        fclose(file->stream);
        unlink(file->temporary_path);
    }
    atomic_file_forget(file);
}

char *path_join(const char *folder, const char *name) {
    const size_t length = strlen(folder);

    if (length == 0 || name[0] == '/') {
        return strdup(name);
    }
    return text_format(folder[length - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}
