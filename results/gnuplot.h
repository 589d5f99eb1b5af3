/* Running gnuplot, an external program. No shell is between it and us. */
#ifndef RESULTS_GNUPLOT_H
#define RESULTS_GNUPLOT_H

#include "results/plot.h"
#include "results/store.h"

/* Draws every plot that has data into `folder` (which is there): FOLDER/NAME.svg, NAME-dark.svg, NAME-narrow.svg,
 * NAME-narrow-dark.svg (transparent) and NAME.png (light, with its title), by the scripts in SCRIPTS_FOLDER. Files of
 * plots without data are removed, so that a folder never shows an older run's. */
bool gnuplot_draw_all(const struct record *record, const char *folder, const char *scripts_folder,
                      struct results_error *error);

#endif
