/* A drawing as gnuplot reads it: numbers, arrays of texts, blocks of data. Texts are in single quotes, where nothing
 * has a meaning but the quote itself. */
#include <math.h>
#include <string.h>

#include "results/plot_layout.h"

/* Control characters and what XML cannot hold (U+FFFE, U+FFFF) are left out. Doubled quotes are not understood
 * everywhere, so a quote becomes a string of its own: 'it'."\047".'s' */
void plot_print_quoted(FILE *out, const char *text) {
    fputc('\'', out);
    for (; *text; text++) {
        bool unwritable = (unsigned char)*text < ' ' || *text == 0x7F;
        if (strncmp(text, "\xEF\xBF\xBE", 3) == 0 || strncmp(text, "\xEF\xBF\xBF", 3) == 0) {
            text += 2;
        } else if (!unwritable) {
            fputs(*text == '\'' ? "'.\"\\047\".'" : (const char[]){*text, '\0'}, out);
        }
    }
    fputc('\'', out);
}

#define PRINT_NUMBERS(out, array_name, items, count, member)                 \
    do {                                                                     \
        fprintf(out, "array %s[%zu] = [0", array_name, (size_t)(count) + 1); \
        for (size_t item = 0; item < (count); item++) {                      \
            fprintf(out, ",%.6g", (double)(items)[item].member);             \
        }                                                                    \
        fprintf(out, "]\n");                                                 \
    } while (0)

/* Arrays begin with an element that is never used: gnuplot has no empty ones. */
static void print_words(FILE *out, const struct plot_layout *layout) {
    fprintf(out, "words=%zu\narray word_text[%zu] = [''", layout->word_count, layout->word_count + 1);
    for (size_t i = 0; i < layout->word_count; i++) {
        fputc(',', out);
        plot_print_quoted(out, layout->words[i].text);
    }
    fprintf(out, "]\n");
    PRINT_NUMBERS(out, "word_x", layout->words, layout->word_count, x);
    PRINT_NUMBERS(out, "word_y", layout->words, layout->word_count, y);
    PRINT_NUMBERS(out, "word_anchor", layout->words, layout->word_count, anchor);
    PRINT_NUMBERS(out, "word_tone", layout->words, layout->word_count, tone);
    PRINT_NUMBERS(out, "word_size", layout->words, layout->word_count, size);
}

static void print_keys(FILE *out, const struct plot_layout *layout) {
    fprintf(out, "keys=%zu\n", layout->key_count);
    PRINT_NUMBERS(out, "key_x", layout->keys, layout->key_count, x);
    PRINT_NUMBERS(out, "key_y", layout->keys, layout->key_count, y);
    PRINT_NUMBERS(out, "key_kind", layout->keys, layout->key_count, kind);
    PRINT_NUMBERS(out, "key_series", layout->keys, layout->key_count, series);
    fprintf(out, "rules=%zu\narray rule_y[%zu] = [0", layout->rule_count, layout->rule_count + 1);
    for (size_t i = 0; i < layout->rule_count; i++) {
        fprintf(out, ",%.6g", layout->rules[i]);
    }
    fprintf(out, "]\n");
}

static double within(double value, double low, double high) {
    return value < low ? low : value > high ? high : value;
}

/* A block a kind: series, x, y, low, high. The first row is far outside, so that no block is empty. */
static void print_marks(FILE *out, const struct plot_layout *layout) {
    static const char *const names[PLOT_MARK_KINDS] = {"point", "hollow", "dot", "bar", "tick", "band", "beyond"};
    const struct plot *plot = layout->plot;
    for (int kind = 0; kind < PLOT_MARK_KINDS; kind++) {
        fprintf(out, "$%s << END_OF_MARKS\n0\t%.9g\t1e6\t%.9g\t%.9g\n", names[kind], layout->low, layout->low,
                layout->low);
        for (size_t i = 0; i < plot->mark_count; i++) {
            const struct plot_mark *mark = &plot->marks[i];
            if ((int)mark->kind != kind || !isfinite(mark->x)) {
                continue;
            }
            double y = layout->middles[mark->line] + mark->offset * layout->line_pixels - layout->top;
            fprintf(out, "%d\t%.9g\t%.6g\t%.9g\t%.9g\n", mark->series, within(mark->x, layout->low, layout->high), -y,
                    within(mark->low, layout->low, layout->high), within(mark->high, layout->low, layout->high));
        }
        fprintf(out, "END_OF_MARKS\n");
    }
}

