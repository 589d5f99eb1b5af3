#include "harness/worker/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "harness/system.h"
#include "harness/worker/descendants.h"
#include "harness/worker/keeper.h"
#include "harness/worker/wire.h"
#include "harness/worker/worker_internal.h"

/* The mutable globals: a signal handler has nothing else to go by. Keepers that live, 0 where a slot is free. */
enum { KEEPER_SLOTS = 64 };
static atomic_int keeper_pids[KEEPER_SLOTS];
static _Atomic(const char *) last_words;

static bool keepers_add(int pid) {
    for (size_t i = 0; i < KEEPER_SLOTS; i++) {
        int expected = 0;
        if (atomic_compare_exchange_strong(&keeper_pids[i], &expected, pid))
            return true;
    }
    return false;
}

static void keepers_remove(int pid) {
    for (size_t i = 0; i < KEEPER_SLOTS; i++) {
        int expected = pid;
        if (atomic_compare_exchange_strong(&keeper_pids[i], &expected, 0))
            return;
    }
}

static bool keepers_have(pid_t pid) {
    for (size_t i = 0; i < KEEPER_SLOTS; i++)
        if (atomic_load(&keeper_pids[i]) == pid)
            return true;
    return false;
}

/* True when the child has ended; it stays to be reaped. */
static bool child_ended(int pid) {
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

void worker_kill_all(void) {
    int saved_errno = errno;
    /* SIGTERM, not SIGKILL: the keeper is the one that finds and ends all that is below it. */
    for (size_t i = 0; i < KEEPER_SLOTS; i++) {
        int pid = atomic_load(&keeper_pids[i]);
        if (pid > 0)
            kill(pid, SIGTERM);
    }
    for (int round = 0; round < 400; round++) {
        bool living = false;
        for (size_t i = 0; i < KEEPER_SLOTS; i++) {
            int pid = atomic_load(&keeper_pids[i]);
            living = living || (pid > 0 && !child_ended(pid));
        }
        if (!living)
            break;
        poll(NULL, 0, 5);
    }
    errno = saved_errno;
}

static void end_by_signal(int signal_number) {
    (void)signal_number;
    static const char interrupted[] = "\nvaemark: interrupted; no result file was written\n";
    const char *text = atomic_load(&last_words);
    text = text ? text : interrupted;
    worker_kill_all();
    /* Whether anybody reads it makes no difference to what happens now. */
    (void)!write(STDERR_FILENO, text, strlen(text));
    _exit(130);
}

void worker_set_last_words(const char *text) {
    atomic_store(&last_words, text);
}

void worker_setup_process(void) {
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* Workers inherit it. A thread that spins at a barrier keeps the CPU from the one it waits for: on a machine that
     * is shared, decodes then take five to ten times as long (docs/performance.md). Who sets it otherwise is obeyed. */
    setenv("OMP_WAIT_POLICY", "passive", 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, as a full disk is */
    struct sigaction action = {.sa_handler = end_by_signal};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++) {
        struct sigaction before;
        /* nohup's SIGHUP stays ignored; a script's `vaemark run &`, which ignores SIGINT, can still be interrupted. */
        bool keep_ignoring =
            ending[i] == SIGHUP && sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
        if (!keep_ignoring)
            sigaction(ending[i], &action, NULL);
    }
}

/* The environment with the three descriptors in it; the strings of `added` are the caller's. */
static char **environment_make(char added[3][64]) {
    static const char *const names[] = {WIRE_SOCKET_VARIABLE "=", WIRE_SEGMENT_VARIABLE "=", WIRE_LEASH_VARIABLE "="};
    static const int fds[] = {KEEPER_SOCKET_FD, KEEPER_SEGMENT_FD, KEEPER_LEASH_FD};
    size_t count = 0, used = 0;
    while (environ[count])
        count++;
    char **list = calloc(count + 4, sizeof *list);
    for (size_t i = 0; list && i < count; i++) {
        bool ours = false;
        for (size_t j = 0; j < 3; j++)
            ours = ours || strncmp(environ[i], names[j], strlen(names[j])) == 0;
        if (!ours)
            list[used++] = environ[i];
    }
    for (size_t j = 0; list && j < 3; j++) {
        snprintf(added[j], 64, "%s%d", names[j], fds[j]);
        list[used++] = added[j];
    }
    return list;
}

/* "BINARY serve --keeper BYTES -- COMMAND"; borrows the strings. */
static char **keeper_command(char *binary, char *limit, char **command) {
    static char serve[] = "serve", keeper[] = "--keeper", dashes[] = "--";
    size_t count = 0;
    while (command[count])
        count++;
    char **list = calloc(count + 6, sizeof *list);
    if (!list)
        return NULL;
    list[0] = binary;
    list[1] = serve;
    list[2] = keeper;
    list[3] = limit;
    list[4] = dashes;
    memcpy(list + 5, command, count * sizeof *list);
    return list;
}

/* Starts `list` in a session of its own with the given descriptors as 0 (nothing), 1 and 2 (stderr), 3, 4, 5. All of
 * them must be above 5, so that no dup2() overwrites the source of the next. Returns errno. */
static int spawn(pid_t *pid, char **list, char **environment, const int fds[4]) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[3], 1);
    posix_spawn_file_actions_adddup2(&actions, fds[3], 2);
    posix_spawn_file_actions_adddup2(&actions, fds[0], KEEPER_SOCKET_FD);
    posix_spawn_file_actions_adddup2(&actions, fds[1], KEEPER_SEGMENT_FD);
    posix_spawn_file_actions_adddup2(&actions, fds[2], KEEPER_LEASH_FD);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int failure = posix_spawn(pid, list[0], &actions, &attributes, list, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

/* Signals wait, so that Ctrl-C finds the new keeper in the table. */
static int spawn_registered(struct worker_process *process, char **list, char **environment, const int fds[4]) {
    sigset_t all, before;
    pid_t pid = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = spawn(&pid, list, environment, fds);
    if (failure == 0) {
        process->keeper_pid = pid;
        if (!keepers_add(pid))
            failure = EAGAIN;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static int above_standard(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static enum vaemark_status spawn_keeper(struct worker_process *process, char **command, const int fds[4],
                                        struct error *error) {
    char added[3][64], limit[24];
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)process->memory_limit_bytes);
    /* A program that was started as a keeper and does not know it would start keepers without end. */
    if (getenv(WIRE_LEASH_VARIABLE))
        return error_set(error, VAEMARK_INTERNAL,
                         "this program is not vaemark: set VAEMARK_BINARY to the path of the vaemark binary");
    char *binary = worker_binary_path();
    char **list = binary ? keeper_command(binary, limit, command) : NULL;
    char **environment = environment_make(added);
    int failure = list && environment ? spawn_registered(process, list, environment, fds) : ENOMEM;
    enum vaemark_status status = VAEMARK_OK;
    if (failure != 0)
        status = error_set_at(error, VAEMARK_UNAVAILABLE, binary ? binary : "", "cannot start a worker's keeper: %s",
                              strerror(failure));
    free(environment);
    free(list);
    free(binary);
    return status;
}

static enum vaemark_status open_log(struct worker_process *process, const char *path, struct error *error) {
    if (!path)
        return VAEMARK_OK;
    process->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (process->log_fd < 0)
        return error_set_at(error, VAEMARK_IO_ERROR, path, "cannot be written, wanted for a worker's stderr: %s",
                            strerror(errno));
    return VAEMARK_OK;
}

static double count_oom_kills(void) {
    struct system_cgroup cgroup;
    system_read_cgroup(&cgroup);
    return cgroup.oom_kills;
}

bool worker_process_saw_oom_kill(const struct worker_process *process) {
    return count_oom_kills() > process->oom_kills_before;
}

enum vaemark_status worker_process_spawn(struct worker_process *process, const struct worker_process_start *start,
                                         struct error *error) {
    int leash[2] = {-1, -1}, output[2] = {-1, -1};
    *process = (struct worker_process){.leash_fd = -1,
                                       .stderr_fd = -1,
                                       .log_fd = -1,
                                       .memory_limit_bytes = start->memory_limit_bytes,
                                       .oom_kills_before = count_oom_kills()};
    enum vaemark_status status = open_log(process, start->stderr_path, error);
    if (status != VAEMARK_OK)
        return status;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, leash) != 0 || pipe2(output, O_CLOEXEC) != 0)
        status = error_set(error, VAEMARK_IO_ERROR, "cannot make a worker's descriptors: %s", strerror(errno));
    process->leash_fd = leash[0];
    process->stderr_fd = output[0];
    int fds[4] = {above_standard(start->socket_fd), above_standard(start->segment_fd), above_standard(leash[1]),
                  above_standard(output[1])};
    for (size_t i = 0; status == VAEMARK_OK && i < 4; i++)
        if (fds[i] < 0)
            status = error_set(error, VAEMARK_IO_ERROR, "cannot make a worker's descriptors: %s", strerror(errno));
    if (status == VAEMARK_OK) {
        fcntl(process->stderr_fd, F_SETFL, O_NONBLOCK);
        status = spawn_keeper(process, start->command, fds, error);
    }
    for (size_t i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (leash[1] >= 0)
        close(leash[1]);
    if (output[1] >= 0)
        close(output[1]);
    if (status != VAEMARK_OK)
        worker_process_end(process);
    return status;
}

void worker_process_read_reports(struct worker_process *process) {
    struct keeper_report packet;
    while (process->leash_fd >= 0 && !process->leash_dropped) {
        ssize_t got = recv(process->leash_fd, &packet, sizeof packet, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got != sizeof packet) {
            process->leash_dropped = true;
        } else if (packet.event == KEEPER_STARTED) {
            process->worker_pid = packet.pid;
        } else if (packet.event == KEEPER_EXEC_FAILED) {
            process->exec_errno = packet.detail;
        } else if (packet.event == KEEPER_OVER_LIMIT) {
            process->over_limit_bytes = packet.resident_kib * 1024;
            if (process->over_limit_bytes > process->rss_peak_bytes)
                process->rss_peak_bytes = process->over_limit_bytes;
        } else if (packet.event == KEEPER_EXITED) {
            process->exited = true;
            process->wait_status = packet.detail;
            int64_t peak_bytes = (int64_t)packet.rss_peak_kib * 1024;
            if (peak_bytes > process->rss_peak_bytes)
                process->rss_peak_bytes = peak_bytes;
        }
    }
}

static void tail_append(struct worker_process *process, const char *bytes, size_t size_bytes) {
    size_t keep = WORKER_STDERR_KEPT_BYTES - size_bytes;
    if (process->tail_length > keep) {
        memmove(process->tail, process->tail + process->tail_length - keep, keep);
        process->tail_length = keep;
    }
    memcpy(process->tail + process->tail_length, bytes, size_bytes);
    process->tail_length += size_bytes;
    process->tail[process->tail_length] = '\0';
}

void worker_process_drain_stderr(struct worker_process *process) {
    char bytes[WORKER_STDERR_KEPT_BYTES];
    /* Bounded, so that a worker that never stops talking does not keep us from its deadline. */
    for (int round = 0; round < 64 && process->stderr_fd >= 0; round++) {
        ssize_t got = read(process->stderr_fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return;
        if (got == 0) {
            close(process->stderr_fd);
            process->stderr_fd = -1;
            return;
        }
        tail_append(process, bytes, (size_t)got);
        if (process->log_fd >= 0)
            (void)!write(process->log_fd, bytes, (size_t)got);
    }
}

void worker_process_read_rss(struct worker_process *process) {
    char path[64], line[256];
    long long kib;
    if (process->worker_pid <= 0 || process->exited)
        return;
    snprintf(path, sizeof path, "/proc/%d/status", process->worker_pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmHWM: %lld kB", &kib) == 1 && kib * 1024 > process->rss_peak_bytes)
            process->rss_peak_bytes = kib * 1024;
        if (sscanf(line, "VmRSS: %lld kB", &kib) == 1)
            process->rss_bytes = kib * 1024;
    }
    if (file)
        fclose(file);
}

static void reap_keeper(struct worker_process *process) {
    int status = 0;
    int64_t patience_end_ns = clock_monotonic_ns() + (int64_t)10 * 1000000000;
    kill(process->keeper_pid, SIGCONT); /* should somebody have stopped it */
    for (int delay_ms = 1; !child_ended(process->keeper_pid); delay_ms = delay_ms < 16 ? 2 * delay_ms : 16) {
        if (clock_monotonic_ns() > patience_end_ns)
            kill(process->keeper_pid, SIGKILL);
        worker_process_drain_stderr(process);
        poll(NULL, 0, delay_ms);
    }
    /* Out of the table before its number can be given to somebody else. */
    keepers_remove(process->keeper_pid);
    pid_t reaped = waitpid(process->keeper_pid, &status, 0);
    process->keeper_pid = 0;
    if (reaped > 0 && WIFSIGNALED(status))
        descendants_end_strays(keepers_have);
}

static void close_once(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void worker_process_end(struct worker_process *process) {
    worker_process_read_rss(process);
    if (process->leash_fd >= 0)
        worker_process_read_reports(process);
    close_once(&process->leash_fd);
    if (process->keeper_pid > 0)
        reap_keeper(process);
    worker_process_drain_stderr(process);
    close_once(&process->stderr_fd);
    close_once(&process->log_fd);
}

void worker_process_last_words(const struct worker_process *process, char *text, size_t size_bytes) {
    const char *end = process->tail + process->tail_length;
    while (end > process->tail && (unsigned char)end[-1] <= ' ')
        end--;
    const char *start = end;
    while (start > process->tail && start[-1] != '\n')
        start--;
    size_t length = 0;
    for (; start < end && length + 1 < size_bytes; start++)
        text[length++] = *start >= ' ' && *start <= '~' ? *start : '?';
    if (size_bytes > 0)
        text[length] = '\0';
}
