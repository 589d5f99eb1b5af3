/* What did not pass: every such case with its reason, its failed checks and the command that repeats it; then, a line a
 * reason, what was not judged. */
#include <string.h>

#include "results/format.h"
#include "results/page_parts.h"

/* "NAME: MESSAGE" of a failed check is the reason of its case most of the time: then it need not be told again. */
static bool is_told_by(const char *reason, const struct check_row *check) {
    size_t length = strlen(check->name);
    return strncmp(reason, check->name, length) == 0 && strncmp(reason + length, ": ", 2) == 0 &&
           strcmp(reason + length + 2, check->message) == 0;
}

static void write_check(struct page *page, const struct check_row *check) {
    struct figure value = format_number(check->value), bound = format_number(check->bound);
    html(page->out, "<li><code>@</code> ", check->name);
    if (check->message[0]) {
        html(page->out, "@", check->message);
    } else if (strcmp(value.text, "-") != 0) {
        html(page->out, "found @, the bound is @", value.text, bound.text);
    } else {
        fputs("failed", page->out);
    }
    fputs("</li>\n", page->out);
}

static void write_failed_checks(struct page *page, const struct page_case *place) {
    const char *before = "<ul class=\"messages\">\n", *after = "";
    for (size_t i = 0; i < page->record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(page->record, TABLE_CHECKS, i, check_row);
        if (strcmp(check->case_id, place->row->id) == 0 && strcmp(check->outcome, "failed") == 0 &&
            !is_told_by(place->row->reason, check)) {
            fputs(before, page->out);
            write_check(page, check);
            before = "";
            after = "</ul>\n";
        }
    }
    fputs(after, page->out);
}

static void write_failure(struct page *page, const struct page_case *place) {
    const struct case_row *row = place->row;
    html(page->out, place->anchor[0] ? "<article class=\"failure @\" id=\"@\">\n" : "<article class=\"failure @\">\n",
         outcome_style_find(row->outcome)->tone, place->anchor);
    fputs("<h3>", page->out);
    page_badge(page, row->outcome);
    html(page->out, " <a class=\"id\" href=\"#@\">@</a></h3>\n", place->anchor, row->id);
    html(page->out, "<p class=\"reason\">@</p>\n", row->reason[0] ? row->reason : "No reason was recorded.");
    write_failed_checks(page, place);
    if (row->repro[0]) {
        html(page->out, "<p class=\"repeat\"><span>Repeat it:</span> <code>@</code></p>\n", row->repro);
    } else {
        fputs("<p class=\"repeat\">No command that repeats it was recorded.</p>\n", page->out);
    }
    fputs("</article>\n", page->out);
}

static size_t write_outcome(struct page *page, const struct outcome_style *style) {
    size_t count = 0;
    for (size_t i = 0; i < page->case_count; i++) {
        if (outcome_style_find(page->cases[i].row->outcome) == style) {
            write_failure(page, &page->cases[i]);
            count++;
        }
    }
    return count;
}

/* One line a reason, however many cases share it. */
static void write_reasons(struct page *page, const struct outcome_style *style) {
    for (size_t i = 0; i < page->case_count; i++) {
        const struct case_row *row = page->cases[i].row;
        size_t same = 0;
        bool told = outcome_style_find(row->outcome) != style;
        for (size_t j = 0; j < page->case_count && !told; j++) {
            const struct case_row *other = page->cases[j].row;
            bool alike = outcome_style_find(other->outcome) == style && strcmp(other->reason, row->reason) == 0;
            told = alike && j < i;
            same += alike;
        }
        if (!told) {
            fputs("<li>", page->out);
            page_badge(page, row->outcome);
            fprintf(page->out, " %zu case%s: ", same, same == 1 ? "" : "s");
            html(page->out, "@</li>\n", row->reason[0] ? row->reason : "no reason was recorded");
        }
    }
}

static bool has_reasons(const struct page *page) {
    for (size_t i = 0; i < page->case_count; i++) {
        const struct outcome_style *style = outcome_style_find(page->cases[i].row->outcome);
        if (!style->in_full && strcmp(style->outcome, "passed") != 0) {
            return true;
        }
    }
    return false;
}

static void write_nothing_failed(struct page *page) {
    if (page->case_count == 0) {
        fputs("<p>The file holds no cases: nothing was decoded, so nothing is shown and nothing is claimed.</p>\n",
              page->out);
    } else if (page->verdict.exit_code == 0) {
        fputs("<p>Nothing: every case that was judged passed, or refused what it must refuse.</p>\n", page->out);
    } else {
        fputs("<p>No case failed, and none decided anything either.</p>\n", page->out);
    }
}

void page_write_failures(struct page *page) {
    size_t count = write_outcome(page, outcome_style_find(""));
    for (size_t i = 0; i < outcome_style_count; i++) {
        count += outcome_styles[i].in_full ? write_outcome(page, &outcome_styles[i]) : 0;
    }
    if (count == 0) {
        write_nothing_failed(page);
    }
    if (has_reasons(page)) {
        fputs("<ul class=\"reasons\">\n", page->out);
        for (size_t i = 0; i < outcome_style_count; i++) {
            if (!outcome_styles[i].in_full && strcmp(outcome_styles[i].outcome, "passed") != 0) {
                write_reasons(page, &outcome_styles[i]);
            }
        }
        fputs("</ul>\n", page->out);
    }
}
