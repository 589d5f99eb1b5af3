/* Pictures of a record as PNG files. (picture_write_png itself: results/report.h.) */
#ifndef RESULTS_PICTURE_H
#define RESULTS_PICTURE_H

#include "results/report.h"

/* Every picture of the record into `folder`, named CASE_KIND.png with what is no letter, digit, '.', '+' or '-' made
 * '_', and numbered where two names would be the same. */
bool pictures_write(const struct record *record, const char *folder, struct results_error *error);

#endif
