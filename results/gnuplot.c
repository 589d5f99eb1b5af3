#include "results/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results/beside.h"
#include "results/plot_layout.h"
#include "results/plot_svg.h"

enum { SAID_BYTES = 512 };

/* Starts gnuplot with its standard error on `said`; returns an errno value. */
static int spawn_gnuplot(pid_t *child, const char *job, int said) {
    char name[] = "gnuplot", plain[] = "--default-settings";
    char *arguments[] = {name, plain, (char *)job, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    /* What this process ignores or blocks (SIGPIPE) is no business of gnuplot. */
    sigset_t pipe_signal = none;
    sigaddset(&pipe_signal, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int number = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    number = number ? number : posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    number = number ? number : posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
    number = number ? number : posix_spawnp(child, name, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return number;
}

/* Keeps the start of what is said and reads the rest, so that gnuplot never waits for us. On one line. */
static void read_said(int descriptor, char said[SAID_BYTES]) {
    size_t length = 0;
    for (;;) {
        char block[256];
        ssize_t count = read(descriptor, block, sizeof block);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            break;
        }
        for (ssize_t i = 0; i < count && length + 1 < SAID_BYTES; i++) {
            bool space = (unsigned char)block[i] <= ' ';
            if (!space || (length > 0 && said[length - 1] != ' ')) {
                said[length++] = space ? ' ' : block[i];
            }
        }
    }
    said[length] = '\0';
}

/* ---- The five drawings of a plot ---- */

static const struct drawing {
    const char *suffix, *format;
    enum plot_shape shape;
    bool dark;
} drawings[] = {
    {".svg", "svg", PLOT_WIDE, false},          {"-dark.svg", "svg", PLOT_WIDE, true},
    {"-narrow.svg", "svg", PLOT_NARROW, false}, {"-narrow-dark.svg", "svg", PLOT_NARROW, true},
    {".png", "png", PLOT_WIDE_TITLED, false},
};
enum { DRAWING_COUNT = sizeof drawings / sizeof drawings[0] };

/* One gnuplot that draws one plot, in all its drawings. */
struct job {
    enum plot_id id;
    bool has_data;
    char *path;                     /* of what gnuplot reads */
    char *temporary[DRAWING_COUNT]; /* what it draws, before they are renamed */
    pid_t process;
    int said; /* its standard error, -1 where there is no process */
};

static char *drawing_path(const char *folder, enum plot_id id, size_t drawing) {
    char *path = NULL;
    return asprintf(&path, "%s/%s%s", folder, plots[id].name, drawings[drawing].suffix) < 0 ? NULL : path;
}

/* "latency_narrow_dark": what the ids of a drawing begin with. gnuplot takes no '-'. */
static void name_drawing(char name[64], enum plot_id id, size_t drawing) {
    snprintf(name, 64, "%s%s", plots[id].name, drawings[drawing].suffix);
    for (char *at = name; *at; at++) {
        *at = *at == '-' ? '_' : *at == '.' ? '\0' : *at;
        if (!*at) {
            break;
        }
    }
}

static void print_load(FILE *out, const char *scripts_folder, const char *script) {
    fprintf(out, "load ");
    plot_print_quoted(out, scripts_folder);
    fprintf(out, ".'/%s'\n", script);
}

static bool print_drawing(FILE *out, const struct job *job, const struct plot *plot, const struct record *record,
                          size_t drawing, const char *scripts_folder) {
    char name[64];
    struct plot_layout *layout = plot_layout_create(plot, record, drawings[drawing].shape);
    if (!layout) {
        return false;
    }
    name_drawing(name, job->id, drawing);
    fprintf(out, "reset\nformat='%s'\ndark=%d\nid='%s'\nout=", drawings[drawing].format, drawings[drawing].dark, name);
    plot_print_quoted(out, job->temporary[drawing]);
    fputc('\n', out);
    plot_print_layout(out, layout);
    print_load(out, scripts_folder, "common.gp");
    print_load(out, scripts_folder, plot->panel_count > 0 ? "panels.gp" : "plot.gp");
    plot_layout_free(layout);
    return true;
}

/* What gnuplot is to read, as a file that is gone afterwards. */
static bool write_job(struct job *job, const struct plot *plot, const struct record *record, const char *folder,
                      const char *scripts_folder, struct results_error *error) {
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&text, &size_bytes);
    bool done = stream && asprintf(&job->path, "%s/.%s.%ld.gp", folder, plots[job->id].name, (long)getpid()) > 0;
    job->path = done ? job->path : NULL;
    for (size_t i = 0; done && i < DRAWING_COUNT; i++) {
        char *path = drawing_path(folder, job->id, i);
        job->temporary[i] = path ? beside_name(path) : NULL;
        done = job->temporary[i] && print_drawing(stream, job, plot, record, i, scripts_folder);
        free(path);
    }
    done = stream && !ferror(stream) && done;
    done = (stream ? fclose(stream) == 0 : false) && done;
    done = done || results_fail(error, "%s: out of memory", folder);
    done = done && beside_write(job->path, &(struct piece){text, size_bytes}, 1, error);
    free(text);
    return done;
}

/* ---- Processes ---- */

static bool start_job(struct job *job, struct results_error *error) {
    int said_pipe[2];
    if (pipe2(said_pipe, O_CLOEXEC) != 0) {
        return results_fail(error, "gnuplot cannot be started: %s", strerror(errno));
    }
    int number = spawn_gnuplot(&job->process, job->path, said_pipe[1]);
    close(said_pipe[1]);
    if (number == 0) {
        job->said = said_pipe[0];
        return true;
    }
    close(said_pipe[0]);
    if (number == ENOENT) {
        return results_fail(error,
                            "gnuplot is not installed, so no plots were drawn; install it (Debian: apt-get install "
                            "gnuplot-nox fonts-dejavu-core) and repeat 'vaemark report'");
    }
    return results_fail(error, "gnuplot cannot be started: %s", strerror(number));
}

static bool end_job(struct job *job, struct results_error *error) {
    char said[SAID_BYTES] = "";
    int status = 0;
    read_said(job->said, said);
    close(job->said);
    job->said = -1;
    while (waitpid(job->process, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return results_fail(error, "gnuplot failed on plot %s: %s", plots[job->id].name,
                            said[0] ? said : "it did not say why");
    }
    return true;
}

/* ---- After drawing ---- */

static char *read_text(const char *path) {
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *file = fopen(path, "rbe");
    FILE *copy = file ? open_memstream(&text, &size_bytes) : NULL;
    char block[4096];
    for (size_t got; copy && (got = fread(block, 1, sizeof block, file)) > 0;) {
        fwrite(block, 1, got, copy);
    }
    bool done = copy && !ferror(file) && !ferror(copy);
    done = copy ? fclose(copy) == 0 && done : false;
    if (file) {
        fclose(file);
    }
    if (!done) {
        free(text);
        return NULL;
    }
    return text;
}

/* gnuplot may leave with 0 and nothing drawn. */
static bool is_drawn(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && status.st_size > 0;
}

static bool commit_drawing(struct job *job, size_t drawing, const char *path, struct results_error *error) {
    const char *temporary = job->temporary[drawing];
    if (!is_drawn(temporary)) {
        return results_fail(error, "%s: gnuplot drew nothing", path);
    }
    if (strcmp(drawings[drawing].format, "svg") != 0) {
        return beside_commit(temporary, path, error);
    }
    char name[64];
    name_drawing(name, job->id, drawing);
    char *svg = read_text(temporary);
    char *tidy = svg ? plot_tidy_svg(svg, name, &plots[job->id]) : NULL;
    bool done = tidy ? beside_write(path, &(struct piece){tidy, strlen(tidy)}, 1, error)
                     : results_fail(error, "%s: out of memory", path);
    free(tidy);
    free(svg);
    return done;
}

static bool commit_job(struct job *job, const char *folder, struct results_error *error) {
    bool done = true;
    for (size_t i = 0; done && i < DRAWING_COUNT; i++) {
        char *path = drawing_path(folder, job->id, i);
        done = path ? commit_drawing(job, i, path, error) : results_fail(error, "%s: out of memory", folder);
        free(path);
    }
    return done;
}

static void clean_job(struct job *job) {
    if (job->path) {
        unlink(job->path);
    }
    for (size_t i = 0; i < DRAWING_COUNT; i++) {
        if (job->temporary[i]) {
            unlink(job->temporary[i]);
        }
        free(job->temporary[i]);
    }
    free(job->path);
}

/* A plot of an older run must not be taken for this one's. */
static void remove_drawings(const char *folder, enum plot_id id) {
    for (size_t i = 0; i < DRAWING_COUNT; i++) {
        char *path = drawing_path(folder, id, i);
        if (path) {
            unlink(path);
        }
        free(path);
    }
}

static bool prepare_job(struct job *job, const struct record *record, const char *folder, const char *scripts_folder,
                        struct results_error *error) {
    struct plot *plot = plot_create(record, job->id);
    bool done = plot || results_fail(error, "%s: out of memory", folder);
    job->has_data = plot && !plot_is_empty(plot);
    if (done && !job->has_data) {
        remove_drawings(folder, job->id);
    }
    if (done && job->has_data) {
        done = write_job(job, plot, record, folder, scripts_folder, error) && start_job(job, error);
    }
    plot_free(plot);
    return done;
}

static bool find_script(const char *scripts_folder, struct results_error *error) {
    char *script = NULL;
    bool done = asprintf(&script, "%s/plot.gp", scripts_folder) > 0;
    if (!done) {
        return results_fail(error, "%s: out of memory", scripts_folder);
    }
    done = access(script, R_OK) == 0 ||
           results_fail(error, "%s: %s; set VAEMARK_DATA to the folder that holds scripts/gnuplot", script,
                        strerror(errno));
    free(script);
    return done;
}

bool gnuplot_draw_all(const struct record *record, const char *folder, const char *scripts_folder,
                      struct results_error *error) {
    struct job jobs[PLOT_COUNT];
    bool done = find_script(scripts_folder, error);
    for (int id = 0; id < PLOT_COUNT; id++) {
        jobs[id] = (struct job){.id = (enum plot_id)id, .said = -1};
    }
    for (int id = 0; done && id < PLOT_COUNT; id++) { /* all at once */
        done = prepare_job(&jobs[id], record, folder, scripts_folder, error);
    }
    for (int id = 0; id < PLOT_COUNT; id++) {
        if (jobs[id].said >= 0) {
            done = end_job(&jobs[id], done ? error : NULL) && done;
        }
    }
    for (int id = 0; id < PLOT_COUNT; id++) {
        done = done && (!jobs[id].has_data || commit_job(&jobs[id], folder, error));
        clean_job(&jobs[id]);
    }
    return done;
}
