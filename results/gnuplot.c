#include "results/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results/beside.h"

enum { SAID_BYTES = 512 };

/* Starts gnuplot with its standard error on `said`; returns an errno value. */
static int spawn_gnuplot(pid_t *child, char *settings, char *script, int said) {
    char name[] = "gnuplot", plain[] = "--default-settings", execute[] = "-e";
    char *arguments[] = {name, plain, execute, settings, script, NULL};
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

static bool run_gnuplot(char *settings, char *script, struct results_error *error) {
    int said_pipe[2];
    if (pipe2(said_pipe, O_CLOEXEC) != 0) {
        return results_fail(error, "gnuplot cannot be started: %s", strerror(errno));
    }
    pid_t child;
    char said[SAID_BYTES] = "";
    int number = spawn_gnuplot(&child, settings, script, said_pipe[1]);
    close(said_pipe[1]);
    if (number == 0) {
        read_said(said_pipe[0], said);
    }
    close(said_pipe[0]);
    if (number == ENOENT) {
        return results_fail(error,
                            "gnuplot is not installed, so no plots were drawn; install it (Debian: apt-get install "
                            "gnuplot-nox fonts-dejavu-core) and repeat 'vaemark report'");
    }
    if (number != 0) {
        return results_fail(error, "gnuplot cannot be started: %s", strerror(number));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return results_fail(error, "gnuplot failed on %s: %s", script, said[0] ? said : "it did not say why");
    }
    return true;
}

static char *make_settings(const struct plot *plot, const struct record *record, const char *format, const char *data,
                           const char *out, const char *scripts_folder) {
    char *settings = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&settings, &size_bytes);
    if (!stream) {
        return NULL;
    }
    plot_print_settings(stream, plot, record);
    fprintf(stream, "; format='%s'; scripts=", format);
    plot_print_quoted(stream, scripts_folder);
    fprintf(stream, "; data=");
    plot_print_quoted(stream, data);
    fprintf(stream, "; out=");
    plot_print_quoted(stream, out);
    bool done = !ferror(stream);
    if (fclose(stream) != 0 || !done) {
        free(settings);
        return NULL;
    }
    return settings;
}

/* gnuplot may leave with 0 and nothing drawn. */
static bool is_drawn(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && status.st_size > 0;
}

static bool draw_format(const struct plot *plot, const struct record *record, const char *format, const char *data,
                        const char *folder, const char *scripts_folder, struct results_error *error) {
    char *path = NULL, *script = NULL;
    const char *name = plot_name(plot->id);
    if (asprintf(&path, "%s/%s.%s", folder, name, format) < 0) {
        path = NULL;
    }
    if (asprintf(&script, "%s/%s.gp", scripts_folder, name) < 0) {
        script = NULL;
    }
    char *temporary = path ? beside_name(path) : NULL;
    char *settings = temporary ? make_settings(plot, record, format, data, temporary, scripts_folder) : NULL;
    bool done = (settings && script) || results_fail(error, "%s: out of memory", folder);
    if (done && access(script, R_OK) != 0) {
        done = results_fail(error, "%s: %s; set VAEMARK_DATA to the folder that holds scripts/gnuplot", script,
                            strerror(errno));
    }
    done = done && run_gnuplot(settings, script, error);
    done = done && (is_drawn(temporary) || results_fail(error, "%s: gnuplot drew nothing", path));
    done = done && beside_commit(temporary, path, error);
    if (!done && temporary) {
        unlink(temporary);
    }
    free(settings);
    free(temporary);
    free(script);
    free(path);
    return done;
}

/* The data as a file that is gone afterwards; the caller frees its name. */
static char *write_data(const struct plot *plot, const char *folder, struct results_error *error) {
    char *path = NULL;
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&text, &size_bytes);
    if (!stream || asprintf(&path, "%s/.%s.%ld.tsv", folder, plot_name(plot->id), (long)getpid()) < 0) {
        path = NULL;
    }
    if (stream) {
        plot_print_data(stream, plot);
        fclose(stream);
    }
    if (!path || !text) {
        results_fail(error, "%s: out of memory", folder);
    } else if (beside_write(path, &(struct piece){text, size_bytes}, 1, error)) {
        free(text);
        return path;
    }
    free(text);
    free(path);
    return NULL;
}

bool gnuplot_draw(const struct plot *plot, const struct record *record, const char *folder, const char *scripts_folder,
                  struct results_error *error) {
    char *data = write_data(plot, folder, error);
    bool done = data && draw_format(plot, record, "png", data, folder, scripts_folder, error) &&
                draw_format(plot, record, "svg", data, folder, scripts_folder, error);
    if (data) {
        unlink(data);
    }
    free(data);
    return done;
}
