#include "harness/text_list.h"

#include <stdlib.h>
#include <string.h>

static int add_copy(struct text_list *list, char *copy) {
    char **grown = copy ? realloc(list->items, (list->count + 2) * sizeof *grown) : NULL;
    if (!grown) {
        free(copy);
        return 0;
    }
    list->items = grown;
    list->items[list->count++] = copy;
    list->items[list->count] = NULL;
    return 1;
}

int text_list_add(struct text_list *list, const char *text) {
    return add_copy(list, strdup(text));
}

int text_list_add_commas(struct text_list *list, const char *text) {
    int added = 1;
    while (added && *text) {
        size_t length = strcspn(text, ",");
        added = length == 0 || add_copy(list, strndup(text, length));
        text += length + (text[length] == ',');
    }
    return added;
}

void text_list_free(struct text_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct text_list){0};
}
