/* What `run` and `show` write for CI beside the result file: JUnit XML and Markdown. */
#ifndef HARNESS_EXPORTS_H
#define HARNESS_EXPORTS_H

#include "base/error.h"
#include "harness/cli.h"
#include "results/record.h"

struct exports {
    const char *junit, *markdown; /* files, or "-" for standard output; NULL: not asked for */
};

/* To be spliced into a command's table of options. */
#define EXPORT_OPTIONS                                                                                      \
    {"junit", "FILE", "also as JUnit XML, one testcase a case; - is standard output"}, {                    \
        "markdown", "FILE", "also as Markdown, for a pull request or a job's summary; - is standard output" \
    }

/* Takes one of EXPORT_OPTIONS; false if it is another. */
bool exports_take(struct exports *exports, const char *option, const char *value);
/* What cannot be written is known before the work starts: folders are made, and files tried. `other`: a file that the
 * command writes itself, or NULL. */
enum vaemark_status exports_prepare(const struct exports *exports, const char *other, struct error *error);
/* Each file whole or not at all. Tries all, and returns the first error. */
enum vaemark_status exports_write(const struct exports *exports, const struct record *record, struct error *error);
/* A text to a file, whole or not at all, or to standard output ("-"). */
enum vaemark_status exports_write_text(const char *path, const char *text, size_t size_bytes, struct error *error);
/* Whether standard output is one of them: then the words for people go elsewhere. */
bool exports_take_stdout(const struct exports *exports);
/* Tries `path` as a file to be written: makes its folder, writes beside it and takes that away. */
enum vaemark_status exports_try_path(const char *path, struct error *error);

#endif
