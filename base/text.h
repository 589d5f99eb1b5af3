/* Small text helpers for messages. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

/* The candidate nearest to `word` by edit distance (at most a third of its length, at least 1), or NULL: for "did you
 * mean". `candidates` is NULL-terminated. */
const char *text_nearest(const char *word, const char *const *candidates);
/* "1.5 GiB", "12.3 MiB", "512 B"; returns `text`. */
const char *text_format_bytes(double size_bytes, char *text, size_t capacity);
/* "1.23 s", "45.6 ms", "789 us"; returns `text`. */
const char *text_format_time(double time_ns, char *text, size_t capacity);
/* True when `pattern` (with * and ?; * also matches /) matches the whole of `text`. */
int text_glob_match(const char *pattern, const char *text);
/* printf into fresh memory; NULL when memory is short. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
