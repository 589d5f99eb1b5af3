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
#include <sys/wait.h>
#include <unistd.h>

#include "harness/worker/descendants.h"
#include "harness/worker/wire.h"

static void report(enum keeper_event event, pid_t pid, int detail, long rss_peak_kib) {
    struct keeper_report packet = {.event = event, .pid = pid, .detail = detail, .rss_peak_kib = (int32_t)rss_peak_kib};
    /* If nobody is left to tell, the leash says so to the loop. */
    (void)!send(KEEPER_LEASH_FD, &packet, sizeof packet, MSG_NOSIGNAL);
}

/* In the child. Only async-signal-safe calls. */
static void become_worker(char **command, pid_t keeper, const sigset_t *mask, int failure_fd) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper)
        _exit(127);
    setpgid(0, 0);
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

/* Until the worker ends, the leash is dropped, or somebody asks us to go. */
static void keep(pid_t worker, int signal_fd) {
    struct pollfd polled[2] = {{.fd = KEEPER_LEASH_FD, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
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

int keeper_run(char **command) {
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
    /* Held open here, the socket would never show the harness that its worker is gone. */
    close(KEEPER_SOCKET_FD);
    close(KEEPER_SEGMENT_FD);
    if (failure != 0) {
        report(KEEPER_EXEC_FAILED, worker, failure, 0);
    } else {
        report(KEEPER_STARTED, worker, 0, 0);
        keep(worker, signal_fd);
    }
    descendants_end_all();
    return 0;
}
