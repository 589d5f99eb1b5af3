/* Texts from anywhere (a dead worker's last words, names of files) made fit for a page: XML, Markdown, a terminal. */
#ifndef RESULTS_READABLE_H
#define RESULTS_READABLE_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the well-formed UTF-8 sequence at `text`, 0 if there is none (RFC 3629: no surrogates, no overlong
 * forms, nothing above U+10FFFF). */
size_t utf8_sequence_length(const unsigned char *text);

/* A copy in which control characters, bytes that are no UTF-8, and what XML 1.0 forbids are written as \xNN. Line ends
 * and tabs stay with `keep_lines`, else each run of them becomes one space. Allocated; NULL when memory is short. */
char *readable_text(const char *text, bool keep_lines);

#endif
