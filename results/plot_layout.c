#include "results/plot_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDE_PIXELS = 900,
    NARROW_PIXELS = 380,
    EDGE = PLOT_EDGE, /* left and right of everything */
    INDENT = 12,      /* of workloads below their VAE type */
    MOST_LABEL = 330, /* wide: the column of workloads is no wider */
    MOST_NOTE = 70,   /* narrow: wider notes stand above their lines */
    TEXT_LINE = PLOT_TEXT_LINE,
    HEADING = 24, /* a VAE type */
    WORKLOAD_GAP = 6,
    KEY_PIXELS = 20, /* a mark of the legend, with the gap to its name */
    KEY_GAP = 18,
    TALL = 640, /* higher areas have ticks above, too */
};

/* ---- Words ---- */

void plot_add_words(struct plot_layout *layout, const char *text, size_t length, const struct plot_words *like) {
    if (length == 0) {
        return;
    }
    if (layout->word_count == layout->word_capacity) {
        size_t wanted = layout->word_capacity * 2 + 64;
        struct plot_words *grown = realloc(layout->words, wanted * sizeof *grown);
        if (!grown) {
            layout->short_of_memory = true;
            return;
        }
        layout->words = grown;
        layout->word_capacity = wanted;
    }
    struct plot_words *words = &layout->words[layout->word_count++];
    *words = *like;
    snprintf(words->text, sizeof words->text, "%.*s", (int)length, text);
}

int plot_add_paragraph(struct plot_layout *layout, const char *text, double pixels, const struct plot_words *like) {
    struct plot_words line = *like;
    int count = 0;
    while (*text) {
        size_t length = plot_text_fit(text, like->size, pixels);
        plot_add_words(layout, text, length, &line);
        line.y += TEXT_LINE;
        text += length;
        count++;
    }
    return count;
}

int plot_count_text_lines(const char *text, int size, double pixels) {
    int count = 0;
    for (; *text; count++) {
        text += plot_text_fit(text, size, pixels);
    }
    return count;
}

void plot_add_fitted(struct plot_layout *layout, const char *text, double pixels, const struct plot_words *like) {
    size_t length = strlen(text);
    if (plot_text_pixels(text, length, like->size) <= pixels) {
        plot_add_words(layout, text, length, like);
        return;
    }
    char cut[PLOT_LABEL_BYTES];
    while (length > 0 && (plot_text_pixels(text, length, like->size) + like->size > pixels ||
                          ((unsigned char)text[length] & 0xC0) == 0x80)) {
        length--;
    }
    snprintf(cut, sizeof cut, "%.*s…", (int)length, text);
    plot_add_words(layout, cut, strlen(cut), like);
}

/* ---- Columns ---- */

struct columns {
    double label, note, value; /* their widths; note 0 where notes stand above their lines */
    bool narrow, notes_above;
};

static double widest(const struct plot *plot, size_t offset, int size) {
    double width = 0;
    for (size_t i = 0; i < plot->line_count; i++) {
        const char *text = (const char *)&plot->lines[i] + offset;
        width = fmax(width, plot_text_pixels(text, strlen(text), size));
    }
    return width;
}

static struct columns measure_columns(const struct plot *plot, bool narrow) {
    struct columns columns = {.label = fmin(widest(plot, offsetof(struct plot_line, label), PLOT_NORMAL), MOST_LABEL),
                              .note = widest(plot, offsetof(struct plot_line, note), PLOT_SMALL),
                              .value = widest(plot, offsetof(struct plot_line, value), PLOT_SMALL),
                              .narrow = narrow};
    columns.notes_above = narrow && columns.note > MOST_NOTE;
    columns.note = columns.notes_above ? 0 : columns.note;
    columns.label = narrow ? 0 : columns.label + INDENT;
    return columns;
}

/* ---- From the top down ---- */

static double lay_title(struct plot_layout *layout, const struct record *record) {
    const char *suite = record_fact(record, "suite"), *cpu = record_fact(record, "cpu_model");
    char subtitle[400];
    snprintf(subtitle, sizeof subtitle, "%s%.120s%s%.200s", suite ? "suite " : "", suite ? suite : "",
             suite && cpu ? " · " : "", cpu ? cpu : "");
    struct plot_words title = {.x = EDGE, .y = 22, .tone = PLOT_TONE_STRONG, .size = PLOT_LARGE};
    struct plot_words below = {.x = EDGE, .y = 44, .tone = PLOT_TONE_MUTED, .size = PLOT_SMALL};
    const char *text = plots[layout->plot->id].title;
    plot_add_words(layout, text, strlen(text), &title);
    int lines = plot_add_paragraph(layout, subtitle, layout->width - 2 * EDGE, &below);
    return 40 + lines * TEXT_LINE;
}

