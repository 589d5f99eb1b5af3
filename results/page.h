/* The page: everything of one or several runs that people look at, as one HTML file that needs nothing else. */
#ifndef RESULTS_PAGE_H
#define RESULTS_PAGE_H

#include "results/report.h"

/* Writes FOLDER/index.html. `all` holds the cases of all runs (with one run, it is that run's record); plots are taken
 * from FOLDER/NAME.svg and its variants, `plots_missing` says why there are none ("" where they were drawn). */
bool page_write(const struct report_run *runs, size_t run_count, const struct record *all, const char *folder,
                const char *plots_missing, struct results_error *error);

#endif
