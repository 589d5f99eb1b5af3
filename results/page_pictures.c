/* Decoded pictures with their error maps, as data: the page needs no other file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/page_parts.h"
#include "results/picture.h"

/* Small pictures are shown larger, pixel by pixel; large ones as wide as the page lets them. Where all of them are too
 * much for a page that is sent around, large ones are made smaller; their files beside the page are not. */
enum { SHOWN_PIXELS = 256, LARGEST_ZOOM = 16, MOST_BYTES = 8 << 20 };

bool page_has_pictures(const struct page *page) {
    return page->record->tables[TABLE_IMAGES].count > 0 && page->record->image_count > 0;
}

static void describe(char text[LATENCY_TEXT_BYTES], const struct image_row *row) {
    struct figure gain = format_scaled(row->gain); /* "289 k", "20.0 " */
    gain.text[strlen(gain.text) - (gain.text[strlen(gain.text) - 1] == ' ')] = '\0';
    if (strcmp(row->kind, "error") == 0) {
        snprintf(text, LATENCY_TEXT_BYTES, isfinite(row->gain) ? "error × %s" : "error, times an unknown gain",
                 gain.text);
    } else {
        snprintf(text, LATENCY_TEXT_BYTES, "%s",
                 strcmp(row->kind, "oracle") == 0 ? "oracle (FP32 reference)" : row->kind);
    }
}

static void write_image(struct page *page, const struct record_image *image, const char *alt) {
    void *bytes = NULL;
    size_t size_bytes = 0;
    struct results_error reason = {""};
    if (!picture_encode_png(&bytes, &size_bytes, image->pixels, image->height, image->width, &reason)) {
        html(page->out, "<p class=\"missing\">not shown: @</p>", reason.message);
        return;
    }
    int64_t longer = image->height > image->width ? image->height : image->width;
    int64_t zoom = longer >= SHOWN_PIXELS ? 1 : SHOWN_PIXELS / longer;
    zoom = zoom > LARGEST_ZOOM ? LARGEST_ZOOM : zoom;
    fprintf(page->out, "<img %swidth=\"%lld\" height=\"%lld\" loading=\"lazy\" ", zoom > 1 ? "class=\"zoomed\" " : "",
            (long long)(image->width * zoom), (long long)(image->height * zoom));
    html(page->out, "alt=\"@\" src=\"", alt);
    page->failed |= !html_data_uri(page->out, "image/png", bytes, size_bytes);
    fputs("\">", page->out);
    free(bytes);
}

static size_t picture_count(const struct page *page) {
    size_t rows = page->record->tables[TABLE_IMAGES].count;
    return rows < page->record->image_count ? rows : page->record->image_count;
}

/* How many times smaller a picture is shown: 1 where there is room for all pictures as they are. */
static int64_t shrink_factor(const struct page *page, const struct record_image *image) {
    int64_t longer = image->height > image->width ? image->height : image->width;
    int64_t bytes = 0;
    for (size_t i = 0; i < picture_count(page); i++) {
        bytes += page->record->images[i].height * page->record->images[i].width * 3;
    }
    return bytes <= MOST_BYTES || longer <= SHOWN_PIXELS ? 1 : (longer + SHOWN_PIXELS - 1) / SHOWN_PIXELS;
}

static void write_smaller(struct page *page, size_t index, int64_t factor, const char *alt) {
    const struct image_row *row = RECORD_ROW(page->record, TABLE_IMAGES, index, image_row);
    struct record_image smaller = {0};
    if (!picture_shrink(&page->record->images[index], factor, strcmp(row->kind, "error") == 0, &smaller)) {
        page->failed = true;
        return;
    }
    write_image(page, &smaller, alt);
    free(smaller.pixels);
}

static void write_picture(struct page *page, size_t index) {
    const struct image_row *row = RECORD_ROW(page->record, TABLE_IMAGES, index, image_row);
    const struct record_image *image = &page->record->images[index];
    int64_t factor = shrink_factor(page, image);
    char what[LATENCY_TEXT_BYTES], alt[512], name[PICTURE_NAME_BYTES];
    describe(what, row);
    snprintf(alt, sizeof alt, "%s of %s", what, row->case_id);
    fputs("<figure>", page->out);
    if (factor > 1) {
        write_smaller(page, index, factor, alt);
    } else {
        write_image(page, image, alt);
    }
    html(page->out, "<figcaption>@", what);
    fprintf(page->out, ", %lld × %lld pixels", (long long)image->width, (long long)image->height);
    if (factor > 1) {
        picture_file_name(name, page->record, index);
        fprintf(page->out, ", here 1 : %lld", (long long)factor);
        html(page->out, "; <a href=\"@\">full size</a> beside the page", name);
    }
    fputs("</figcaption></figure>\n", page->out);
}

static const struct page_case *find_case(const struct page *page, const char *case_id) {
    for (size_t i = 0; i < page->case_count; i++) {
        if (strcmp(page->cases[i].row->id, case_id) == 0) {
            return &page->cases[i];
        }
    }
    return NULL;
}

static void write_heading(struct page *page, const char *case_id) {
    const struct page_case *place = find_case(page, case_id);
    if (!place) {
        html(page->out, "<h3>@</h3>\n", case_id);
        return;
    }
    struct figure psnr = format_decibels(place->row->psnr_db), largest = {"-"};
    if (isfinite(place->row->max_abs_error)) {
        snprintf(largest.text, sizeof largest.text, "%.2g", place->row->max_abs_error);
    }
    html(page->out, "<h3><a href=\"#@\">@</a></h3>\n<p>", place->anchor, case_id);
    page_badge(page, place->row->outcome);
    html(page->out, " PSNR @, largest error @ on the range [-1, 1]</p>\n", psnr.text, largest.text);
}

static const char *case_of(const struct page *page, size_t index) {
    return RECORD_ROW(page->record, TABLE_IMAGES, index, image_row)->case_id;
}

static bool is_any_smaller(const struct page *page) {
    bool smaller = false;
    for (size_t i = 0; i < picture_count(page); i++) {
        smaller |= shrink_factor(page, &page->record->images[i]) > 1;
    }
    return smaller;
}

void page_write_pictures(struct page *page) {
    size_t count = picture_count(page);
    fputs("<p>An error map is the absolute error against the FP32 reference, times the gain in its caption: black is "
          "equal, and "
          "without the gain most maps would be black. Maps of different gains do not compare by brightness.",
          page->out);
    if (is_any_smaller(page)) {
        fputs(" Large pictures are shown smaller, so that the page stays light: a pixel is the mean of a square of "
              "them, in an error map the largest error of it.",
              page->out);
    }
    fputs("</p>\n<div class=\"pictures\">\n", page->out);
    for (size_t i = 0; i < count; i++) {
        bool first = true;
        for (size_t j = 0; j < i && first; j++) {
            first = strcmp(case_of(page, j), case_of(page, i)) != 0;
        }
        if (!first) {
            continue;
        }
        fputs("<article class=\"picture\">\n", page->out);
        write_heading(page, case_of(page, i));
        fputs("<div class=\"side-by-side\">\n", page->out);
        for (size_t j = i; j < count; j++) {
            if (strcmp(case_of(page, j), case_of(page, i)) == 0) {
                write_picture(page, j);
            }
        }
        fputs("</div>\n</article>\n", page->out);
    }
    fputs("</div>\n", page->out);
}
