/* Runs the tests that registered themselves, or those of the suites that are named. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct minimal_test *first, **last = &first;
static bool failed; /* the test of this process */

void minimal_register(struct minimal_test *test) {
    *last = test;
    last = &test->next;
}

void minimal_check(bool holds, bool fatal, const char *file, int line, const char *condition, const char *format, ...) {
    if (holds) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    printf("%s:%d: not so: %s;", file, line, condition);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    failed = true;
    if (fatal) {
        fflush(NULL);
        _exit(1);
    }
}

static bool is_wanted(const struct minimal_test *test, int count, char **suites) {
    bool wanted = count == 0;
    for (int i = 0; i < count; i++) {
        wanted = wanted || strcmp(suites[i], test->suite) == 0;
    }
    return wanted;
}

static bool passes(const struct minimal_test *test) {
    int status = -1;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        test->run();
        fflush(NULL);
        _exit(failed ? 1 : 0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char **argv) {
    int passed = 0, lost = 0;
    for (const struct minimal_test *test = first; test != NULL; test = test->next) {
        if (is_wanted(test, argc - 1, argv + 1)) {
            const time_t start = time(NULL);
            const bool good = passes(test);
            printf("%s %s::%s (%d s)\n", good ? "passed" : "FAILED", test->suite, test->name,
                   (int)(time(NULL) - start));
            passed += good;
            lost += !good;
        }
    }
    printf("%d passed, %d failed\n", passed, lost);
    return passed > 0 && lost == 0 ? 0 : 1;
}
