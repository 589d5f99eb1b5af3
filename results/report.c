#include "results/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "results/beside.h"
#include "results/gnuplot.h"
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

bool report_write(const struct record *record, const char *folder, const char *scripts_folder,
                  struct results_error *error) {
    if (!make_folder(folder[0] ? folder : ".", error) || !pictures_write(record, folder[0] ? folder : ".", error)) {
        return false;
    }
    for (int id = 0; id < PLOT_COUNT; id++) {
        struct plot *plot = plot_create(record, (enum plot_id)id);
        bool done = plot || results_fail(error, "%s: out of memory", folder);
        done = done && gnuplot_draw(plot, record, folder[0] ? folder : ".", scripts_folder, error);
        plot_free(plot);
        if (!done) {
            return false;
        }
    }
    return true;
}