/* The legend, as many lines as it needs. */
static double lay_keys(struct plot_layout *layout, double y) {
    double x = EDGE;
    for (size_t i = 0; i < layout->plot->series_count; i++) {
        const struct plot_series *series = &layout->plot->series[i];
        double most = layout->width - 2 * EDGE - KEY_PIXELS;
        double width = fmin(plot_text_pixels(series->name, strlen(series->name), PLOT_NORMAL), most);
        if (x > EDGE && x + KEY_PIXELS + width > layout->width - EDGE) {
            x = EDGE;
            y += 20;
        }
        layout->keys[layout->key_count++] =
            (struct plot_key){.x = x + 7, .y = y + 12, .kind = series->kind, .series = series->series};
        struct plot_words words = {.x = x + KEY_PIXELS, .y = y + 12, .size = PLOT_NORMAL};
        plot_add_fitted(layout, series->name, most, &words);
        x += KEY_PIXELS + width + KEY_GAP;
    }
    return layout->plot->series_count > 0 ? y + 30 : y;
}

static bool is_same_block(const struct plot_line *a, const struct plot_line *b) {
    return strcmp(a->group, b->group) == 0 && strcmp(a->label, b->label) == 0;
}

/* The lines of one workload from `first`, its label left of them or above. Returns where the next begins. */
static double lay_block(struct plot_layout *layout, const struct columns *columns, size_t first, size_t count,
                        double y) {
    const struct plot *plot = layout->plot;
    const char *label = plot->lines[first].label;
    struct plot_words words = {.x = EDGE + (columns->narrow ? 0 : INDENT), .size = PLOT_NORMAL};
    double width = columns->narrow ? layout->width - 2 * EDGE : columns->label - INDENT + 1;
    int label_lines = plot_count_text_lines(label, PLOT_NORMAL, width);
    double step = layout->line_pixels + (columns->notes_above ? TEXT_LINE : 0);
    double needed = (double)count * step;
    double above = columns->narrow ? label_lines * TEXT_LINE + 2 : 0;
    double height = columns->narrow ? needed : fmax(needed, label_lines * TEXT_LINE);
    words.y = y + (columns->narrow ? TEXT_LINE / 2.0 : (height - (label_lines - 1) * TEXT_LINE) / 2);
    plot_add_paragraph(layout, label, width, &words);
    double line_top = y + above + (height - needed) / 2;
    if (columns->narrow && !columns->notes_above) {
        layout->spans[layout->span_count++] = (struct plot_span){line_top, line_top + needed};
    }
    for (size_t i = first; i < first + count; i++, line_top += step) {
        layout->middles[i] = line_top + step - layout->line_pixels / 2;
        if (columns->notes_above) {
            layout->spans[layout->span_count++] =
                (struct plot_span){line_top + step - layout->line_pixels, line_top + step};
        }
        struct plot_words note = {.x = columns->notes_above ? EDGE : layout->left - 8,
                                  .y = columns->notes_above ? line_top + TEXT_LINE / 2.0 + 2 : layout->middles[i],
                                  .anchor = columns->notes_above ? PLOT_LEFT : PLOT_RIGHT,
                                  .tone = PLOT_TONE_MUTED,
                                  .size = PLOT_SMALL};
        plot_add_words(layout, plot->lines[i].note, strlen(plot->lines[i].note), &note);
        struct plot_words value = {
            .x = layout->width - EDGE, .y = layout->middles[i], .anchor = PLOT_RIGHT, .size = PLOT_SMALL};
        plot_add_words(layout, plot->lines[i].value, strlen(plot->lines[i].value), &value);
    }
    return y + above + height + WORKLOAD_GAP;
}

static double lay_lines(struct plot_layout *layout, const struct columns *columns, double y) {
    const struct plot *plot = layout->plot;
    for (size_t first = 0, count; first < plot->line_count; first += count) {
        const struct plot_line *line = &plot->lines[first];
        count = 1;
        while (first + count < plot->line_count && is_same_block(line, &plot->lines[first + count])) {
            count++;
        }
        bool heads = line->group[0] && (first == 0 || strcmp(line->group, line[-1].group) != 0);
        if (heads) {
            struct plot_words words = {
                .x = EDGE, .y = y + HEADING / 2.0, .tone = PLOT_TONE_STRONG, .size = PLOT_NORMAL};
            plot_add_fitted(layout, line->group, layout->width - 2 * EDGE, &words);
            y += HEADING;
        }
        if (!heads && first > 0) {
            layout->rules[layout->rule_count++] = y - WORKLOAD_GAP / 2.0;
        }
        y = lay_block(layout, columns, first, count, y);
    }
    return y;
}

