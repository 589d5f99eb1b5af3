#include "results/plot_svg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What gnuplot writes outside of texts, and what stands there instead; % is the id. */
static const struct {
    const char *from, *to;
} replacements[] = {
    {" id='", " id='%-"},
    {" id=\"", " id=\"%-"},
    {"href='#", "href='#%-"},
    {"font-family=\"sans-serif:Bold\"", "font-family=\"sans-serif\" font-weight=\"bold\""},
};

struct line {
    const char *text;
    size_t length; /* with its end */
};

static struct line next_line(const char **at) {
    const char *end = strchr(*at, '\n');
    struct line line = {*at, end ? (size_t)(end - *at) + 1 : strlen(*at)};
    *at += line.length;
    return line;
}

static bool begins(const struct line *line, const char *start) {
    size_t blank = strspn(line->text, " \t");
    return blank < line->length && strncmp(line->text + blank, start, strlen(start)) == 0;
}

static void print_replaced(FILE *out, const struct line *line, const char *id) {
    for (const char *at = line->text; at < line->text + line->length;) {
        size_t i = 0, count = sizeof replacements / sizeof replacements[0];
        while (i < count && strncmp(at, replacements[i].from, strlen(replacements[i].from)) != 0) {
            i++;
        }
        if (i == count) {
            fputc(*at++, out);
            continue;
        }
        for (const char *to = replacements[i].to; *to; to++) {
            fputs(*to == '%' ? id : (const char[]){*to, '\0'}, out);
        }
        at += strlen(replacements[i].from);
    }
}

/* The group of all marks has a name that browsers would show as a hint. */
static void print_group(FILE *out, const struct line *line, const char *id) {
    const char *title = strstr(line->text, "<title>");
    struct line rest = *line;
    if (title && title < line->text + line->length) {
        rest.length = (size_t)(title - line->text);
        print_replaced(out, &rest, id);
        fputc('\n', out);
    } else {
        print_replaced(out, line, id);
    }
}

/* gnuplot escapes all but this, which XML must not hold. */
static void print_text(FILE *out, const struct line *line) {
    for (size_t i = 0; i < line->length; i++) {
        bool ends_section = line->text[i] == '>' && i >= 2 && strncmp(line->text + i - 2, "]]>", 3) == 0;
        fputs(ends_section ? "&gt;" : (const char[]){line->text[i], '\0'}, out);
    }
}

char *plot_tidy_svg(const char *svg, const char *id, const struct plot_text *text) {
    char *tidy = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&tidy, &size_bytes);
    if (!out) {
        return NULL;
    }
    bool in_filter = false;
    for (const char *at = svg; *at;) {
        struct line line = next_line(&at);
        in_filter |= begins(&line, "<filter");
        if (begins(&line, "<?xml") || in_filter) {
            in_filter &= !begins(&line, "</filter>");
        } else if (begins(&line, "<svg")) {
            fprintf(out, "<svg role=\"img\" aria-labelledby=\"%s-title %s-desc\"\n", id, id);
        } else if (begins(&line, "<title>")) {
            fprintf(out, "<title id=\"%s-title\">%s</title>\n", id, text->title);
        } else if (begins(&line, "<desc>")) {
            fprintf(out, "<desc id=\"%s-desc\">%s</desc>\n", id, text->alt);
        } else if (begins(&line, "<text>")) {
            print_text(out, &line);
        } else if (begins(&line, "<g fill=\"none\"") && strncmp(at, "</g>\n", 5) == 0) {
            at += 5; /* nothing in it */
        } else {
            print_group(out, &line, id);
        }
    }
    bool done = !ferror(out);
    if (fclose(out) != 0 || !done) {
        free(tidy);
        return NULL;
    }
    return tidy;
}
