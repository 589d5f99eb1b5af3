#include "harness/worker/resident.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/worker/descendants.h"

/* New processes are looked for so often; those known are looked at each time. */
static const int64_t LISTING_PERIOD_NS = (int64_t)100 * 1000000;

static size_t read_file(const char *path, char *text, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, capacity - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

/* "RssAnon:     112 kB" in bytes; false where the kernel has no such line. */
static bool field_bytes(const char *status, const char *name, uint64_t *bytes) {
    const char *line = strstr(status, name);
    *bytes = line ? strtoull(line + strlen(name), NULL, 10) * 1024 : 0;
    return line != NULL;
}

uint64_t resident_of(pid_t pid, size_t segment_size_bytes) {
    char path[64], status[8192];
    uint64_t anonymous, shared, swapped;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (read_file(path, status, sizeof status) == 0)
        return 0;
    field_bytes(status, "\nVmSwap:", &swapped);
    if (!field_bytes(status, "\nRssAnon:", &anonymous) || !field_bytes(status, "\nRssShmem:", &shared)) {
        field_bytes(status, "\nVmRSS:", &anonymous);
        shared = 0;
    }
    return anonymous + swapped + (shared > segment_size_bytes ? shared - segment_size_bytes : 0);
}

/* Appends the children of one thread; false where the kernel does not list them. */
static bool add_children(struct resident *resident, pid_t pid, const char *thread) {
    char path[96], text[8192], *rest = text;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", pid, thread);
    if (access(path, R_OK) != 0)
        return false;
    read_file(path, text, sizeof text);
    for (;;) {
        char *end = rest;
        long child = strtol(rest, &end, 10);
        if (end == rest || resident->count == RESIDENT_MAX_PROCESSES)
            return true;
        resident->pids[resident->count++] = (pid_t)child;
        rest = end;
    }
}

static bool add_children_of(struct resident *resident, pid_t pid) {
    char path[64];
    bool listed = false;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    for (struct dirent *thread; threads && (thread = readdir(threads));)
        if (thread->d_name[0] != '.')
            listed = add_children(resident, pid, thread->d_name) || listed;
    if (threads)
        closedir(threads);
    return listed;
}

static void list_processes(struct resident *resident) {
    resident->count = 0;
    if (!add_children_of(resident, getpid())) {
        resident->count = descendants_list(resident->pids, RESIDENT_MAX_PROCESSES);
        return;
    }
    for (size_t i = 0; i < resident->count; i++)
        (void)add_children_of(resident, resident->pids[i]);
}

uint64_t resident_below(struct resident *resident) {
    uint64_t sum = 0;
    int64_t now_ns = clock_monotonic_ns();
    if (resident->listed_ns == 0 || now_ns - resident->listed_ns >= LISTING_PERIOD_NS) {
        list_processes(resident);
        resident->listed_ns = now_ns;
    }
    for (size_t i = 0; i < resident->count; i++)
        sum += resident_of(resident->pids[i], resident->segment_size_bytes);
    return sum;
}
