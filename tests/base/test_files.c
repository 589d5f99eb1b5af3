#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"

/* A fresh folder a test, its working folder; removed when the test ends. */
static char folder[64];

static void enter_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/vaemark-files-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void leave_folder(void) {
    char command[128];

    cr_assert_eq(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(files, .init = enter_folder, .fini = leave_folder);

static size_t entries(void) {
    DIR *stream = opendir(".");
    size_t count = 0;

    while (readdir(stream) != NULL) {
        count++;
    }
    closedir(stream);
    return count - 2;
}

static void write_whole(const char *path, const char *text) {
    struct atomic_file file;
    struct error error;

    cr_assert_eq(atomic_file_open(&file, path, &error), VAEMARK_OK, "%s", error.message);
    fputs(text, file.stream);
    cr_assert_eq(atomic_file_commit(&file, &error), VAEMARK_OK, "%s", error.message);
}

Test(files, reads_whole_files_of_any_kind) {
    char *text;
    size_t size_bytes;
    struct error error;
    char *large = malloc(300001);

    memset(large, 'x', 300000);
    large[300000] = '\0';
    write_whole("large", large);
    cr_assert_eq(file_read("large", 300000, &text, &size_bytes, &error), VAEMARK_OK);
    cr_expect(size_bytes == 300000 && strcmp(text, large) == 0);
    free(text);
    free(large);
    cr_assert_eq(file_read("large", 299999, &text, &size_bytes, &error), VAEMARK_BAD_INPUT);
    cr_expect_null(text);
    cr_expect_str_eq(error.where, "large");
    write_whole("empty", "");
    cr_assert_eq(file_read("empty", 10, &text, NULL, &error), VAEMARK_OK);
    cr_expect_str_eq(text, "");
    free(text);
    /* says it has 0 bytes, and has more */
    cr_assert_eq(file_read("/proc/self/status", 1 << 20, &text, &size_bytes, &error), VAEMARK_OK);
    cr_expect_gt(size_bytes, 100);
    free(text);
    cr_expect_eq(file_read("missing", 10, &text, NULL, &error), VAEMARK_IO_ERROR);
    cr_expect(strstr(error.message, "No such file") != NULL);
    cr_expect_eq(file_read(".", 10, &text, NULL, &error), VAEMARK_IO_ERROR);
}

/* Until the commit the old file stands, whole; afterwards the new one; and nothing lies beside it. */
Test(files, replaces_a_file_at_once) {
    struct atomic_file file;
    struct error error;
    struct stat facts;
    char *text;

    write_whole("a.txt", "old");
    cr_assert_eq(atomic_file_open(&file, "a.txt", &error), VAEMARK_OK);
    fputs("new and longer", file.stream);
    fflush(file.stream);
    cr_assert_eq(file_read("a.txt", 100, &text, NULL, &error), VAEMARK_OK);
    cr_expect_str_eq(text, "old");
    free(text);
    cr_assert_eq(atomic_file_commit(&file, &error), VAEMARK_OK);
    cr_assert_eq(file_read("a.txt", 100, &text, NULL, &error), VAEMARK_OK);
    cr_expect_str_eq(text, "new and longer");
    free(text);
    cr_expect_eq(entries(), 1);
    cr_assert_eq(stat("a.txt", &facts), 0);
    const mode_t mask = umask(0);
    umask(mask);
    cr_expect_eq(facts.st_mode & 0777, 0666 & ~mask, "readable as any file that the user makes");
}

Test(files, abandons_without_a_trace) {
    struct atomic_file file;
    struct error error;

    cr_assert_eq(atomic_file_open(&file, "a.txt", &error), VAEMARK_OK);
    fputs("half", file.stream);
    atomic_file_abandon(&file);
    cr_expect_eq(entries(), 0);
    cr_expect_eq(atomic_file_commit(&file, &error), VAEMARK_INVALID_ARGUMENT);
    atomic_file_abandon(&file); /* twice is fine */
}

/* kill -9 in the middle of writing: where the file system has files without a name, as this one, nothing is left. */
Test(files, a_kill_leaves_nothing) {
    pid_t child = fork();

    if (child == 0) {
        struct atomic_file file;
        if (atomic_file_open(&file, "a.txt", NULL) == VAEMARK_OK) {
            fputs("half", file.stream);
            fflush(file.stream);
            kill(getpid(), SIGKILL);
        }
        _exit(1);
    }
    int how;
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_assert(WIFSIGNALED(how));
    const int nameless = open(".", O_TMPFILE | O_WRONLY, 0666);
    cr_expect_eq(entries(), nameless >= 0 ? 0 : 1);
    close(nameless);
}

/* A write beyond what is allowed: the commit knows why, although the write was long ago. */
Test(files, tells_why_an_earlier_write_failed) {
    struct atomic_file file;
    struct error error;
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(atomic_file_open(&file, "a.txt", &error), VAEMARK_OK);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 10000, .rlim_max = limit.rlim_max});
    for (int i = 0; i < 20000; i++) {
        fputc('x', file.stream);
    }
    cr_expect_eq(atomic_file_commit(&file, &error), VAEMARK_IO_ERROR);
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_expect(strstr(error.message, "File too large") != NULL, "%s", error.message);
    cr_expect_eq(entries(), 0);
}

/* A full disk: the commit fails with the reason, the old file stands, nothing is left. */
Test(files, keeps_the_old_file_when_the_disk_is_full) {
    struct atomic_file file;
    struct error error;
    char *text;

    write_whole("a.txt", "old");
    cr_assert_eq(atomic_file_open(&file, "a.txt", &error), VAEMARK_OK);
    fclose(file.stream);
    file.stream = fopen("/dev/full", "w");
    cr_assert_not_null(file.stream);
    fputs("new", file.stream);
    cr_expect_eq(atomic_file_commit(&file, &error), VAEMARK_IO_ERROR);
    cr_expect(strstr(error.message, "No space left") != NULL, "%s", error.message);
    cr_expect_str_eq(error.where, "a.txt");
    cr_assert_eq(file_read("a.txt", 100, &text, NULL, &error), VAEMARK_OK);
    cr_expect_str_eq(text, "old");
    free(text);
    cr_expect_eq(entries(), 1);
}

