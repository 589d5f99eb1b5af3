#include "results/format.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

/* Three significant digits, at least those before the point: 1.23, 12.3, 123, 1234. */
static struct figure format_three(double value, const char *unit) {
    struct figure figure;
    double size = fabs(value);
    int decimals = size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
    snprintf(figure.text, sizeof figure.text, "%.*f %s", decimals, value, unit);
    return figure;
}

static struct figure unknown_figure(void) {
    return (struct figure){"-"};
}

struct figure format_time(double time_ns) {
    if (!isfinite(time_ns)) {
        return unknown_figure();
    }
    double size = fabs(time_ns);
    return size < 999.5     ? format_three(time_ns, "ns")
           : size < 999.5e3 ? format_three(time_ns * 1e-3, "us")
           : size < 999.5e6 ? format_three(time_ns * 1e-6, "ms")
                            : format_three(time_ns * 1e-9, "s");
}

struct figure format_bytes(int64_t size_bytes) {
    struct figure figure;
    double size = (double)size_bytes;
    if (size_bytes < 0) {
        return unknown_figure();
    }
    if (size_bytes < 1024) {
        snprintf(figure.text, sizeof figure.text, "%lld B", (long long)size_bytes);
        return figure;
    }
    return size < 1023.5 * 0x1p10   ? format_three(size * 0x1p-10, "KiB")
           : size < 1023.5 * 0x1p20 ? format_three(size * 0x1p-20, "MiB")
                                    : format_three(size * 0x1p-30, "GiB");
}

struct figure format_decibels(double decibels) {
    struct figure figure;
    if (isnan(decibels)) {
        return unknown_figure();
    }
    if (isinf(decibels)) {
        return (struct figure){"exact"};
    }
    snprintf(figure.text, sizeof figure.text, "%.1f dB", decibels);
    return figure;
}

struct figure format_scaled(double value) {
    double size = fabs(value);
    return !isfinite(value) ? unknown_figure()
           : size < 999.5   ? format_three(value, "")
           : size < 999.5e3 ? format_three(value * 1e-3, "k")
           : size < 999.5e6 ? format_three(value * 1e-6, "M")
           : size < 999.5e9 ? format_three(value * 1e-9, "G")
                            : format_three(value * 1e-12, "T");
}

struct figure format_number(double value) {
    struct figure figure = {"-"};
    if (!isnan(value)) {
        bool whole = fabs(value) < 1e15 && value == floor(value); /* bytes are told to the last one */
        snprintf(figure.text, sizeof figure.text, whole ? "%.0f" : "%.6g", value);
    }
    return figure;
}

static int starts_character(char byte) {
    return ((unsigned char)byte & 0xC0) != 0x80;
}

size_t text_width(const char *text) {
    size_t width = 0;
    for (; *text; text++) {
        width += starts_character(*text) ? 1 : 0;
    }
    return width;
}

size_t text_prefix_bytes(const char *text, size_t width) {
    size_t bytes = 0;
    while (text[bytes] && (width > 0 || !starts_character(text[bytes]))) {
        width -= starts_character(text[bytes]) ? 1 : 0;
        bytes++;
    }
    return bytes;
}
