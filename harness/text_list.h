/* A growing NULL-terminated list of texts, for options that may be given several times or hold comma-separated lists.
 */
#ifndef HARNESS_TEXT_LIST_H
#define HARNESS_TEXT_LIST_H

#include <stddef.h>

struct text_list {
    char **items; /* NULL-terminated once something was added; NULL before */
    size_t count;
};

/* False when memory is short. */
int text_list_add(struct text_list *list, const char *text);
/* Adds each part of "a,b,c". */
int text_list_add_commas(struct text_list *list, const char *text);
void text_list_free(struct text_list *list);

#endif
