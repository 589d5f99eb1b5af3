/* The plots that were drawn into the page's folder, as data: one variant a colour scheme and width. */
#include <stdlib.h>
#include <string.h>

#include "results/page_parts.h"
#include "results/plot.h"

/* The file FOLDER/NAMESUFFIX.svg; NULL where there is none. The caller frees it. */
static char *read_plot(const struct page *page, const char *name, const char *suffix, size_t *size_bytes) {
    char *path = NULL, *bytes = NULL;
    if (asprintf(&path, "%s/%s%s.svg", page->folder, name, suffix) < 0) {
        return NULL;
    }
    FILE *file = fopen(path, "rbe");
    FILE *copy = file ? open_memstream(&bytes, size_bytes) : NULL;
    char block[16384];
    for (size_t count; copy && (count = fread(block, 1, sizeof block, file)) > 0;) {
        fwrite(block, 1, count, copy);
    }
    if (copy) {
        fclose(copy);
    }
    if (file) {
        fclose(file);
    }
    free(path);
    return bytes;
}

static bool write_data(struct page *page, const char *before, const char *name, const char *suffix, const char *after) {
    size_t size_bytes = 0;
    char *bytes = read_plot(page, name, suffix, &size_bytes);
    bool there = bytes && size_bytes > 0;
    if (there) {
        fputs(before, page->out);
        page->failed |= !html_data_uri(page->out, "image/svg+xml", bytes, size_bytes);
        fputs(after, page->out);
    }
    free(bytes);
    return there;
}

static bool is_drawn(const struct page *page, const char *name) {
    size_t size_bytes = 0;
    char *bytes = read_plot(page, name, "", &size_bytes);
    free(bytes);
    return size_bytes > 0;
}

static void write_plot(struct page *page, const struct plot_text *text) {
    const char *name = text->name;
    html(page->out, "<figure class=\"plot\" id=\"plot-@\">\n<h3>@</h3>\n<picture>\n", name, text->title);
    /* On paper: the light one, which is what the last line names. */
    write_data(page, "<source media=\"screen and (prefers-color-scheme: dark) and (max-width: 700px)\" srcset=\"", name,
               "-narrow-dark", "\">\n");
    write_data(page, "<source media=\"screen and (max-width: 700px)\" srcset=\"", name, "-narrow", "\">\n");
    write_data(page, "<source media=\"screen and (prefers-color-scheme: dark)\" srcset=\"", name, "-dark", "\">\n");
    html(page->out, "<img alt=\"@\" src=\"", text->alt);
    write_data(page, "", name, "", "");
    html(page->out, "\">\n</picture>\n<figcaption>@</figcaption>\n</figure>\n", text->caption);
}

void page_write_plots(struct page *page) {
    size_t count = 0;
    if (page->plots_missing[0]) {
        html(page->out, "<p class=\"missing\">There are no plots: @</p>\n", page->plots_missing);
        return;
    }
    for (int id = 0; id < PLOT_COUNT; id++) {
        if (is_drawn(page, plots[id].name)) {
            write_plot(page, &plots[id]);
            count++;
        }
    }
    if (count == 0) {
        fputs("<p>No case of this run has a figure that could be drawn.</p>\n", page->out);
    }
}
