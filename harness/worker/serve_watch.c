#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "harness/worker/serve_internal.h"

struct serve_watch {
    pthread_t thread;
    int socket_fd, stop_fd;
    atomic_bool busy;
};

static void end_everything(void) {
    /* Only a group of our own: started by hand we would share the shell's. */
    if (getpgrp() == getpid())
        kill(0, SIGKILL);
    kill(getpid(), SIGKILL);
}

static void *watch_run(void *argument) {
    struct serve_watch *watch = argument;
    struct pollfd polled[2] = {{.fd = watch->stop_fd, .events = POLLIN}, {.fd = watch->socket_fd, .events = POLLRDHUP}};
    bool gone = false;
    for (;;) {
        /* Once the peer is gone poll() would return at once for ever: look only for the stop, and now and then. */
        int ready = poll(polled, gone ? 1 : 2, gone ? 10 : -1);
        if (ready > 0 && polled[0].revents)
            return NULL;
        if (ready > 0 && !gone && polled[1].revents)
            gone = true;
        if (gone && atomic_load(&watch->busy))
            end_everything();
    }
}

enum vaemark_status serve_watch_start(int socket_fd, struct serve_watch **watch, struct error *error) {
    struct serve_watch *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the watching thread");
    made->socket_fd = socket_fd;
    made->stop_fd = eventfd(0, EFD_CLOEXEC);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = made->stop_fd < 0 ? -1 : pthread_create(&made->thread, NULL, watch_run, made);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) {
        if (made->stop_fd >= 0)
            close(made->stop_fd);
        free(made);
        return error_set(error, VAEMARK_INTERNAL, "cannot start the thread that watches the socket");
    }
    *watch = made;
    return VAEMARK_OK;
}

void serve_watch_busy(struct serve_watch *watch, bool busy) {
    atomic_store(&watch->busy, busy);
}

void serve_watch_stop(struct serve_watch *watch) {
    if (!watch)
        return;
    uint64_t one = 1;
    if (write(watch->stop_fd, &one, sizeof one) == sizeof one)
        pthread_join(watch->thread, NULL);
    close(watch->stop_fd);
    free(watch);
}
