/* A run as Markdown: for a comment on a pull request, or the summary of a CI job. */
#ifndef RESULTS_MARKDOWN_H
#define RESULTS_MARKDOWN_H

#include <stdio.h>

#include "results/store.h"

enum { MARKDOWN_LARGEST_BYTES = 65000 }; /* GitHub takes 65,536 characters in a comment, 1 MiB in a job's summary */

/* The verdict, what needs attention with reason and repro line, a table of results, the sentence on fuse-QKV, the
 * environment folded away. GitHub's and GitLab's dialect. What does not fit is left out, and counted. Text in fresh
 * memory. False, with a message, when memory is short. */
bool markdown_format(const struct record *record, char **text, size_t *size_bytes, struct results_error *error);

/* For the cells of other tables in the same dialect: a text in which nothing is markup and nobody is mentioned, a line
 * end being a line break; and one as code, on one line. At most `longest_bytes` of it, then "...". */
void markdown_print_text(FILE *out, const char *text, size_t longest_bytes);
void markdown_print_code(FILE *out, const char *text, size_t longest_bytes);

#endif
