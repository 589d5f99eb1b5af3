#include "results/page.h"

#include <stdlib.h>
#include <string.h>

#include "results/beside.h"
#include "results/page_parts.h"

/* ---- Cases in the order of the page ---- */

static bool same_workload(const struct case_row *a, const struct case_row *b) {
    return strcmp(a->vae_type, b->vae_type) == 0 && strcmp(a->model, b->model) == 0 &&
           strcmp(a->precision, b->precision) == 0 && strcmp(a->options, b->options) == 0 &&
           strcmp(a->shape, b->shape) == 0;
}

static int compare_places(const void *a, const void *b) {
    const struct page_case *first = a, *second = b;
    if (first->type_first != second->type_first) {
        return first->type_first < second->type_first ? -1 : 1;
    }
    if (first->workload_first != second->workload_first) {
        return first->workload_first < second->workload_first ? -1 : 1;
    }
    return first->index < second->index ? -1 : first->index > second->index;
}

static void count_checks(const struct record *record, struct page_case *place) {
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        if (strcmp(check->case_id, place->row->id) == 0) {
            bool passed = strcmp(check->outcome, "passed") == 0;
            place->checks_passed += passed;
            place->checks_failed += strcmp(check->outcome, "failed") == 0;
            place->memory_as_planned |= passed && strcmp(check->name, "memory-planned") == 0;
        }
    }
}

static void place_case(struct page *page, size_t index) {
    struct page_case *place = &page->cases[index];
    const struct case_row *row = RECORD_ROW(page->record, TABLE_CASES, index, case_row);
    *place = (struct page_case){.row = row, .index = index, .type_first = index, .workload_first = index};
    for (size_t i = index; i-- > 0;) {
        const struct case_row *other = RECORD_ROW(page->record, TABLE_CASES, i, case_row);
        place->type_first = strcmp(other->vae_type, row->vae_type) == 0 ? i : place->type_first;
        place->workload_first = same_workload(other, row) ? i : place->workload_first;
    }
    count_checks(page->record, place);
}

/* ---- Anchors ---- */

static bool is_plain_byte(char byte) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.,:=+-";
    return byte && strchr(plain, byte);
}

/* A case's id, as far as it may be part of an address: index.html#ID. With a slash in it, so that it is no section's.
 */
static void print_anchor(FILE *out, const char *id) {
    fputs(strchr(id, '/') ? "" : "case/", out);
    for (; *id; id++) {
        fputc(is_plain_byte(*id) ? *id : '_', out);
    }
}

static bool make_anchors(struct page *page) {
    size_t size_bytes = 0;
    FILE *out = open_memstream(&page->anchors, &size_bytes);
    for (size_t i = 0; out && i < page->case_count; i++) {
        print_anchor(out, page->cases[i].row->id);
        fputc('\0', out);
    }
    if (!out || fclose(out) != 0) {
        return false;
    }
    const char *at = page->anchors;
    for (size_t i = 0; i < page->case_count; i++, at += strlen(at) + 1) {
        page->cases[i].anchor = at;
        for (size_t j = 0; j < i; j++) { /* one address leads to one place: the first */
            page->cases[i].anchor = strcmp(page->cases[j].anchor, at) == 0 ? "" : page->cases[i].anchor;
        }
    }
    return true;
}

static bool place_cases(struct page *page) {
    page->case_count = page->record->tables[TABLE_CASES].count;
    page->cases = calloc(page->case_count + 1, sizeof *page->cases);
    if (!page->cases) {
        return false;
    }
    for (size_t i = 0; i < page->case_count; i++) {
        place_case(page, i);
    }
    qsort(page->cases, page->case_count, sizeof *page->cases, compare_places);
    return make_anchors(page);
}

/* ---- The page ---- */

static bool always(const struct page *page) {
    (void)page;
    return true;
}

static const struct page_section sections[] = {
    {"runs", "The runs side by side", "Runs", page_has_runs, page_write_runs},
    {"failures", "What did not pass", "Failures", always, page_write_failures},
    {"comparison", "Case by case, run beside run", "Comparison", page_has_comparison, page_write_comparison},
    {"cases", "Cases", "Cases", page_has_cases, page_write_cases},
    {"fuse-qkv", "Fuse-QKV: who ran it, who refused it", "Fuse-QKV", page_has_cases, page_write_fuse_qkv},
    {"checks", "Every check of every case", "Checks", page_has_checks, page_write_checks},
    {"plots", "Plots", "Plots", page_has_cases, page_write_plots},
    {"profiles", "Profiles: where the time of a decode goes", "Profiles", page_has_profiles, page_write_profiles},
    {"pictures", "Decoded pictures and where they differ", "Pictures", page_has_pictures, page_write_pictures},
    {"models", "Models", "Models", page_has_models, page_write_models},
    {"oracles", "Oracles: what the pictures were held against", "Oracles", page_has_oracles, page_write_oracles},
    {"environment", "Environment", "Environment", always, page_write_environment},
    {"reading", "How to read this page", "How to read", always, page_write_reading},
};
enum { SECTION_COUNT = sizeof sections / sizeof sections[0] };

static void write_sections(struct page *page) {
    page_write_head(page, sections, SECTION_COUNT);
    fputs("<main>\n", page->out);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct page_section *section = &sections[i];
        if (section->is_there(page)) {
            html(page->out, "<section id=\"@\" aria-labelledby=\"@-title\">\n<h2 id=\"@-title\">@</h2>\n", section->id,
                 section->id, section->id, section->title);
            section->write(page);
            fputs("</section>\n\n", page->out);
        }
    }
    fputs("</main>\n</body>\n</html>\n", page->out);
}

static bool print_page(struct page *page, char **text, size_t *size_bytes) {
    page->out = open_memstream(text, size_bytes);
    if (!page->out) {
        return false;
    }
    bool done = place_cases(page);
    if (done) {
        write_sections(page);
    }
    done = done && !page->failed && !ferror(page->out);
    return fclose(page->out) == 0 && done;
}

bool page_write(const struct report_run *runs, size_t run_count, const struct record *all, const char *folder,
                const char *plots_missing, struct results_error *error) {
    struct page page = {
        .runs = runs, .run_count = run_count, .record = all, .folder = folder, .plots_missing = plots_missing};
    char *text = NULL, *path = NULL;
    size_t size_bytes = 0;
    verdict_of(all, &page.verdict);
    bool done = print_page(&page, &text, &size_bytes);
    if (!done || asprintf(&path, "%s/index.html", folder) < 0) {
        path = NULL;
        done = results_fail(error, "%s/index.html: out of memory", folder);
    }
    done = done && beside_write(path, &(struct piece){text, size_bytes}, 1, error);
    free(path);
    free(text);
    free(page.cases);
    free(page.anchors);
    return done;
}
