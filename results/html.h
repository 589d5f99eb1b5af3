/* HTML from templates of ours and texts that are anybody's: whatever a result file holds, it stays text. */
#ifndef RESULTS_HTML_H
#define RESULTS_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* `text` for an element's content or a quoted attribute. What is no UTF-8, no character to print, or turns the
 * direction of writing becomes U+FFFD; line ends and tabs stay. */
void html_text(FILE *out, const char *text);

/* The template with every '@' replaced by the next text, as html_text writes it: html(out, "<td>@</td>", name). */
#define html(out, template, ...) html_fill(out, template, (const char *const[]){__VA_ARGS__, NULL})
void html_fill(FILE *out, const char *template, const char *const *texts);

/* "data:TYPE;base64,..." False when memory is short. */
bool html_data_uri(FILE *out, const char *type, const void *bytes, size_t size_bytes);

#endif
