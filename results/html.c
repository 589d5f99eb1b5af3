#include "results/html.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "results/readable.h"

static const char REPLACEMENT[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* The code of a well-formed character of that many bytes. */
static uint32_t character_code(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text;
    uint32_t code = length == 1 ? at[0] : at[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        code = code << 6 | (at[i] & 0x3F);
    }
    return code;
}

/* Controls, noncharacters, and marks that make a text read other than it is written. */
static bool is_printable(uint32_t code) {
    bool control = (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7F && code < 0xA0);
    bool direction = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0x200E ||
                     code == 0x200F || code == 0x061C;
    bool nothing = (code & 0xFFFE) == 0xFFFE || (code >= 0xFDD0 && code <= 0xFDEF) || code == 0xFEFF;
    return !control && !direction && !nothing;
}

static const char *entity(uint32_t code) {
    switch (code) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void html_text(FILE *out, const char *text) {
    while (*text) {
        size_t length = utf8_sequence_length((const unsigned char *)text);
        uint32_t code = length ? character_code(text, length) : 0;
        if (!is_printable(code)) {
            fputs(REPLACEMENT, out);
        } else if (entity(code)) {
            fputs(entity(code), out);
        } else {
            fwrite(text, 1, length, out);
        }
        text += length ? length : 1;
    }
}

void html_fill(FILE *out, const char *template, const char *const *texts) {
    for (const char *at = template; *at; at++) {
        if (*at != '@') {
            fputc(*at, out);
        } else if (*texts) {
            html_text(out, *texts++);
        }
    }
}

bool html_data_uri(FILE *out, const char *type, const void *bytes, size_t size_bytes) {
    enum { STEP_BYTES = 3 << 14 }; /* of whole groups of three: only the last has padding */
    unsigned char *text = malloc(STEP_BYTES / 3 * 4 + 1);
    if (!text) {
        return false;
    }
    fprintf(out, "data:%s;base64,", type);
    const unsigned char *at = bytes;
    while (size_bytes > 0) {
        size_t step = size_bytes < STEP_BYTES ? size_bytes : STEP_BYTES;
        int length = EVP_EncodeBlock(text, at, (int)step);
        fwrite(text, 1, (size_t)length, out);
        at += step;
        size_bytes -= step;
    }
    free(text);
    return true;
}
