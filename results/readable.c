#include "results/readable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t utf8_sequence_length(const unsigned char *text) {
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (first == 0xE0 && text[1] < 0xA0) || (first == 0xF0 && text[1] < 0x90);
    bool outside = (first == 0xED && text[1] > 0x9F) || (first == 0xF4 && text[1] > 0x8F);
    return overlong || outside ? 0 : length;
}

static bool is_line_space(unsigned char byte) {
    return byte == '\n' || byte == '\r' || byte == '\t';
}

/* Controls (also those above 0x7F, which a terminal obeys) and U+FFFE, U+FFFF, which XML 1.0 has no place for. */
static bool is_forbidden(const unsigned char *text, size_t length) {
    bool control = length == 1 ? text[0] < 0x20 || text[0] == 0x7F : length == 2 && text[0] == 0xC2 && text[1] < 0xA0;
    return control || (length == 3 && text[0] == 0xEF && text[1] == 0xBF && text[2] >= 0xBE);
}

char *readable_text(const char *text, bool keep_lines) {
    enum { LONGEST = 4 }; /* a byte becomes \xNN */
    char *copy = malloc(strlen(text) * LONGEST + 1);
    char *end = copy;
    for (const unsigned char *at = (const unsigned char *)text; copy && *at;) {
        size_t length = utf8_sequence_length(at);
        size_t taken = length ? length : 1;
        if (is_line_space(*at) && keep_lines) {
            *end++ = (char)*at;
        } else if (is_line_space(*at)) {
            taken = strspn((const char *)at, "\n\r\t");
            *end++ = ' ';
        } else if (length == 0 || is_forbidden(at, length)) {
            for (size_t i = 0; i < taken; i++) {
                end += sprintf(end, "\\x%02x", at[i]);
            }
        } else {
            memcpy(end, at, length);
            end += length;
        }
        at += taken;
    }
    if (copy) {
        *end = '\0';
    }
    return copy;
}
