/* The page's head: title, the verdict in one sentence, counts by outcome, where things are. */
#include <string.h>

#include "results/page_css.h"
#include "results/page_parts.h"

/* The whole page in a word, for the window's title. */
static const char *verdict_word(const struct page *page) {
    return page->case_count == 0          ? "no cases"
           : page->verdict.exit_code == 0 ? "passed"
           : page->verdict.exit_code == 3 ? "inconclusive"
                                          : "failed";
}

static const char *verdict_tone(const struct page *page) {
    return page->case_count == 0 || page->verdict.exit_code == 3 ? "doubt"
           : page->verdict.exit_code == 0                        ? "good"
                                                                 : "bad";
}

static const char *suite_name(const struct page *page) {
    const char *suite = record_fact(page->record, "suite");
    return suite && suite[0] ? suite : page->run_count > 1 ? "several suites" : "unknown suite";
}

static void write_title(struct page *page) {
    html(page->out,
         "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<meta name=\"color-scheme\" content=\"light dark\">\n"
         /* Whatever a run holds, this page neither runs a script nor asks a network for anything. */
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
         "style-src 'unsafe-inline'\">\n"
         "<link rel=\"icon\" href=\"data:,\">\n<title>@: @ (vaemark report)</title>\n<style>\n",
         suite_name(page), verdict_word(page));
    fputs(page_css, page->out);
    fputs("</style>\n</head>\n<body>\n", page->out);
}

static void write_fact(struct page *page, const char *key, const char *before) {
    const char *value = record_fact(page->record, key);
    if (value && value[0] && strcmp(value, "unknown") != 0) {
        html(page->out, "<li>@@</li>\n", before, value);
    }
}

static void write_facts(struct page *page) {
    fputs("<ul class=\"facts\">\n", page->out);
    html(page->out, "<li>suite <strong>@</strong></li>\n", suite_name(page));
    if (page->run_count > 1) {
        fprintf(page->out, "<li>%zu runs side by side</li>\n", page->run_count);
    }
    write_fact(page, "run_started", "started ");
    write_fact(page, "cpu_model", "");
    write_fact(page, "vaemark_version", "vaemark ");
    write_fact(page, "vaemark_git_commit", "commit ");
    fputs("</ul>\n", page->out);
}

static size_t count_outcome(const struct page *page, const char *outcome) {
    size_t count = 0;
    for (size_t i = 0; i < page->case_count; i++) {
        const char *found = outcome_style_find(page->cases[i].row->outcome)->outcome;
        count += strcmp(found, outcome) == 0;
    }
    return count;
}

static void write_count(struct page *page, const struct outcome_style *style, size_t count) {
    char number[32];
    snprintf(number, sizeof number, "%zu", count);
    if (count > 0) {
        html(page->out,
             "<li class=\"count @\"><strong>@</strong> <span><span aria-hidden=\"true\">@</span> @</span></li>\n",
             style->tone, number, style->symbol, style->words);
    }
}

static void write_counts(struct page *page) {
    size_t passed = 0, failed = 0;
    for (size_t i = 0; i < page->case_count; i++) {
        passed += page->cases[i].checks_passed;
        failed += page->cases[i].checks_failed;
    }
    fputs("<ul class=\"counts\" aria-label=\"Cases by outcome\">\n", page->out);
    const struct outcome_style *unknown = outcome_style_find("");
    write_count(page, unknown, count_outcome(page, ""));
    for (size_t i = 0; i < outcome_style_count; i++) {
        write_count(page, &outcome_styles[i], count_outcome(page, outcome_styles[i].outcome));
    }
    fprintf(page->out,
            "<li class=\"count\"><strong>%zu</strong> <span>case%s</span></li>\n"
            "<li class=\"count\"><strong>%zu/%zu</strong> <span>checks passed</span></li>\n</ul>\n",
            page->case_count, page->case_count == 1 ? "" : "s", passed, passed + failed);
}

static void write_contents(struct page *page, const struct page_section *sections, size_t section_count) {
    fputs("<nav aria-label=\"Sections\">\n<ul>\n", page->out);
    for (size_t i = 0; i < section_count; i++) {
        if (sections[i].is_there(page)) {
            html(page->out, "<li><a href=\"#@\">@</a></li>\n", sections[i].id, sections[i].short_title);
        }
    }
    fputs("</ul>\n</nav>\n", page->out);
}

void page_write_head(struct page *page, const struct page_section *sections, size_t section_count) {
    static const char *const tones[][2] = {{"good", "✓"}, {"bad", "✗"}, {"doubt", "?"}};
    const char *tone = verdict_tone(page), *symbol = "";
    for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++) {
        symbol = strcmp(tones[i][0], tone) == 0 ? tones[i][1] : symbol;
    }
    write_title(page);
    html(page->out,
         "<a class=\"skip\" href=\"#failures\">Skip to what did not pass</a>\n<header class=\"@\">\n<p "
         "class=\"product\">vaemark "
         "report</p>\n",
         tone);
    html(page->out, "<h1><span class=\"mark\" aria-hidden=\"true\">@</span><span>@</span></h1>\n", symbol,
         page->verdict.sentence);
    write_facts(page);
    write_counts(page);
    fputs("</header>\n", page->out);
    write_contents(page, sections, section_count);
}
