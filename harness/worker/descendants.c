#include "harness/worker/descendants.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct process {
    pid_t pid, parent, session;
    bool marked;
};

struct process_list {
    struct process *items;
    size_t count, capacity;
};

/* Parent and session from /proc/PID/stat; the name in its parentheses may hold anything. */
static bool process_read(const char *pid, struct process *process) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    const char *behind_name = strrchr(text, ')');
    int parent, group, session;
    char state;
    if (!behind_name || sscanf(behind_name + 1, " %c %d %d %d", &state, &parent, &group, &session) != 4)
        return false;
    *process = (struct process){.pid = (pid_t)strtol(pid, NULL, 10), .parent = parent, .session = session};
    return true;
}

static bool list_append(struct process_list *list, const struct process *process) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        struct process *grown = realloc(list->items, capacity * sizeof *grown);
        if (!grown)
            return false;
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = *process;
    return true;
}

static void list_read(struct process_list *list) {
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        struct process process;
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !process_read(entry->d_name, &process))
            continue;
        if (!list_append(list, &process))
            break;
    }
    if (folder)
        closedir(folder);
}

static bool parent_is_marked(const struct process_list *list, pid_t parent) {
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].pid == parent)
            return list->items[i].marked;
    return false;
}

/* Marks spread from parents to children until nothing changes. */
static void mark_trees(struct process_list *list) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < list->count; i++) {
            struct process *process = &list->items[i];
            if (!process->marked && parent_is_marked(list, process->parent)) {
                process->marked = true;
                changed = true;
            }
        }
    }
}

static void kill_marked_trees(struct process_list *list) {
    mark_trees(list);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].marked)
            kill(list->items[i].pid, SIGKILL);
}

size_t descendants_list(pid_t *pids, size_t capacity) {
    struct process_list list = {.count = 0};
    size_t count = 0;
    list_read(&list);
    for (size_t i = 0; i < list.count; i++)
        list.items[i].marked = list.items[i].parent == getpid();
    mark_trees(&list);
    for (size_t i = 0; i < list.count && count < capacity; i++)
        if (list.items[i].marked)
            pids[count++] = list.items[i].pid;
    free(list.items);
    return count;
}

void descendants_end_all(void) {
    for (;;) {
        struct process_list list = {.count = 0};
        list_read(&list);
        for (size_t i = 0; i < list.count; i++)
            list.items[i].marked = list.items[i].parent == getpid();
        kill_marked_trees(&list);
        free(list.items);
        pid_t reaped;
        while ((reaped = waitpid(-1, NULL, WNOHANG)) > 0) {
        }
        if (reaped < 0 && errno == ECHILD)
            return;
        poll(NULL, 0, 2);
    }
}

void descendants_end_strays(bool (*is_known)(pid_t pid)) {
    for (int round = 0; round < 400; round++) {
        struct process_list list = {.count = 0};
        size_t strays = 0;
        list_read(&list);
        for (size_t i = 0; i < list.count; i++) {
            struct process *process = &list.items[i];
            process->marked = process->parent == getpid() && process->session != getsid(0) && !is_known(process->pid);
            strays += process->marked;
        }

        for (size_t i = 0; i < list.count; i++)
            if (list.items[i].marked && waitpid(list.items[i].pid, NULL, WNOHANG) == list.items[i].pid)
                list.items[i].marked = false;
        kill_marked_trees(&list);
        free(list.items);
        if (strays == 0)
            return;
        poll(NULL, 0, 5);
    }
}
