/* What a plot shows, laid out as lines (one or more a case, grouped by VAE type and workload) with marks on them, or as
 * panels with points in them. Where a line stands in pixels is results/plot_layout.h's, drawing is gnuplot's
 * (results/gnuplot.h). */
#ifndef RESULTS_PLOT_H
#define RESULTS_PLOT_H

#include "results/record.h"

enum plot_id { PLOT_LATENCY, PLOT_SAMPLES, PLOT_MEMORY, PLOT_OPS, PLOT_ROOFLINE, PLOT_FUSE_QKV, PLOT_PSNR, PLOT_COUNT };

/* Drawn as NAME.svg, NAME-dark.svg, NAME-narrow.svg, NAME-narrow-dark.svg and NAME.png (light, with its title). */
struct plot_text {
    const char *name, *title;
    const char *caption; /* how to read it, in a sentence or two */
    const char *alt;     /* what it is, for who cannot see it */
};
extern const struct plot_text plots[PLOT_COUNT];

/* Has the run what this plot shows? If not, it is not drawn. */
bool plot_has_data(const struct record *record, enum plot_id id);

enum {
    PLOT_LABEL_BYTES = 512,
    PLOT_NOTE_BYTES = 160,
    PLOT_VALUE_BYTES = 64,
    PLOT_SERIES_GREY = -1, /* "other": whatever is left */
};

/* A line of the plot. Neighbours with the same group and label share them. */
struct plot_line {
    const struct case_row *row;
    const char *group;            /* VAE type; "" for none */
    char label[PLOT_LABEL_BYTES]; /* the workload */
    char note[PLOT_NOTE_BYTES];   /* what this line of it is; "" where the series says it */
    char value[PLOT_VALUE_BYTES]; /* in figures, right of the line */
};

enum plot_mark_kind {
    PLOT_MARK_POINT,  /* at x, whiskers from low to high */
    PLOT_MARK_HOLLOW, /* the same of a case that did not pass, or a warm-up */
    PLOT_MARK_DOT,    /* a small one, one of many */
    PLOT_MARK_BAR,    /* from low to high */
    PLOT_MARK_TICK,   /* across the line at x: a bound, a median */
    PLOT_MARK_BAND,   /* from low to high, faint, behind the others */
    PLOT_MARK_BEYOND, /* an arrow to the right at x: further than the axis goes */
    PLOT_MARK_KINDS
};

struct plot_mark {
    size_t line;
    enum plot_mark_kind kind;
    int series; /* index into `series`, or PLOT_SERIES_GREY */
    double x;   /* on the axis; bars: the middle */
    double low, high;
    double offset; /* from the middle of the line, in lines: -0.5 to 0.5, down is positive */
};

enum plot_unit { PLOT_TIME, PLOT_BYTES, PLOT_PERCENT, PLOT_SHARE, PLOT_DECIBELS };

struct plot_axis {
    enum plot_unit unit;
    bool logarithmic;
    double low, high; /* of what is drawn; the layout rounds and widens */
    const char *title;
};

struct plot_series {
    char name[PLOT_LABEL_BYTES];
    enum plot_mark_kind kind; /* how the legend shows it */
    int series;               /* its colour and shape */
};

/* A chart of FLOP/s over FLOP/byte, both logarithmic. */
struct plot_panel {
    char label[PLOT_LABEL_BYTES], note[PLOT_NOTE_BYTES];
    double peak_flops_per_s, peak_bytes_per_s; /* the ceilings; NaN: not known */
    size_t first_point, point_count;
};

struct plot_point {
    double flops_per_byte, flops_per_s;
    double time_share; /* of the panel's time: its area */
    int series;
};

struct plot {
    enum plot_id id;
    struct plot_line *lines;
    size_t line_count, line_capacity;
    struct plot_mark *marks;
    size_t mark_count, mark_capacity;
    struct plot_series *series; /* the legend */
    size_t series_count, series_capacity;
    struct plot_panel *panels; /* in place of lines and marks */
    size_t panel_count, panel_capacity;
    struct plot_point *points; /* panel by panel, the largest first */
    size_t point_count, point_capacity;
    struct plot_axis axis;
    size_t line_pixels;
    size_t drawn_count;    /* cases drawn, */
    size_t cut_count;      /* cases left out because there are too many, */
    size_t left_out_count; /* and cases without the figure */
    const char *without;   /* what cases that have no figure are told to be */
    char notes[2048];      /* sentences that must be read with the plot */
    bool short_of_memory;
};

struct plot *plot_create(const struct record *record, enum plot_id id); /* NULL when memory is short */
void plot_free(struct plot *plot);
bool plot_is_empty(const struct plot *plot);

#endif
