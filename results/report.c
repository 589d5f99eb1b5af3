#include "results/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "results/beside.h"
#include "results/combined.h"
#include "results/gnuplot.h"
#include "results/page.h"
#include "results/picture.h"

static bool make_folder(const char *path, struct results_error *error) {
    char *copy = strdup(path);
    bool done = copy != NULL;
    for (char *slash = copy; done && (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        done = mkdir(copy, 0777) == 0 || errno == EEXIST;
        *slash = '/';
    }
    done = done && (mkdir(copy, 0777) == 0 || errno == EEXIST);
    struct stat status;
    if (done && (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))) {
        errno = ENOTDIR;
        done = false;
    }
    if (!done) {
        results_fail(error, "%s: this folder cannot be made: %s; give another --out", path,
                     copy ? strerror(errno) : "out of memory");
    }
    free(copy);
    return done;
}

/* The page comes last: it holds the plots. */
static bool write_all(const struct report_run *runs, size_t run_count, const struct record *all, const char *folder,
                      const char *scripts_folder, struct results_error *error) {
    struct results_error reason = {""};
    if (!make_folder(folder, error) || !pictures_write(all, folder, error)) {
        return false;
    }
    bool drawn = gnuplot_draw_all(all, folder, scripts_folder, &reason);
    if (!page_write(runs, run_count, all, folder, drawn ? "" : reason.message, error)) {
        return false;
    }
    return drawn || results_fail(error, "%s", reason.message);
}

static struct record *combine(const struct report_run *runs, size_t run_count) {
    const struct record **records = calloc(run_count, sizeof *records);
    const char **labels = calloc(run_count, sizeof *labels);
    struct record *combined = NULL;
    for (size_t i = 0; records && labels && i < run_count; i++) {
        records[i] = runs[i].record;
        labels[i] = runs[i].label;
    }
    if (records && labels) {
        combined = combined_create(records, labels, run_count);
    }
    free((void *)records);
    free((void *)labels);
    return combined;
}

bool report_write_runs(const struct report_run *runs, size_t run_count, const char *folder, const char *scripts_folder,
                       struct results_error *error) {
    folder = folder[0] ? folder : ".";
    if (run_count == 1) {
        return write_all(runs, 1, runs->record, folder, scripts_folder, error);
    }
    struct record *combined = combine(runs, run_count);
    bool done = combined || results_fail(error, "%s: the runs do not fit into memory together", folder);
    done = done && write_all(runs, run_count, combined, folder, scripts_folder, error);
    record_free(combined);
    return done;
}

bool report_write(const struct record *record, const char *folder, const char *scripts_folder,
                  struct results_error *error) {
    return report_write_runs(&(struct report_run){"run", "", record}, 1, folder, scripts_folder, error);
}
