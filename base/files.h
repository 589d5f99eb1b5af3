/* Files and folders: whole reads, atomic writes, where the project's data and the user's cache are. */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

/* Reads a whole file of at most `limit_bytes` into fresh memory, with a zero behind it. */
enum vaemark_status file_read(const char *path, size_t limit_bytes, char **text, size_t *size_bytes,
                              struct error *error);

/* Writing beside the final name, then renaming: open, write to `stream`, commit (fsync, rename) or abandon. Where the
 * file system can, the file has no name before it is whole, and whatever ends the process leaves nothing behind.
 * Folders, devices, pipes and the file of standard output are never replaced: VAEMARK_INVALID_ARGUMENT. */
struct atomic_file {
    FILE *stream;
    char *path, *temporary_path;
    bool nameless;
};
enum vaemark_status atomic_file_open(struct atomic_file *file, const char *path, struct error *error);
enum vaemark_status atomic_file_commit(struct atomic_file *file,
                                       struct error *error); /* also after write errors: then it fails and cleans up */
void atomic_file_abandon(struct atomic_file *file);

enum vaemark_status folder_make(const char *path, struct error *error); /* with parents; fine if it exists */
/* Whether both are, or would be if written, one file: "a", "./a", and what links to it. */
bool path_is_same(const char *path, const char *other);
/* "a/b" from "a" and "b", allocated. */
char *path_join(const char *folder, const char *name);

/* The folder that holds suites/, models/ and scripts/: $VAEMARK_DATA, else what the build was configured with, else
 * ../share/vaemark beside the binary. Allocated. */
enum vaemark_status data_folder(char **path, struct error *error);
/* $VAEMARK_CACHE, else $XDG_CACHE_HOME/vaemark, else ~/.cache/vaemark; made if needed. Allocated. */
enum vaemark_status cache_folder(char **path, struct error *error);
/* The running binary's path. Allocated; NULL if unknown. */
char *own_binary_path(void);

#endif