static double lay_below(struct plot_layout *layout, double y) {
    struct plot_words words = {.x = (layout->left + layout->right) / 2.0,
                               .y = y + 36,
                               .anchor = PLOT_CENTER,
                               .tone = PLOT_TONE_MUTED,
                               .size = PLOT_SMALL};
    double half = plot_text_pixels(layout->plot->axis.title, strlen(layout->plot->axis.title), PLOT_SMALL) / 2;
    words.x = fmax(fmin(words.x, layout->width - EDGE - half), EDGE + half);
    plot_add_words(layout, layout->plot->axis.title, strlen(layout->plot->axis.title), &words);
    words = (struct plot_words){.x = EDGE, .y = y + 58, .tone = PLOT_TONE_MUTED, .size = PLOT_SMALL};
    int lines = plot_add_paragraph(layout, layout->plot->notes, layout->width - 2 * EDGE, &words);
    return y + 46 + (lines > 0 ? 8 : 0) + lines * TEXT_LINE;
}

/* Returns where the area ends. */
static double lay_down(struct plot_layout *layout, const struct record *record, bool titled,
                       const struct columns *columns) {
    layout->word_count = layout->key_count = layout->rule_count = layout->span_count = 0;
    double y = titled ? lay_title(layout, record) : 4;
    y = lay_keys(layout, y) + (layout->ticks_above ? 24 : 0);
    layout->top = (int)y;
    double end = lay_lines(layout, columns, layout->top);
    if (!columns->narrow) { /* labels are left of the area */
        layout->spans[layout->span_count++] = (struct plot_span){layout->top, end};
    }
    return end;
}

static bool allocate(struct plot_layout *layout) {
    size_t lines = layout->plot->line_count + 1;
    layout->middles = calloc(lines, sizeof *layout->middles);
    layout->rules = calloc(lines, sizeof *layout->rules);
    layout->spans = calloc(lines, sizeof *layout->spans);
    layout->keys = calloc(layout->plot->series_count + 1, sizeof *layout->keys);
    layout->discs = calloc(layout->plot->point_count + 1, sizeof *layout->discs);
    return layout->discs && layout->middles && layout->rules && layout->spans && layout->keys;
}

static void lay_line_plot(struct plot_layout *layout, const struct record *record, enum plot_shape shape) {
    struct columns columns = measure_columns(layout->plot, shape == PLOT_NARROW);
    layout->left = (int)(EDGE + columns.label + columns.note + 12);
    layout->right = (int)(layout->width - EDGE - columns.value - 8);
    plot_lay_axis(layout, layout->right - layout->left);
    double end = lay_down(layout, record, shape == PLOT_WIDE_TITLED, &columns);
    if (end - layout->top > TALL) {
        layout->ticks_above = true;
        end = lay_down(layout, record, shape == PLOT_WIDE_TITLED, &columns);
    }
    layout->bottom = (int)ceil(end);
    layout->height = (int)ceil(lay_below(layout, layout->bottom));
}

static void lay_panel_plot(struct plot_layout *layout, const struct record *record, enum plot_shape shape) {
    struct plot_words words = {.x = EDGE, .tone = PLOT_TONE_MUTED, .size = PLOT_SMALL};
    double y = lay_keys(layout, shape == PLOT_WIDE_TITLED ? lay_title(layout, record) : 4);
    words.y = plot_lay_panels(layout, y) + TEXT_LINE / 2.0;
    int lines = plot_add_paragraph(layout, layout->plot->notes, layout->width - 2 * EDGE, &words);
    layout->height = (int)ceil(words.y + lines * TEXT_LINE);
}

struct plot_layout *plot_layout_create(const struct plot *plot, const struct record *record, enum plot_shape shape) {
    struct plot_layout *layout = calloc(1, sizeof *layout);
    if (!layout) {
        return NULL;
    }
    layout->plot = plot;
    layout->short_of_memory = !allocate(layout);
    if (!layout->short_of_memory) {
        layout->width = shape == PLOT_NARROW ? NARROW_PIXELS : WIDE_PIXELS;
        layout->line_pixels = (double)plot->line_pixels;
        (plot->panel_count > 0 ? lay_panel_plot : lay_line_plot)(layout, record, shape);
    }
    if (layout->short_of_memory) {
        plot_layout_free(layout);
        return NULL;
    }
    return layout;
}

void plot_layout_free(struct plot_layout *layout) {
    if (layout) {
        free(layout->middles);
        free(layout->rules);
        free(layout->spans);
        free(layout->keys);
        free(layout->segments);
        free(layout->discs);
        free(layout->words);
        free(layout);
    }
}
