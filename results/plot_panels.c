/* Where charts of a roofline stand, and what is in them: axes, ceilings, discs. All panels share one range. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_layout.h"

enum {
    GAP = 28,           /* between panels */
    LEFT = 48,          /* of the axis of FLOP/s: its ticks */
    BELOW = 44,         /* of a chart: ticks and title of the axis of FLOP/byte */
    ABOVE = 22,         /* of a chart: title of the axis of FLOP/s */
    TALLEST = 420,      /* chart */
    LARGEST = 30,       /* radius of a point that takes all the time */
    CEILING_WORDS = 60, /* roughly how wide they are */
    DECADE_PIXELS = 90, /* a decade that wide has ticks at 2 and 5, too */
};
static const double SMALLEST = 2, CHART_SHAPE = 0.7; /* radius of a point; height of a chart by its width */
static const double SLOPE_SHOWN = 6;                 /* the bandwidth's, at least from there to this many times */

/* A logarithmic axis over pixels; `from` may be the larger one. */
struct log_axis {
    double low, high, from, to;
};

static double place(const struct log_axis *axis, double value) {
    return axis->from + log(value / axis->low) / log(axis->high / axis->low) * (axis->to - axis->from);
}

/* ---- Ranges ---- */

static const double steps[] = {1, 2, 5, 10};

/* The next of 1, 2, 5, 10, ... that is not above the value, or not below it. */
static double round_out(double value, bool up) {
    double power = pow(10, floor(log10(value))), mantissa = value / power;
    size_t i = 0;
    while (i < 3 && (up ? steps[i] < mantissa * (1 - 1e-9) : steps[i + 1] <= mantissa * (1 + 1e-9))) {
        i++;
    }
    return power * steps[i];
}

static void widen(struct log_axis *axis, double value) {
    if (value > 0 && isfinite(value)) {
        axis->low = fmin(axis->low, value); /* NaN at first, which fmin leaves out */
        axis->high = fmax(axis->high, value);
    }
}

static void finish_range(struct log_axis *axis) {
    if (isnan(axis->low)) {
        axis->low = axis->high = 1;
    }
    axis->low = round_out(axis->low / 1.3, false); /* air, so that a point is not on the axis */
    axis->high = round_out(axis->high * 1.3, true);
    if (axis->high < 10 * axis->low) {
        axis->high = 10 * axis->low;
    }
}

static void find_ranges(const struct plot *plot, struct log_axis *x, struct log_axis *y) {
    *x = *y = (struct log_axis){.low = NAN, .high = NAN};
    for (size_t i = 0; i < plot->point_count; i++) {
        widen(x, plot->points[i].flops_per_byte);
        widen(y, plot->points[i].flops_per_s);
    }
    for (size_t i = 0; i < plot->panel_count; i++) {
        const struct plot_panel *panel = &plot->panels[i];
        widen(x, panel->peak_flops_per_s / panel->peak_bytes_per_s / SLOPE_SHOWN);
        widen(y, panel->peak_flops_per_s);
    }
    finish_range(x);
    finish_range(y);
}

/* ---- Drawing ---- */

static void add_segment(struct plot_layout *layout, const struct plot_segment *segment) {
    if (layout->segment_count == layout->segment_capacity) {
        size_t wanted = layout->segment_capacity * 2 + 64;
        struct plot_segment *grown = realloc(layout->segments, wanted * sizeof *grown);
        if (!grown) {
            layout->short_of_memory = true;
            return;
        }
        layout->segments = grown;
        layout->segment_capacity = wanted;
    }
    layout->segments[layout->segment_count++] = *segment;
}

/* "50 M", "0.2": a tick. */
static void write_tick(char text[32], double value) {
    static const char *const prefixes[] = {"", " k", " M", " G", " T", " P"};
    size_t prefix = 0;
    while (prefix < 5 && value >= 999.5) {
        value /= 1000;
        prefix++;
    }
    snprintf(text, 32, "%.3g%s", value, prefixes[prefix]);
}

/* The grid of one axis with its ticks; `other` is the axis across it. */
static void lay_ticks(struct plot_layout *layout, const struct log_axis *axis, const struct log_axis *other,
                      bool upright) {
    double decade_pixels = fabs(axis->to - axis->from) / log10(axis->high / axis->low);
    size_t every = decade_pixels >= DECADE_PIXELS ? 1 : 3;
    double decades = ceil(40 / decade_pixels); /* between ticks, where many lie close */
    double first = floor(log10(axis->low) + 1e-9);
    for (double decade = first; decade <= log10(axis->high) + 1e-9; decade += decades) {
        for (size_t i = 0; i < 3; i += every) {
            double value = pow(10, decade) * steps[i], at = place(axis, value);
            if (value < axis->low * (1 - 1e-9) || value > axis->high * (1 + 1e-9)) {
                continue;
            }
            struct plot_segment line = {at, other->from, at, other->to, PLOT_STROKE_GRID};
            struct plot_words words = {
                .x = at, .y = other->from + 12, .anchor = PLOT_CENTER, .tone = PLOT_TONE_MUTED, .size = PLOT_SMALL};
            if (upright) {
                line = (struct plot_segment){other->from, at, other->to, at, PLOT_STROKE_GRID};
                words.x = other->from - 6;
                words.y = at;
                words.anchor = PLOT_RIGHT;
            }
            char text[32];
            write_tick(text, value);
            add_segment(layout, &line);
            plot_add_words(layout, text, strlen(text), &words);
        }
    }
}

