/* What a plot shows, laid out: a line a case, cases of one workload together, one block of data a backend. The drawing
 * is gnuplot's (scripts/gnuplot/NAME.gp). */
#ifndef RESULTS_PLOT_H
#define RESULTS_PLOT_H

#include <stdio.h>

#include "results/record.h"

enum plot_id { PLOT_LATENCY, PLOT_MEMORY, PLOT_PSNR, PLOT_COUNT };

struct plot_point {
    const struct case_row *row;
    double value, low, high; /* what is drawn, and its interval */
    double other;            /* memory: weights; PSNR: the bound; else NaN */
    size_t backend;
    double height; /* of its line; lines go down from 0 */
};

struct plot {
    enum plot_id id;
    struct plot_point *points;
    size_t point_count;
    size_t left_out_count; /* cases without this figure */
    const char **backends; /* in the order of the run */
    size_t backend_count;
    double height_in_lines; /* of the whole plot */
    double low, high;       /* of all that is drawn; positive on a logarithmic axis */
};

const char *plot_name(enum plot_id id); /* "latency": the script's and the pictures' name */
struct plot *plot_create(const struct record *record, enum plot_id id); /* NULL when memory is short */
void plot_free(struct plot *plot);
/* Tab-separated: a block a backend (a line with its name; then height, value, low, high, other, label of value, label
 * of other), then a block of workloads (height, name). */
void plot_print_data(FILE *out, const struct plot *plot);
/* gnuplot assignments, for its -e: title, subtitle, lines, backends, x range, ticks. */
void plot_print_settings(FILE *out, const struct plot *plot, const struct record *record);
/* 'text' as gnuplot reads it. */
void plot_print_quoted(FILE *out, const char *text);

#endif
