/* The table of cases, grouped by VAE type. */
#include <string.h>

#include "results/format.h"
#include "results/page_parts.h"

static const char *const columns[] = {"Model",       "Decoder", "Options", "Shape",      "Outcome", "Latency",
                                      "Memory peak", "Weights", "PSNR",    "Worst tile", "Checks"};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

bool page_has_cases(const struct page *page) {
    return page->case_count > 0;
}

static void write_columns(struct page *page) {
    fputs("<thead><tr>", page->out);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        html(page->out, i < 5 ? "<th scope=\"col\">@</th>" : "<th scope=\"col\" class=\"number\">@</th>", columns[i]);
    }
    fputs("</tr></thead>\n", page->out);
}

/* Where the case is told in full: here, or among the failures. */
static void write_row_begin(struct page *page, const struct page_case *place) {
    bool told_above = outcome_style_find(place->row->outcome)->in_full;
    html(page->out, told_above || !place->anchor[0] ? "<tr class=\"@\">" : "<tr class=\"@\" id=\"@\">",
         outcome_style_find(place->row->outcome)->tone, place->anchor);
    html(page->out,
         told_above ? "<th scope=\"row\" title=\"@\"><a href=\"#@\">@</a></th>"
                    : "<th scope=\"row\" title=\"@\">@</th>",
         place->row->id, told_above ? place->anchor : place->row->model, place->row->model);
}

static void write_case(struct page *page, const struct page_case *place) {
    const struct case_row *row = place->row;
    char latency[LATENCY_TEXT_BYTES], checks[64], memory[FIGURE_BYTES + 8];
    struct figure peak = format_bytes(row->memory_peak_bytes), weights = format_bytes(row->memory_weights_bytes),
                  psnr = format_decibels(row->psnr_db), worst = format_decibels(row->psnr_worst_tile_db);
    page_latency_text(latency, row);
    snprintf(memory, sizeof memory, "%s%s", peak.text, place->memory_as_planned ? " ✓" : "");
    snprintf(checks, sizeof checks, "%zu/%zu", place->checks_passed, place->checks_passed + place->checks_failed);
    write_row_begin(page, place);
    html(page->out, "<td data-label=\"Decoder\"><span>@ <span class=\"precision\">@</span></span></td>", row->backend,
         row->precision);
    page_cell(page, "Options", row->options);
    page_cell(page, "Shape", row->shape);
    fputs("<td data-label=\"Outcome\">", page->out);
    page_badge(page, row->outcome);
    fputs("</td>", page->out);
    page_cell(page, "Latency", latency);
    page_cell(page, "Memory peak", memory);
    page_cell(page, "Weights", weights.text);
    page_cell(page, "PSNR", psnr.text);
    page_cell(page, "Worst tile", worst.text);
    page_cell(page, "Checks", place->checks_passed + place->checks_failed ? checks : "-");
    fputs("</tr>\n", page->out);
}

static size_t count_of_type(const struct page *page, size_t first) {
    size_t count = 0;
    for (size_t i = first; i < page->case_count && page->cases[i].type_first == page->cases[first].type_first; i++) {
        count++;
    }
    return count;
}

void page_write_type_row(struct page *page, size_t first, size_t column_count) {
    size_t count = count_of_type(page, first), good = 0;
    const char *type = page->cases[first].row->vae_type;
    for (size_t i = first; i < first + count; i++) {
        good += strcmp(outcome_style_find(page->cases[i].row->outcome)->tone, "good") == 0;
    }
    fprintf(page->out, "<tr class=\"type\"><th scope=\"rowgroup\" colspan=\"%zu\"><span>", column_count);
    html(page->out, "@", type[0] ? type : "unknown VAE type");
    fprintf(page->out, " <span class=\"share\">%zu of %zu as they must be</span></span></th></tr>\n", good, count);
}

void page_write_cases(struct page *page) {
    fputs("<p>Latency is the median of one decode with its 95 % interval, below six samples with their range; "
          "<em>n=1</em> is a single sample, without either. "
          "Memory is the allocator's peak of activations, workspace and tensors, <span aria-hidden=\"true\">✓</span> "
          "where "
          "it is what was planned before the decode; weights apart. PSNR is against the FP32 reference, over the whole "
          "picture and over its worst tile. A dash means: not measured.</p>\n"
          "<div class=\"scroll\" role=\"region\" aria-label=\"Table of cases\" tabindex=\"0\">\n<table class=\"cases "
          "stacked\">\n",
          page->out);
    write_columns(page);
    for (size_t i = 0; i < page->case_count; i++) {
        if (i == 0 || page->cases[i].type_first != page->cases[i - 1].type_first) {
            fputs(i ? "</tbody>\n<tbody>\n" : "<tbody>\n", page->out);
            page_write_type_row(page, i, COLUMN_COUNT);
        }
        write_case(page, &page->cases[i]);
    }
    fputs("</tbody>\n</table>\n</div>\n", page->out);
}
