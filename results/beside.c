#include "results/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool results_fail(struct results_error *error, const char *format, ...) {
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* What to do about an errno of writing, for the person at the terminal. */
static const char *remedy(int number) {
    switch (number) {
    case ENOENT:
        return "make the folder first, or choose another name";
    case EACCES:
    case EPERM:
    case EROFS:
        return "choose a folder that you may write to";
    case ENOSPC:
    case EDQUOT:
        return "free some space, or choose another disk";
    case EFBIG:
        return "raise the limit on file sizes (ulimit -f), or choose another disk";
    case EISDIR:
    case ENOTEMPTY:
    case EEXIST:
        return "a folder has that name: choose another";
    case ENOTDIR:
        return "a part of the path is a file, not a folder";
    default:
        return "choose another place";
    }
}

static bool fail_writing(struct results_error *error, const char *path, int number) {
    return results_fail(error, "%s: cannot be written: %s; %s", path, strerror(number), remedy(number));
}

char *beside_name(const char *path) {
    char *name = NULL;
    return asprintf(&name, "%s.%ld.part", path, (long)getpid()) < 0 ? NULL : name;
}

static bool write_all(int descriptor, const char *bytes, size_t size_bytes) {
    while (size_bytes > 0) {
        ssize_t written = write(descriptor, bytes, size_bytes);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            bytes += written;
            size_bytes -= (size_t)written;
        }
    }
    return true;
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

/* So that the new name itself survives a power cut. A folder that cannot be synced is no reason to fail: the file is
 * there. */
void beside_sync_folder(const char *path) {
    char *folder = folder_of(path);
    int descriptor = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

bool beside_commit(const char *temporary_path, const char *path, struct results_error *error) {
    int descriptor = open(temporary_path, O_RDONLY | O_CLOEXEC);
    bool synced = descriptor >= 0 && fsync(descriptor) == 0;
    int number = errno;
    if (descriptor >= 0) {
        close(descriptor);
    }
    if (synced && rename(temporary_path, path) != 0) {
        synced = false;
        number = errno;
    }
    if (!synced) {
        unlink(temporary_path);
        return fail_writing(error, path, number);
    }
    beside_sync_folder(path);
    return true;
}

/* A file without a name, where the file system has such: whatever ends us leaves nothing behind. */
static int open_nameless(const char *path) {
    char *folder = folder_of(path);
    int descriptor = folder ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
    free(folder);
    return descriptor;
}

static bool link_as(int descriptor, const char *path) {
    char source[64];
    snprintf(source, sizeof source, "/proc/self/fd/%d", descriptor);
    return linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

/* Gives a nameless file its name. Where there is no such file, no name but the last is ever seen; else another comes
 * just before it. */
static bool place_nameless(int descriptor, const char *temporary_path, const char *path) {
    return fsync(descriptor) == 0 &&
           (link_as(descriptor, path) || (link_as(descriptor, temporary_path) && rename(temporary_path, path) == 0));
}

bool beside_write(const char *path, const struct piece *pieces, size_t piece_count, struct results_error *error) {
    char *temporary_path = beside_name(path);
    if (!temporary_path) {
        return results_fail(error, "%s: cannot be written: out of memory", path);
    }
    unlink(temporary_path); /* left by a process of the same number that died long ago */
    int descriptor = open_nameless(path);
    bool nameless = descriptor >= 0;
    if (!nameless) {
        descriptor = open(temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    bool done = descriptor >= 0;
    for (size_t i = 0; done && i < piece_count; i++) {
        done = write_all(descriptor, pieces[i].bytes, pieces[i].size_bytes);
    }
    done = done && (!nameless || place_nameless(descriptor, temporary_path, path));
    int number = errno;
    if (descriptor >= 0 && close(descriptor) != 0 && done) {
        done = false;
        number = errno;
    }
    if (!done) {
        unlink(temporary_path);
        fail_writing(error, path, number);
    } else if (nameless) {
        beside_sync_folder(path);
    } else {
        done = beside_commit(temporary_path, path, error);
    }
    free(temporary_path);
    return done;
}
