/* Pictures of a record as PNG files. (picture_write_png itself: results/report.h.) */
#ifndef RESULTS_PICTURE_H
#define RESULTS_PICTURE_H

#include "results/report.h"

/* An 8-bit RGB picture as the bytes of a PNG file, which the caller frees. */
bool picture_encode_png(void **bytes, size_t *size_bytes, const uint8_t *pixels, int64_t height, int64_t width,
                        struct results_error *error);
/* Every picture of the record into `folder`, named CASE_KIND.png with what is no letter, digit, '.', '+' or '-' made
 * '_', and numbered where two names would be the same. */
bool pictures_write(const struct record *record, const char *folder, struct results_error *error);

#endif