/* A write that failed long before the commit, when the disk had room again. */
Test(files, remembers_an_earlier_write_error) {
    struct atomic_file file;
    struct error error;

    write_whole("a.txt", "old");
    cr_assert_eq(atomic_file_open(&file, "a.txt", &error), VAEMARK_OK);
    fclose(file.stream);
    file.stream = fopen("a.txt", "r"); /* takes no writes, flushes and syncs well */
    cr_assert_not_null(file.stream);
    cr_assert(fputs("new", file.stream) == EOF);
    cr_expect_eq(atomic_file_commit(&file, &error), VAEMARK_IO_ERROR);
    cr_expect_eq(entries(), 1);
}

Test(files, says_where_it_cannot_write) {
    struct atomic_file file;
    struct error error;

    cr_expect_eq(atomic_file_open(&file, "no/such/folder/a.txt", &error), VAEMARK_IO_ERROR);
    cr_expect_str_eq(error.where, "no/such/folder/a.txt");
    atomic_file_abandon(&file);
}

/* As root, a rename would even put a file in the place of /dev/null. */
Test(files, replaces_nothing_but_files) {
    struct atomic_file file;
    struct error error;
    struct stat facts;

    cr_assert_eq(mkfifo("pipe", 0666), 0);
    cr_assert_eq(mkdir("sub", 0777), 0);
    cr_expect_eq(atomic_file_open(&file, "pipe", &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect(strstr(error.message, "pipe") != NULL, "%s", error.message);
    atomic_file_abandon(&file);
    cr_expect_eq(atomic_file_open(&file, "sub", &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(atomic_file_open(&file, "/dev/null", &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect(stat("pipe", &facts) == 0 && S_ISFIFO(facts.st_mode));
}

Test(files, knows_one_file_by_two_names) {
    write_whole("there", "x");
    cr_assert_eq(symlink("there", "link"), 0);
    cr_assert_eq(mkdir("sub", 0777), 0);
    cr_expect(path_is_same("there", "./there") && path_is_same("there", "link") &&
              path_is_same("there", "sub/../there"));
    cr_expect(path_is_same("not-yet", "./not-yet") && path_is_same("no/folder/x", "no/folder/x"));
    cr_expect(!path_is_same("not-yet", "sub/not-yet") && !path_is_same("not-yet", "there"));
}

Test(files, makes_folders_with_their_parents) {
    struct error error;
    struct stat facts;

    cr_expect_eq(folder_make("a/b//c/", &error), VAEMARK_OK);
    cr_expect(stat("a/b/c", &facts) == 0 && S_ISDIR(facts.st_mode));
    cr_expect_eq(folder_make("a/b", &error), VAEMARK_OK, "again");
    cr_expect_eq(folder_make("/", &error), VAEMARK_OK);
    write_whole("a/file", "");
    cr_expect_eq(folder_make("a/file/x", &error), VAEMARK_IO_ERROR);
    cr_expect(strstr(error.message, "a/file") != NULL, "%s", error.message);
}

Test(files, joins_paths) {
    static const char *const trials[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}, {"a", "/b", "/b"}};

    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        char *path = path_join(trials[i][0], trials[i][1]);
        cr_expect_str_eq(path, trials[i][2]);
        free(path);
    }
}

Test(files, finds_the_cache_by_its_variables) {
    struct error error;
    struct stat facts;
    char *path;
    char *own = path_join(folder, "own/cache"), *xdg = path_join(folder, "xdg"), *home = path_join(folder, "home");

    setenv("VAEMARK_CACHE", own, 1);
    setenv("XDG_CACHE_HOME", xdg, 1);
    setenv("HOME", home, 1);
    cr_assert_eq(cache_folder(&path, &error), VAEMARK_OK);
    cr_expect_str_eq(path, own);
    cr_expect(stat(path, &facts) == 0 && S_ISDIR(facts.st_mode), "it is made");
    free(path);
    unsetenv("VAEMARK_CACHE");
    cr_assert_eq(cache_folder(&path, &error), VAEMARK_OK);
    cr_expect(strstr(path, "/xdg/vaemark") != NULL);
    free(path);
    setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, says the XDG specification */
    cr_assert_eq(cache_folder(&path, &error), VAEMARK_OK);
    cr_expect(strstr(path, "/home/.cache/vaemark") != NULL);
    free(path);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    cr_expect_eq(cache_folder(&path, &error), VAEMARK_IO_ERROR);
    free(own);
    free(xdg);
    free(home);
}

Test(files, finds_the_data) {
    struct error error;
    char *path;

    setenv("VAEMARK_DATA", folder, 1);
    cr_assert_eq(data_folder(&path, &error), VAEMARK_OK);
    cr_expect_str_eq(path, folder);
    free(path);
    setenv("VAEMARK_DATA", "/no/such/folder", 1);
    cr_expect_eq(data_folder(&path, &error), VAEMARK_IO_ERROR);
    cr_expect(strstr(error.message, "VAEMARK_DATA") != NULL);
    unsetenv("VAEMARK_DATA");
    cr_assert_eq(data_folder(&path, &error), VAEMARK_OK, "the tree that was configured");
    free(path);
    path = own_binary_path();
    cr_assert_not_null(path);
    cr_expect(strstr(path, "test_base_files") != NULL);
    free(path);
}
