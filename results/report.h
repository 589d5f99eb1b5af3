/* The report: plots by gnuplot (an external program) and the decoded pictures, into a folder. */
#ifndef RESULTS_REPORT_H
#define RESULTS_REPORT_H

#include "results/store.h"

/* Writes pictures (PNG) and plots latency, memory, psnr (PNG and SVG) by case into `folder`, which is made if needed.
 * `scripts_folder` holds the gnuplot scripts. */
bool report_write(const struct record *record, const char *folder, const char *scripts_folder,
                  struct results_error *error);
/* An 8-bit RGB picture as PNG, beside its name first, then renamed. */
bool picture_write_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width,
                       struct results_error *error);

#endif
