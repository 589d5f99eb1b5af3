#include "harness/worker/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/worker/descendants.h"
#include "harness/worker/memory_limit.h"
#include "harness/worker/resident.h"
#include "harness/worker/wire.h"

struct memory_watch {
    struct resident resident;
    uint64_t limit_bytes;
};

static void send_report(struct keeper_report packet) {
    /* If nobody is left to tell, the leash says so to the loop. */
    (void)!send(KEEPER_LEASH_FD, &packet, sizeof packet, MSG_NOSIGNAL);
}

static void report(enum keeper_event event, pid_t pid, int detail, long rss_peak_kib) {
    send_report(
        (struct keeper_report){.event = event, .pid = pid, .detail = detail, .rss_peak_kib = (int32_t)rss_peak_kib});
}

/* Should the kernel run out of memory before we look, let it choose the worker, not the harness. */
static void volunteer_for_oom(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "800", 3);
        close(fd);
    }
}

/* In the child. Only async-signal-safe calls. */
static void become_worker(char **command, pid_t keeper, const sigset_t *mask, int failure_fd) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(127);
    setpgid(0, 0);
    volunteer_for_oom();
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(command[0], command);
    int failure = errno;
    (void)!write(failure_fd, &failure, sizeof failure);
    _exit(127);
}

/* Starts the worker; 0, or errno of what failed. */
static int start_worker(char **command, const sigset_t *mask, pid_t *pid) {
    int failure_fds[2], failure = 0;
    if (pipe2(failure_fds, O_CLOEXEC) != 0)
        return errno;
    pid_t keeper = getpid();
    *pid = fork();
    if (*pid == 0)
        become_worker(command, keeper, mask, failure_fds[1]);
    if (*pid < 0)
        failure = errno;
    close(failure_fds[1]);
    /* The end of the stream without a word is exec's success. */
    if (*pid > 0 && read(failure_fds[0], &failure, sizeof failure) != sizeof failure)
        failure = 0;
    close(failure_fds[0]);
    return failure;
}

/* Reaps what has ended; true once the worker itself has. */
static bool reap(pid_t worker) {
    bool ended = false;
    int status;
    struct rusage usage;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
        if (pid != worker)
            continue;
        report(KEEPER_EXITED, worker, status, usage.ru_maxrss);
        ended = true;
    }
    return ended;
}

/* Milliseconds until the next look, -1 for never; *over when the limit is broken, which is then reported. */
static int watch_memory(struct memory_watch *watch, bool *over) {
    enum { SHORTEST_MS = 10, LONGEST_MS = 100 };
    const uint64_t filled_per_ms = ((uint64_t)8 << 30) / 1000;
    if (watch->limit_bytes == MEMORY_LIMIT_NONE)
        return -1;
    uint64_t held_bytes = resident_below(&watch->resident);
    *over = held_bytes > watch->limit_bytes;
    if (*over) {
        send_report((struct keeper_report){.event = KEEPER_OVER_LIMIT, .resident_kib = (int64_t)(held_bytes / 1024)});
        return 0;
    }
    uint64_t left_ms = (watch->limit_bytes - held_bytes) / filled_per_ms;
    return left_ms < SHORTEST_MS ? SHORTEST_MS : left_ms > LONGEST_MS ? LONGEST_MS : (int)left_ms;
}

/* Until the worker ends, the leash is dropped, somebody asks us to go, or memory is over the limit. */
static void keep(pid_t worker, int signal_fd, struct memory_watch *watch) {
    struct pollfd polled[2] = {{.fd = KEEPER_LEASH_FD, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    for (;;) {
        bool over = false;
        int pause_ms = watch_memory(watch, &over);
        if (over || (poll(polled, 2, pause_ms) < 0 && errno != EINTR))
            return;
        if (polled[0].revents)
            return;
        struct signalfd_siginfo info;
        if (polled[1].revents && read(signal_fd, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
            return;
        if (reap(worker))
            return;
    }
}

int keeper_run(uint64_t memory_limit_bytes, char **command) {
    struct memory_watch watch = {.limit_bytes = memory_limit_bytes};
    struct stat segment;
    sigset_t caught, before;
    sigemptyset(&caught);
    sigaddset(&caught, SIGCHLD);
    sigaddset(&caught, SIGTERM);
    sigaddset(&caught, SIGINT);
    sigaddset(&caught, SIGHUP);
    sigaddset(&caught, SIGQUIT);
    sigprocmask(SIG_BLOCK, &caught, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* Whatever else the harness had open is not the worker's business. */
    close_range(KEEPER_FIRST_FREE_FD, ~0u, 0);
    int signal_fd = signalfd(-1, &caught, SFD_CLOEXEC);
    fcntl(KEEPER_LEASH_FD, F_SETFD, FD_CLOEXEC);
    unsetenv(WIRE_LEASH_VARIABLE);
    pid_t worker = -1;
    int failure = signal_fd < 0 ? errno : start_worker(command, &before, &worker);
    if (fstat(KEEPER_SEGMENT_FD, &segment) == 0)
        watch.resident.segment_size_bytes = (size_t)segment.st_size;
    /* Held open here, the socket would never show the harness that its worker is gone. */
    close(KEEPER_SOCKET_FD);
    close(KEEPER_SEGMENT_FD);
    if (failure != 0) {
        report(KEEPER_EXEC_FAILED, worker, failure, 0);
    } else {
        report(KEEPER_STARTED, worker, 0, 0);
        keep(worker, signal_fd, &watch);
    }
    descendants_end_all();
    return 0;
}
