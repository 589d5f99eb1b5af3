/* Running gnuplot, an external program. No shell is between it and us. */
#ifndef RESULTS_GNUPLOT_H
#define RESULTS_GNUPLOT_H

#include "results/plot.h"
#include "results/store.h"

/* Draws the plot into FOLDER/NAME.png and FOLDER/NAME.svg with SCRIPTS_FOLDER/NAME.gp. */
bool gnuplot_draw(const struct plot *plot, const struct record *record, const char *folder, const char *scripts_folder,
                  struct results_error *error);

#endif
