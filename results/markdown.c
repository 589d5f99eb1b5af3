#include "results/markdown.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/beside.h"
#include "results/format.h"
#include "results/readable.h"
#include "results/show.h"
#include "results/verdict.h"

/* What the parts may take of MARKDOWN_LARGEST_BYTES; the table of results takes what they leave. */
enum {
    ATTENTION_BYTES = 24000,
    SENTENCE_BYTES = 4000,
    ENVIRONMENT_BYTES = 12000,
    REASON_BYTES = 600,
    COMMAND_BYTES = 900
};
enum { NAME_BYTES = 300, HEAD_BYTES = 2000, LARGEST_ESCAPE = 8 };

/* ---- Escaping ---- */

/* At most `longest_bytes`, whole characters. */
static size_t cut(const char *text, size_t longest_bytes) {
    size_t length = strlen(text);
    if (length <= longest_bytes) {
        return length;
    }
    while (longest_bytes > 0 && ((unsigned char)text[longest_bytes] & 0xC0) == 0x80) {
        longest_bytes--;
    }
    return longest_bytes;
}

void markdown_print_text(FILE *out, const char *text, size_t longest_bytes) {
    char *readable = readable_text(text, true);
    size_t length = readable ? cut(readable, longest_bytes) : 0;
    for (size_t i = 0; i < length; i++) {
        switch (readable[i]) {
        case '\n':
            fputs("<br>", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '@':
            fputs("@&#8203;", out); /* a space of no width: nobody called so is told */
            break;
        default:
            fprintf(out, "%s%c", strchr("|`*_[]>\\~$", readable[i]) ? "\\" : "", readable[i]);
        }
    }
    fputs(readable && readable[length] ? " ..." : "", out);
    free(readable);
}

static size_t longest_run(const char *text, char of) {
    size_t longest = 0, run = 0;
    for (; *text; text++) {
        run = *text == of ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* In a span of code nothing is markup but the span's own fence, which is one longer than any in the text, and, in a
 * table, the cell's border. */
void markdown_print_code(FILE *out, const char *text, size_t longest_bytes) {
    char *readable = readable_text(text, false);
    size_t length = readable ? cut(readable, longest_bytes) : 0;
    size_t ticks = readable ? longest_run(readable, '`') : 0;
    const char *space = ticks ? " " : "";
    for (size_t i = 0; i <= ticks; i++) {
        fputc('`', out);
    }
    fputs(space, out);
    for (size_t i = 0; i < length; i++) {
        fprintf(out, "%s%c", readable[i] == '|' ? "\\" : "", readable[i]);
    }
    fprintf(out, "%s%s", readable && readable[length] ? " ..." : "", space);
    for (size_t i = 0; i <= ticks; i++) {
        fputc('`', out);
    }
    free(readable);
}

/* ---- A page that does not grow beyond what is taken ---- */

struct page {
    FILE *out;
    char *text;
    size_t size_bytes; /* of what was flushed */
};

/* Prints one row of a table into memory. */
typedef void print_row(FILE *out, const void *context, size_t index);

/* Rows in order, as long as they fit below `limit_bytes` of the page. Returns how many were left out. */
static size_t add_rows(struct page *page, size_t limit_bytes, print_row *print, const void *context, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *row = NULL;
        size_t row_bytes = 0;
        FILE *out = open_memstream(&row, &row_bytes);
        if (out) {
            print(out, context, i);
            fclose(out);
        }
        fflush(page->out);
        bool fits = row && page->size_bytes + row_bytes <= limit_bytes;
        if (fits) {
            fwrite(row, 1, row_bytes, page->out);
        }
        free(row);
        if (!fits) {
            return count - i;
        }
    }
    fflush(page->out);
    return 0;
}

static void say_left_out(struct page *page, size_t count, const char *one, const char *many) {
    if (count > 0) {
        fprintf(page->out, "\n%zu more %s left out here: the result file has all.\n", count, count == 1 ? one : many);
    }
    fflush(page->out);
}

/* ---- Parts ---- */

struct ordered_cases {
    const struct case_row **rows;
    size_t count;
};

static bool needs_attention(enum outcome outcome) {
    return outcome <= OUTCOME_WAIVED;
}

/* Those that need attention, worst first. */
static struct ordered_cases find_attention(const struct record *record) {
    const struct table *cases = &record->tables[TABLE_CASES];
    struct ordered_cases found = {.rows = calloc(cases->count + 1, sizeof *found.rows)};
    for (int o = 0; found.rows && o < OUTCOME_COUNT && needs_attention((enum outcome)o); o++) {
        for (size_t i = 0; i < cases->count; i++) {
            const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
            if (outcome_find(row->outcome) == (enum outcome)o) {
                found.rows[found.count++] = row;
            }
        }
    }
    return found;
}

static void print_attention_row(FILE *out, const void *context, size_t index) {
    const struct case_row *row = ((const struct ordered_cases *)context)->rows[index];
    fputs("| ", out);
    markdown_print_code(out, row->id, NAME_BYTES);
    fputs(" | ", out);
    markdown_print_text(out, row->outcome, NAME_BYTES);
    fputs(" | ", out);
    markdown_print_text(out, row->reason, REASON_BYTES);
    if (row->repro[0]) {
        fputs("<br>repeat: ", out);
        markdown_print_code(out, row->repro, COMMAND_BYTES);
    }
    fputs(" |\n", out);
}

static void add_attention(struct page *page, const struct record *record) {
    struct ordered_cases found = find_attention(record);
    if (found.count > 0) {
        fprintf(page->out, "\n### What needs attention\n\n| case | outcome | reason |\n| --- | --- | --- |\n");
        size_t left_out = add_rows(page, ATTENTION_BYTES, print_attention_row, &found, found.count);
        say_left_out(page, left_out, "case was", "cases were");
    }
    free(found.rows);
}

static void print_result_row(FILE *out, const void *context, size_t index) {
    const struct case_row *row = RECORD_ROW((const struct record *)context, TABLE_CASES, index, case_row);
    fputs("| ", out);
    markdown_print_code(out, row->id, NAME_BYTES);
    fputs(" | ", out);
    markdown_print_text(out, row->outcome, NAME_BYTES);
    fprintf(out, " | %s", format_time(row->latency_median_ns).text);
    if (row->sample_count == 1) {
        fprintf(out, " (n=1)");
    } else if (isfinite(row->latency_low_ns) && isfinite(row->latency_high_ns)) {
        fprintf(out, " (%s to %s)", format_time(row->latency_low_ns).text, format_time(row->latency_high_ns).text);
    }
    fprintf(out, " | %s | %s | %s |\n", format_bytes(row->memory_peak_bytes).text, format_decibels(row->psnr_db).text,
            format_decibels(row->psnr_worst_tile_db).text);
}

static void add_results(struct page *page, const struct record *record, size_t limit_bytes) {
    size_t count = record->tables[TABLE_CASES].count;
    if (count == 0) {
        return;
    }
    fprintf(page->out,
            "\n### Results\n\n| case | outcome | latency (95 %% interval) | memory peak | PSNR | worst tile |\n"
            "| --- | --- | ---: | ---: | ---: | ---: |\n");
    size_t left_out = add_rows(page, limit_bytes, print_result_row, record, count);
    say_left_out(page, left_out, "case was", "cases were");
}

static void add_fuse_qkv(struct page *page, const struct record *record) {
    char *sentence = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&sentence, &size_bytes);
    if (out) {
        show_fuse_qkv_sentence(out, record);
        fclose(out);
        while (size_bytes > 0 && sentence[size_bytes - 1] == '\n') {
            sentence[--size_bytes] = '\0';
        }
        fputs("\n", page->out);
        markdown_print_text(page->out, sentence, SENTENCE_BYTES / 2);
        fputs("\n", page->out);
    }
    free(sentence);
}

static void print_fact_row(FILE *out, const void *context, size_t index) {
    const struct environment_fact *fact = &((const struct record *)context)->facts[index];
    bool number = fact->unit[0] == '\0' || strcmp(fact->unit, "1") == 0;
    fputs("| ", out);
    markdown_print_text(out, fact->key, NAME_BYTES);
    fputs(" | ", out);
    markdown_print_text(out, fact->value, REASON_BYTES);
    fputs(number ? "" : " ", out);
    markdown_print_text(out, number ? "" : fact->unit, NAME_BYTES);
    fputs(" |\n", out);
}

static void add_environment(struct page *page, const struct record *record) {
    enum { CLOSING_BYTES = 200 };
    if (record->fact_count == 0) {
        return;
    }
    fprintf(page->out, "\n<details><summary>Environment (%zu facts)</summary>\n\n| fact | value |\n| --- | --- |\n",
            record->fact_count);
    fflush(page->out);
    size_t limit_bytes = page->size_bytes + ENVIRONMENT_BYTES - HEAD_BYTES;
    size_t left_out = add_rows(
        page,
        limit_bytes < MARKDOWN_LARGEST_BYTES - CLOSING_BYTES ? limit_bytes : MARKDOWN_LARGEST_BYTES - CLOSING_BYTES,
        print_fact_row, record, record->fact_count);
    say_left_out(page, left_out, "fact was", "facts were");
    fprintf(page->out, "\n</details>\n");
}

static void add_head(struct page *page, const struct record *record) {
    const char *suite = record_fact(record, "suite");
    const char *failure = record_fact(record, "run_failure");
    struct verdict verdict;
    verdict_of(record, &verdict);
    fprintf(page->out, "## vaemark");
    if (suite && suite[0]) {
        fprintf(page->out, " ");
        markdown_print_text(page->out, suite, NAME_BYTES);
    }
    fprintf(page->out, "\n\n");
    if (failure) {
        fprintf(page->out, "**vaemark itself failed, and did not finish:** ");
        markdown_print_text(page->out, failure, REASON_BYTES);
        fprintf(page->out, "\n\nUntil then: ");
    }
    fprintf(page->out, "**%s**\n", verdict.sentence);
}

bool markdown_format(const struct record *record, char **text, size_t *size_bytes, struct results_error *error) {
    struct page page = {0};
    page.out = open_memstream(&page.text, &page.size_bytes);
    *text = NULL;
    if (!page.out) {
        return results_fail(error, "the Markdown summary cannot be made: out of memory");
    }
    add_head(&page, record);
    add_attention(&page, record);
    add_results(&page, record, MARKDOWN_LARGEST_BYTES - LARGEST_ESCAPE * SENTENCE_BYTES / 2 - ENVIRONMENT_BYTES);
    add_fuse_qkv(&page, record);
    add_environment(&page, record);
    bool complete = fflush(page.out) == 0 && !ferror(page.out);
    if (fclose(page.out) != 0 || !complete) {
        free(page.text);
        return results_fail(error, "the Markdown summary cannot be made: out of memory");
    }
    *text = page.text;
    *size_bytes = page.size_bytes;
    return true;
}
