/* The matrix of checks: a line a case, a column a check. */
#include <stdlib.h>
#include <string.h>

#include "results/page_parts.h"

bool page_has_checks(const struct page *page) {
    return page->record->tables[TABLE_CHECKS].count > 0;
}

/* The names of all checks, each once, in the order of the run. */
struct names {
    const char **items;
    size_t count;
};

static size_t find_name(const struct names *names, const char *name) {
    size_t i = 0;
    while (i < names->count && strcmp(names->items[i], name) != 0) {
        i++;
    }
    return i;
}

static int compare_names(const void *a, const void *b) {
    const char *first = *(const char *const *)a, *second = *(const char *const *)b;
    bool first_grouped = strchr(first, '/') != NULL, second_grouped = strchr(second, '/') != NULL;
    return first_grouped != second_grouped ? first_grouped - second_grouped : strcmp(first, second);
}

/* What every case has comes first, groups such as fuse-qkv/ after it. */
static bool collect_names(struct names *names, const struct record *record) {
    const struct table *checks = &record->tables[TABLE_CHECKS];
    *names = (struct names){.items = calloc(checks->count + 1, sizeof *names->items)};
    for (size_t i = 0; names->items && i < checks->count; i++) {
        const char *name = RECORD_ROW(record, TABLE_CHECKS, i, check_row)->name;
        if (find_name(names, name) == names->count) {
            names->items[names->count++] = name;
        }
    }
    if (names->items) {
        qsort(names->items, names->count, sizeof *names->items, compare_names);
    }
    return names->items != NULL;
}

static void write_head(struct page *page, const struct names *names) {
    fputs("<thead><tr><th scope=\"col\">Case</th>", page->out);
    for (size_t i = 0; i < names->count; i++) {
        html(page->out, "<th scope=\"col\" class=\"check\" title=\"@\"><span>@</span></th>", names->items[i],
             names->items[i]);
    }
    fputs("</tr></thead>\n", page->out);
}

static void write_cell(struct page *page, const struct check_row *check, const char *anchor) {
    if (!check) {
        fputs("<td><span class=\"unmade\" role=\"img\" aria-label=\"not made\">·</span></td>", page->out);
    } else if (strcmp(check->outcome, "passed") == 0) {
        fputs("<td class=\"good\"><span role=\"img\" aria-label=\"passed\">✓</span></td>", page->out);
    } else if (strcmp(check->outcome, "failed") == 0) {
        html(page->out, "<td class=\"bad\"><a href=\"#@\" title=\"@: @\" aria-label=\"failed\">✗</a></td>", anchor,
             check->name, check->message[0] ? check->message : "failed");
    } else {
        html(page->out, "<td><span title=\"@: @\" role=\"img\" aria-label=\"@\">–</span></td>", check->outcome,
             check->message, check->outcome);
    }
}

/* A check that was made more than once in a case: the one that failed. */
static void collect_row(const struct check_row **row, const struct names *names, const struct record *record,
                        const char *case_id) {
    memset(row, 0, names->count * sizeof *row);
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        if (strcmp(check->case_id, case_id) == 0) {
            const struct check_row **cell = &row[find_name(names, check->name)];
            *cell = *cell && strcmp(check->outcome, "failed") != 0 ? *cell : check;
        }
    }
}

static void write_row(struct page *page, const struct page_case *place, const struct check_row **row,
                      const struct names *names) {
    html(page->out, "<tr><th scope=\"row\" class=\"@\">", outcome_style_find(place->row->outcome)->tone);
    html(page->out, place->anchor[0] ? "<a href=\"#@\">@</a></th>" : "@@</th>", place->anchor, place->row->id);
    for (size_t c = 0; c < names->count; c++) {
        write_cell(page, row[c], place->anchor);
    }
    fputs("</tr>\n", page->out);
}

static void write_matrix(struct page *page, const struct names *names, const struct check_row **row) {
    fputs("<div class=\"scroll matrix\" role=\"region\" aria-label=\"Matrix of checks\" tabindex=\"0\">\n<table>\n",
          page->out);
    write_head(page, names);
    for (size_t i = 0; i < page->case_count; i++) {
        if (i == 0 || page->cases[i].type_first != page->cases[i - 1].type_first) {
            fputs(i ? "</tbody>\n<tbody>\n" : "<tbody>\n", page->out);
            page_write_type_row(page, i, names->count + 1);
        }
        collect_row(row, names, page->record, page->cases[i].row->id);
        write_row(page, &page->cases[i], row, names);
    }
    fputs(page->case_count ? "</tbody>\n</table>\n</div>\n" : "</table>\n</div>\n", page->out);
}

void page_write_checks(struct page *page) {
    struct names names;
    bool done = collect_names(&names, page->record);
    const struct check_row **row = calloc(names.count + 1, sizeof *row);
    fputs(
        "<ul class=\"legend\">\n<li><span class=\"good\">✓</span> passed</li>\n<li><span class=\"bad\">✗</span> "
        "failed; "
        "the message is with the failures above</li>\n<li>– unsupported or skipped</li>\n<li><span "
        "class=\"unmade\">·</span> not made: it has no meaning for the case, or the case ended before it</li>\n</ul>\n",
        page->out);
    if (done && row) {
        write_matrix(page, &names, row);
    } else {
        page->failed = true;
    }
    free((void *)names.items);
    free((void *)row);
}
