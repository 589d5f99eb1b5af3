/* The width of texts. Drawings are shown with fonts that are not known here, so it is a cautious estimate. */
#include <string.h>

#include "results/plot_layout.h"

/* In units of the font's size, of DejaVu Sans, which is wider than most. */
static double character_width(const char *at) {
    unsigned char byte = (unsigned char)*at;
    if (byte >= 0xE1) { /* U+1000 and above: East Asian and pictures are as wide as high */
        return 1.05;
    }
    if (byte >= 0x80) {
        return 0.68;
    }
    if (strchr(" .,:;'|!()[]/ijlIftr-", byte)) {
        return 0.40;
    }
    return strchr("mwMW@%", byte) ? 1.0 : byte >= 'A' && byte <= 'Z' ? 0.74 : 0.635;
}

static bool continues_character(char byte) {
    return ((unsigned char)byte & 0xC0) == 0x80;
}

double plot_text_pixels(const char *text, size_t length_bytes, int size) {
    double width = 0;
    for (size_t i = 0; i < length_bytes && text[i]; i++) {
        width += continues_character(text[i]) ? 0 : character_width(text + i) * size;
    }
    return width;
}

size_t plot_text_fit(const char *text, int size, double pixels) {
    size_t length = 0, after_space = 0;
    double width = 0;
    while (text[length]) {
        width += character_width(text + length) * size;
        if (width > pixels && length > 0) {
            return after_space > 0 ? after_space : length;
        }
        bool space = text[length] == ' ';
        length++;
        while (continues_character(text[length])) {
            length++;
        }
        after_space = space ? length : after_space;
    }
    return length;
}
