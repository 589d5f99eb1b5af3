/* The report: one page index.html, plots by gnuplot (an external program) and the decoded pictures, into a folder. */
#ifndef RESULTS_REPORT_H
#define RESULTS_REPORT_H

#include "results/store.h"

struct report_run {
    const char *label; /* what the run is called beside others; no two alike */
    const char *path;  /* of its file, as it was given */
    const struct record *record;
};

/* Writes index.html, which needs nothing else, and beside it the plots (SVG, PNG) and pictures (PNG) into `folder`,
 * which is made if needed. Several runs are laid side by side. Where gnuplot fails, the page is written without plots
 * and says so; the result is false all the same. `scripts_folder` holds the gnuplot scripts. */
bool report_write_runs(const struct report_run *runs, size_t run_count, const char *folder, const char *scripts_folder,
                       struct results_error *error);
/* The same for one run. */
bool report_write(const struct record *record, const char *folder, const char *scripts_folder,
                  struct results_error *error);
/* An 8-bit RGB picture as PNG, beside its name first, then renamed. */
bool picture_write_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width,
                       struct results_error *error);

#endif
