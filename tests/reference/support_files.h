/* Paths and fresh folders for tests. */
#ifndef TESTS_REFERENCE_SUPPORT_FILES_H
#define TESTS_REFERENCE_SUPPORT_FILES_H

#include <stddef.h>

/* The tree's root: $VAEMARK_SOURCE, which CTest sets. */
const char *support_source(void);
/* "ROOT/..." formatted into a buffer that lives until the test's process ends; at most 512 bytes. */
const char *support_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A fresh empty folder, removed with all that is in it when the process ends. */
const char *support_folder(void);
/* Writes a file whole; aborts the test where that fails. */
void support_write(const char *path, const void *bytes, size_t size_bytes);
void support_write_text(const char *path, const char *text);

#endif