/* The grid, and in a block of its own the line at zero: x, y, height. */
static void print_grid(FILE *out, const struct plot_layout *layout) {
    bool zero = layout->low < 0 && layout->high > 0;
    for (int block = 0; block < 2; block++) {
        fprintf(out, "$%s << END_OF_GRID\n%.9g\t1e6\t1\n", block ? "zero" : "grid", layout->low);
        for (size_t i = 0; i < (block ? zero : layout->tick_count); i++) {
            for (size_t s = 0; s < layout->span_count; s++) {
                const struct plot_span *span = &layout->spans[s];
                fprintf(out, "%.9g\t%.6g\t%.6g\n", block ? 0 : layout->ticks[i].value, layout->top - span->bottom,
                        span->bottom - span->top);
            }
        }
        fprintf(out, "END_OF_GRID\n");
    }
}

/* Lines of panels, a block a stroke: x, y, and how far from there; then discs: series, x, y, radius. */
static void print_panels(FILE *out, const struct plot_layout *layout) {
    static const char *const names[PLOT_STROKES] = {"grid", "axis", "roof"};
    for (int stroke = 0; stroke < PLOT_STROKES; stroke++) {
        fprintf(out, "$%s << END_OF_LINES\n1e6\t1e6\t0\t1\n", names[stroke]);
        for (size_t i = 0; i < layout->segment_count; i++) {
            const struct plot_segment *line = &layout->segments[i];
            if ((int)line->stroke == stroke) {
                fprintf(out, "%.6g\t%.6g\t%.6g\t%.6g\n", line->x0, -line->y0, line->x1 - line->x0, line->y0 - line->y1);
            }
        }
        fprintf(out, "END_OF_LINES\n");
    }
    fprintf(out, "$disc << END_OF_DISCS\n0\t1e6\t1e6\t1\n");
    for (size_t i = 0; i < layout->disc_count; i++) {
        const struct plot_disc *disc = &layout->discs[i];
        fprintf(out, "%d\t%.6g\t%.6g\t%.6g\n", disc->series, disc->x, -disc->y, disc->radius);
    }
    fprintf(out, "END_OF_DISCS\n");
}

static void print_axis(FILE *out, const struct plot_layout *layout) {
    fprintf(out, "x_low=%.9g\nx_high=%.9g\nlogarithmic=%d\nticks_above=%d\nticks='", layout->low, layout->high,
            layout->plot->axis.logarithmic, layout->ticks_above);
    for (size_t i = 0; i < layout->tick_count; i++) {
        fputs(i ? ", \"" : "\"", out);
        for (const char *at = layout->ticks[i].text; *at; at++) {
            fputs(*at == '%' ? "%%" : (const char[]){*at, '\0'}, out); /* ticks are formats */
        }
        fprintf(out, "\" %.9g", layout->ticks[i].value);
    }
    fprintf(out, "'\n");
}

void plot_print_layout(FILE *out, const struct plot_layout *layout) {
    fprintf(out, "width=%d\nheight=%d\nleft=%d\nright=%d\ntop=%d\nbottom=%d\nline=%g\n", layout->width, layout->height,
            layout->left, layout->right, layout->top, layout->bottom, layout->line_pixels);
    print_words(out, layout);
    print_keys(out, layout);
    if (layout->plot->panel_count > 0) {
        print_panels(out, layout);
        return;
    }
    print_axis(out, layout);
    print_grid(out, layout);
    print_marks(out, layout);
}