/* Above a ceiling, where it is low: points gather at its right end. */
static void add_ceiling_words(struct plot_layout *layout, double value, const char *unit, double x, double y,
                              double most_x) {
    char text[FIGURE_BYTES + 8];
    struct plot_words words = {.x = x, .y = y - 10, .size = PLOT_SMALL};
    snprintf(text, sizeof text, "%s%s", format_scaled(value).text, unit);
    words.x = fmin(x, most_x - plot_text_pixels(text, strlen(text), PLOT_SMALL));
    plot_add_words(layout, text, strlen(text), &words);
}

/* The slope of the bandwidth until it meets the level of compute. */
static void lay_ceilings(struct plot_layout *layout, const struct plot_panel *panel, const struct log_axis *x,
                         const struct log_axis *y) {
    double compute = panel->peak_flops_per_s, bandwidth = panel->peak_bytes_per_s;
    double level = place(y, compute), ridge = x->low;
    if (bandwidth > 0 && isfinite(bandwidth)) {
        double start = fmax(x->low, y->low / bandwidth);
        ridge = compute / bandwidth;
        struct plot_segment slope = {place(x, start), place(y, start * bandwidth), place(x, ridge), level,
                                     PLOT_STROKE_ROOF};
        add_segment(layout, &slope);
        if (slope.y0 > level + 2 * PLOT_TEXT_LINE) { /* else the other ceiling's words are in the way */
            double rise = (slope.y0 - slope.y1) / (slope.x1 - slope.x0) * CEILING_WORDS;
            add_ceiling_words(layout, bandwidth, "B/s", slope.x0 + 4, slope.y0 - fmin(rise, slope.y0 - level - 20),
                              x->to);
        }
    }
    add_segment(layout, &(struct plot_segment){place(x, ridge), level, x->to, level, PLOT_STROKE_ROOF});
    add_ceiling_words(layout, compute, "FLOP/s", place(x, ridge) + 4, level, x->to);
}

static void lay_points(struct plot_layout *layout, const struct plot_panel *panel, const struct log_axis *x,
                       const struct log_axis *y) {
    for (size_t i = 0; i < panel->point_count; i++) {
        const struct plot_point *point = &layout->plot->points[panel->first_point + i];
        layout->discs[layout->disc_count++] =
            (struct plot_disc){.x = place(x, point->flops_per_byte),
                               .y = place(y, point->flops_per_s),
                               .radius = fmax(SMALLEST, LARGEST * sqrt(fmin(1, point->time_share))),
                               .series = point->series};
    }
}

/* One chart with its left top corner at x, y. */
static void lay_chart(struct plot_layout *layout, const struct plot_panel *panel, struct log_axis *x,
                      struct log_axis *y) {
    struct plot_words words = {.tone = PLOT_TONE_MUTED, .size = PLOT_SMALL};
    lay_ticks(layout, x, y, false);
    lay_ticks(layout, y, x, true);
    add_segment(layout, &(struct plot_segment){x->from, y->from, x->to, y->from, PLOT_STROKE_AXIS});
    add_segment(layout, &(struct plot_segment){x->from, y->from, x->from, y->to, PLOT_STROKE_AXIS});
    words.x = x->from - LEFT;
    words.y = y->to - ABOVE / 2.0 - 3;
    plot_add_words(layout, "FLOP/s", 6, &words);
    words.x = (x->from + x->to) / 2;
    words.y = y->from + 28;
    words.anchor = PLOT_CENTER;
    plot_add_words(layout, "FLOP/byte", 9, &words);
    lay_ceilings(layout, panel, x, y);
    lay_points(layout, panel, x, y);
}

/* The panel's name and its note; returns where they end. */
static double lay_head(struct plot_layout *layout, const struct plot_panel *panel, double x, double y, double width) {
    struct plot_words words = {.x = x, .y = y + PLOT_TEXT_LINE / 2.0, .size = PLOT_NORMAL};
    words.y += PLOT_TEXT_LINE * plot_add_paragraph(layout, panel->label, width, &words);
    words.tone = PLOT_TONE_MUTED;
    words.size = PLOT_SMALL;
    words.y += PLOT_TEXT_LINE * plot_add_paragraph(layout, panel->note, width, &words);
    return words.y;
}

double plot_lay_panels(struct plot_layout *layout, double y) {
    const struct plot *plot = layout->plot;
    struct log_axis x_axis, y_axis;
    find_ranges(plot, &x_axis, &y_axis);
    double all = layout->width - 2 * PLOT_EDGE;
    size_t columns = plot->panel_count > 1 && all > 2 * 300 ? 2 : 1;
    double width = (all - (double)(columns - 1) * GAP) / (double)columns;
    double height = fmin(TALLEST, CHART_SHAPE * (width - LEFT));
    for (size_t first = 0; first < plot->panel_count; first += columns) {
        double top = y;
        for (size_t i = first; i < first + columns && i < plot->panel_count; i++) {
            double x = PLOT_EDGE + (double)(i - first) * (width + GAP);
            top = fmax(top, lay_head(layout, &plot->panels[i], x, y, width) + ABOVE);
        }
        for (size_t i = first; i < first + columns && i < plot->panel_count; i++) {
            x_axis.from = PLOT_EDGE + (double)(i - first) * (width + GAP) + LEFT;
            x_axis.to = x_axis.from - LEFT + width - 8; /* half of the last tick */
            y_axis.from = top + height;
            y_axis.to = top;
            lay_chart(layout, &plot->panels[i], &x_axis, &y_axis);
        }
        y = top + height + BELOW + 8;
    }
    return y;
}
