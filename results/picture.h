/* Pictures of a record as PNG files. (picture_write_png itself: results/report.h.) */
#ifndef RESULTS_PICTURE_H
#define RESULTS_PICTURE_H

#include "results/report.h"

/* An 8-bit RGB picture as the bytes of a PNG file, which the caller frees. */
bool picture_encode_png(void **bytes, size_t *size_bytes, const uint8_t *pixels, int64_t height, int64_t width,
                        struct results_error *error);
/* The name of the PNG file of a record's picture, "CASE_KIND.png" (pictures_write). */
enum { PICTURE_NAME_BYTES = 240 }; /* file systems take 255, and ".PID.part" is to come */
void picture_file_name(char name[PICTURE_NAME_BYTES], const struct record *record, size_t index);
/* A picture `factor` times smaller, each pixel made of a square of them (smaller ones at the edges): their mean, or the
 * largest of each channel, so that a single wrong pixel stays visible. The caller frees it; NULL: out of memory. */
uint8_t *picture_shrink(const struct record_image *image, int64_t factor, bool keep_largest,
                        struct record_image *smaller);
/* Every picture of the record into `folder`, named CASE_KIND.png with what is no letter, digit, '.', '+' or '-' made
 * '_', and numbered where two names would be the same. */
bool pictures_write(const struct record *record, const char *folder, struct results_error *error);

#endif
