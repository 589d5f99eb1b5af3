/* Figures as people read them, and texts in columns. (Not base/text.h: this room knows nobody.) */
#ifndef RESULTS_FORMAT_H
#define RESULTS_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum { FIGURE_BYTES = 64 };
struct figure {
    char text[FIGURE_BYTES];
};

/* "12.3 ms", "1.5 GiB", "131.2 dB", "exact" for infinite decibels; "-" for what is unknown. */
struct figure format_time(double time_ns);
struct figure format_bytes(int64_t size_bytes);
struct figure format_decibels(double decibels);
/* Three significant digits with a prefix: "4.21 G", to be followed by a unit. */
struct figure format_scaled(double value);
struct figure format_number(double value); /* whole numbers in full, others by %.6g, or "-" */

/* Characters, not bytes: what a terminal gives a column each. */
size_t text_width(const char *text);
/* The number of bytes that the first `width` characters take. */
size_t text_prefix_bytes(const char *text, size_t width);

#endif
