/* What the builders of plots share: choosing cases, adding lines and marks. Inside results/plot*.c only. */
#ifndef RESULTS_PLOT_BUILD_H
#define RESULTS_PLOT_BUILD_H

#include "results/plot.h"

/* A case that has the figure. Workloads of highest rank are drawn where there are too many. */
struct plot_candidate {
    const struct case_row *row;
    double rank, workload_rank;        /* the latter: the highest of its workload, if some must go */
    const struct case_row *other;      /* fuse_qkv: the case without */
    size_t type_place, workload_place; /* where these first appear in the run */
};

/* Fills in what a row contributes; false where the case has no such figure. */
typedef bool plot_judge(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                        const void *context);

/* The cases to draw, in the order of VAE types, workloads and rows; allocated, NULL when memory is short or none.
 * Counts the others in the plot and says so in its notes: "40 of 200 cases are drawn: those of the NOUN." */
struct plot_candidate *plot_choose(struct plot *plot, const struct record *record, plot_judge *judge,
                                   const void *context, size_t most, const char *noun, size_t *count);
struct plot_line *plot_add_line(struct plot *plot, const struct case_row *row);
void plot_add_mark(struct plot *plot, const struct plot_mark *mark); /* to a line that is there */
/* The series of that name, added if new, with the next colour. */
int plot_find_series(struct plot *plot, const char *name, enum plot_mark_kind kind);
void plot_add_series(struct plot *plot, const char *name, enum plot_mark_kind kind, int series);
struct plot_panel *plot_add_panel(struct plot *plot);
void plot_add_point(struct plot *plot, const struct plot_point *point); /* to the last panel */
bool plot_has_mark(const struct plot *plot, enum plot_mark_kind kind);
void plot_add_note(struct plot *plot, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Widens the axis to `value`, if that is finite. */
void plot_widen(struct plot *plot, double value);
/* The decoder in few words. */
const char *plot_decoder_name(const struct record *record, const struct case_row *row);
/* "sd15-mini 1x4x8x8 fuse_qkv", and " · cpu" with `decoder`. */
void plot_label(char label[PLOT_LABEL_BYTES], const struct record *record, const struct case_row *row, bool decoder);
/* Did it pass, or was it refused as it must be? */
bool plot_case_is_fine(const struct case_row *row);

/* The PSNR that the case had to reach, or NaN; where several bounds hold, the strictest. */
double plot_find_psnr_bound(const struct record *record, const struct case_row *row);

/* Finds the case of each row of a table whose rows of one case are mostly neighbours. */
struct plot_cursor {
    size_t last;
};
const struct case_row *plot_find_case(const struct record *record, const char *case_id, struct plot_cursor *cursor);

/* The builders: plot_points.c, plot_samples.c, plot_memory.c, plot_ops.c, plot_roofline.c,
 * plot_fuse_qkv.c. */
void plot_build_latency(struct plot *plot, const struct record *record);
void plot_build_psnr(struct plot *plot, const struct record *record);
void plot_build_samples(struct plot *plot, const struct record *record);
void plot_build_memory(struct plot *plot, const struct record *record);
void plot_build_ops(struct plot *plot, const struct record *record);
void plot_build_roofline(struct plot *plot, const struct record *record);
void plot_build_fuse_qkv(struct plot *plot, const struct record *record);

#endif
