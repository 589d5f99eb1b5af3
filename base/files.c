#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
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

/* What to do about an errno of writing. */
static const char *write_remedy(int cause) {
    switch (cause) {
    case ENOSPC:
    case EDQUOT:
        return "; free some space, or choose another disk";
    case EFBIG:
        return "; raise the limit on file sizes (ulimit -f), or choose another disk";
    case EACCES:
    case EPERM:
    case EROFS:
        return "; choose a folder that you may write to";
    default:
        return "";
    }
}

static enum vaemark_status fail_writing(const char *path, const char *what, int cause, struct error *error) {
    return error_set_at(error, VAEMARK_IO_ERROR, path, "%s: %s%s", what,
                        cause != 0 ? strerror(cause) : "an earlier write failed", write_remedy(cause));
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *temporary_name(const char *path) {
    unsigned long long number = 0;

    (void)!getrandom(&number, sizeof number, 0);
    return text_format("%s.%016llx.part", path, number);
}

static int open_beside(struct atomic_file *file) {
    char *folder = folder_of(file->path);
    const int descriptor = folder == NULL ? -1 : open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);

    free(folder);
    file->nameless = descriptor >= 0;
    return file->nameless ? descriptor : open(file->temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static bool is_same_file(const struct stat *facts, int descriptor) {
    struct stat other;

    return fstat(descriptor, &other) == 0 && other.st_dev == facts->st_dev && other.st_ino == facts->st_ino;
}

/* A rename would put the file in the place of whatever is there: never of a device as /dev/null, of a pipe that
 * somebody reads, or of the file that standard output goes to. */
static enum vaemark_status check_replaceable(const char *path, struct error *error) {
    struct stat facts;

    if (stat(path, &facts) != 0) {
        return VAEMARK_OK;
    }
    if (!S_ISREG(facts.st_mode)) {
        return error_set_at(error, VAEMARK_INVALID_ARGUMENT, path, "is %s, not a file: choose another name",
                            S_ISDIR(facts.st_mode) ? "a folder" : "a device or pipe");
    }
    if (is_same_file(&facts, STDOUT_FILENO) || is_same_file(&facts, STDERR_FILENO)) {
        return error_set_at(error, VAEMARK_INVALID_ARGUMENT, path,
                            "is where standard output or the messages go: choose another name");
    }
    return VAEMARK_OK;
}

enum vaemark_status atomic_file_open(struct atomic_file *file, const char *path, struct error *error) {
    int descriptor;
    enum vaemark_status status = check_replaceable(path, error);

    *file = (struct atomic_file){0};
    if (status != VAEMARK_OK) {
        return status;
    }
    *file = (struct atomic_file){.path = strdup(path), .temporary_path = temporary_name(path)};
    if (file->path == NULL || file->temporary_path == NULL) {
        atomic_file_forget(file);
        return error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "out of memory while opening for writing");
    }
    descriptor = open_beside(file);
    if (descriptor >= 0) {
        file->stream = fdopen(descriptor, "wb");
    }
    if (file->stream == NULL) {
        const int cause = errno;
        if (descriptor >= 0) {
            close(descriptor);
            unlink(file->temporary_path);
        }
        atomic_file_forget(file);
        return fail_writing(path, "cannot write beside it", cause, error);
    }
    return VAEMARK_OK;
}

/* The rename is on disk only once its folder is. Filesystems that cannot sync a folder are no reason to fail. */
static void folder_sync_of(const char *path) {
    char *folder = folder_of(path);
    const int descriptor = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

/* Gives the nameless file a name that nothing has yet. */
static bool link_as(FILE *stream, const char *path) {
    char source[64];

    snprintf(source, sizeof source, "/proc/self/fd/%d", fileno(stream));
    return linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

enum vaemark_status atomic_file_commit(struct atomic_file *file, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    bool written, placed = false;
    int cause;

    if (file->stream == NULL) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "commit of a file that is not open");
    }
    errno = 0;
    if (ferror(file->stream)) {
        (void)!write(fileno(file->stream), "", 1); /* fails as the earlier one did, whose errno is gone */
        cause = errno;
        fclose(file->stream);
        file->stream = NULL;
        unlink(file->temporary_path);
        status = fail_writing(file->path, "cannot write", cause, error);
        atomic_file_forget(file);
        return status;
    }
    written = fflush(file->stream) == 0 && fsync(fileno(file->stream)) == 0;
    if (written && file->nameless) {
        placed = link_as(file->stream, file->path); /* where there is no such file, nothing need be renamed */
        written = placed || link_as(file->stream, file->temporary_path);
    }
    cause = errno;
    if (fclose(file->stream) != 0 && written) {
        written = false;
        cause = errno;
    }
    file->stream = NULL;
    if (written && !placed && rename(file->temporary_path, file->path) != 0) {
        written = false;
        cause = errno;
    }
    if (written) {
        folder_sync_of(file->path);
    } else {
        unlink(file->temporary_path);
        status = fail_writing(file->path, "cannot write", cause, error);
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

bool path_is_same(const char *path, const char *other) {
    struct stat facts, others;

    if (stat(path, &facts) == 0 && stat(other, &others) == 0) {
        return facts.st_dev == others.st_dev && facts.st_ino == others.st_ino;
    }
    const char *slash = strrchr(path, '/'), *other_slash = strrchr(other, '/');
    if (strcmp(slash ? slash + 1 : path, other_slash ? other_slash + 1 : other) != 0) {
        return false;
    }
    char *folder = folder_of(path), *other_folder = folder_of(other);
    bool same = strcmp(path, other) == 0 ||
                (folder != NULL && other_folder != NULL && stat(folder, &facts) == 0 &&
                 stat(other_folder, &others) == 0 && facts.st_dev == others.st_dev && facts.st_ino == others.st_ino);
    free(folder);
    free(other_folder);
    return same;
}

char *path_join(const char *folder, const char *name) {
    const size_t length = strlen(folder);

    if (length == 0 || name[0] == '/') {
        return strdup(name);
    }
    return text_format(folder[length - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}
