#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_NEAREST_MAX_LENGTH = 127 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edit distance by three rolling rows, two neighbours swapped counting as one edit, since that is how fingers slip
 * (optimal string alignment; Damerau 1964). Words longer than a row count as far away. */
static size_t text_distance(const char *a, const char *b) {
    size_t rows[3][TEXT_NEAREST_MAX_LENGTH + 1];
    const size_t a_length = strlen(a), b_length = strlen(b);

    if (a_length > TEXT_NEAREST_MAX_LENGTH || b_length > TEXT_NEAREST_MAX_LENGTH) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_length; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = smaller(row[j], smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = smaller(row[j], above_that[j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

const char *text_nearest(const char *word, const char *const *candidates) {
    const size_t third = strlen(word) / 3;
    const size_t limit = third > 1 ? third : 1;
    const char *nearest = NULL;
    size_t nearest_distance = limit + 1;

    for (; *candidates != NULL; candidates++) {
        const size_t distance = text_distance(word, *candidates);
        if (distance < nearest_distance) {
            nearest = *candidates;
            nearest_distance = distance;
        }
    }
    return nearest;
}

const char *text_format_bytes(double size_bytes, char *text, size_t capacity) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    while (size_bytes >= 1024.0 && unit + 1 < sizeof units / sizeof units[0]) {
        size_bytes /= 1024.0;
        unit++;
    }
    snprintf(text, capacity, unit == 0 ? "%.0f %s" : "%.1f %s", size_bytes, units[unit]);
    return text;
}

const char *text_format_time(double time_ns, char *text, size_t capacity) {
    static const struct {
        double ns;
        const char *unit;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1.0, "ns"}};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const double number = time_ns / units[i].ns;
        if (number >= 1.0 || units[i].ns == 1.0) {
            const int decimals = number < 10.0 ? 2 : number < 100.0 ? 1 : 0;
            snprintf(text, capacity, "%.*f %s", units[i].ns == 1.0 ? 0 : decimals, number, units[i].unit);
            break;
        }
    }
    return text;
}

int text_glob_match(const char *pattern, const char *text) {
    const char *star = NULL, *resume = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            /* Let the last star swallow one more character: earlier stars never need to be reconsidered. */
            pattern = star + 1;
            text = ++resume;
        } else {
            return 0;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

char *text_format(const char *format, ...) {
    va_list arguments;
    char *text = NULL;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    va_end(arguments);
    return text;
}
