/* gnuplot's SVG made fit to stand in a page with others. Inside results/ only. */
#ifndef RESULTS_PLOT_SVG_H
#define RESULTS_PLOT_SVG_H

#include "results/plot.h"

/* The same drawing, allocated; NULL when memory is short. Every id begins with `id`, so that many drawings share a
 * page; it has a role, a title and a description for who cannot see it; what gnuplot defines and does not need is gone.
 */
char *plot_tidy_svg(const char *svg, const char *id, const struct plot_text *text);

#endif
