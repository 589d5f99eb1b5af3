/* Where things stand on a drawing, in pixels: lines, texts, legend, ticks. Inside results/plot*.c and gnuplot.c only.
 */
#ifndef RESULTS_PLOT_LAYOUT_H
#define RESULTS_PLOT_LAYOUT_H

#include <stdio.h>

#include "results/plot.h"

enum plot_shape { PLOT_WIDE, PLOT_WIDE_TITLED, PLOT_NARROW };
enum plot_tone { PLOT_TONE_TEXT, PLOT_TONE_MUTED, PLOT_TONE_STRONG };
enum plot_anchor { PLOT_LEFT, PLOT_CENTER, PLOT_RIGHT };

enum { PLOT_MOST_TICKS = 24, PLOT_SMALL = 11, PLOT_NORMAL = 12, PLOT_LARGE = 16, PLOT_EDGE = 12, PLOT_TEXT_LINE = 15 };

struct plot_words {
    char text[PLOT_LABEL_BYTES];
    double x, y; /* of the middle of the words' height, from the top left */
    enum plot_anchor anchor;
    enum plot_tone tone;
    int size;
};

struct plot_key { /* of the legend: the mark before its name */
    double x, y;
    enum plot_mark_kind kind;
    int series;
};

/* Where the grid is drawn: not across texts. */
struct plot_span {
    double top, bottom;
};

/* Of panels: lines and discs in pixels from the top left. */
enum plot_stroke { PLOT_STROKE_GRID, PLOT_STROKE_AXIS, PLOT_STROKE_ROOF, PLOT_STROKES };

struct plot_segment {
    double x0, y0, x1, y1;
    enum plot_stroke stroke;
};

struct plot_disc {
    double x, y, radius;
    int series;
};

struct plot_tick {
    double value;
    char text[32];
};

struct plot_layout {
    const struct plot *plot;
    int width, height, left, right, top, bottom; /* the last four: of the area between the axes */
    double *middles;                             /* of lines, from the top of the drawing */
    double line_pixels;
    struct plot_words *words;
    size_t word_count, word_capacity;
    struct plot_key *keys;
    size_t key_count;
    double *rules; /* lines that part workloads: their heights */
    size_t rule_count;
    struct plot_span *spans;
    size_t span_count;
    struct plot_tick ticks[PLOT_MOST_TICKS];
    size_t tick_count;
    double low, high; /* of the axis */
    struct plot_segment *segments;
    size_t segment_count, segment_capacity;
    struct plot_disc *discs; /* as many as the plot has points */
    size_t disc_count;
    bool ticks_above, short_of_memory;
};

/* NULL when memory is short. */
struct plot_layout *plot_layout_create(const struct plot *plot, const struct record *record, enum plot_shape shape);
void plot_layout_free(struct plot_layout *layout);
/* What gnuplot needs to know of it: numbers, texts and blocks of data. */
void plot_print_layout(FILE *out, const struct plot_layout *layout);
/* 'text' as gnuplot reads it. */
void plot_print_quoted(FILE *out, const char *text);

/* Words at like->x, like->y; on as many lines as they need (returns how many); or cut to the width, with an ellipsis.
 */
void plot_add_words(struct plot_layout *layout, const char *text, size_t length, const struct plot_words *like);
int plot_add_paragraph(struct plot_layout *layout, const char *text, double pixels, const struct plot_words *like);
void plot_add_fitted(struct plot_layout *layout, const char *text, double pixels, const struct plot_words *like);
int plot_count_text_lines(const char *text, int size, double pixels);
/* Panels below one another, or two beside, from `y` down; returns where they end (plot_panels.c). */
double plot_lay_panels(struct plot_layout *layout, double y);

/* Ticks and range for an axis of so many pixels (plot_axis.c). */
void plot_lay_axis(struct plot_layout *layout, int pixels);
/* How wide this is in the widest of the usual fonts (DejaVu Sans), a little on the safe side. */
double plot_text_pixels(const char *text, size_t length_bytes, int size);
/* The bytes of `text` that go on one line of that width; breaks at spaces where it can. */
size_t plot_text_fit(const char *text, int size, double pixels);

#endif
