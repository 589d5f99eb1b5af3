#include "base/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_read_ns(clockid_t clock) {
    struct timespec time;

    if (clock_gettime(clock, &time) != 0) {
        return -1;
    }
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t clock_monotonic_ns(void) {
    return clock_read_ns(CLOCK_MONOTONIC);
}

int64_t clock_process_cpu_ns(void) {
    return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Second number of schedstat: time spent ready to run but not running. */
static int64_t process_run_delay_ns(void) {
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;
    int64_t sum_ns = 0;
    int found = 0;

    if (tasks == NULL) {
        return -1;
    }
    while ((task = readdir(tasks)) != NULL) {
        char path[sizeof "/proc/self/task//schedstat" + sizeof task->d_name];
        long long running_ns, waiting_ns;
        FILE *stream;

        if (task->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        stream = fopen(path, "r");
        if (stream == NULL) {
            continue; /* the thread has ended meanwhile, or the kernel keeps no schedstat */
        }
        if (fscanf(stream, "%lld %lld", &running_ns, &waiting_ns) == 2) {
            sum_ns += waiting_ns;
            found = 1;
        }
        fclose(stream);
    }
    closedir(tasks);
    return found ? sum_ns : -1;
}

/* The eighth number of the line "cpu" counts ticks that a hypervisor gave to others. */
static int64_t machine_steal_ns(void) {
    FILE *stream = fopen("/proc/stat", "r");
    const long ticks_per_second = sysconf(_SC_CLK_TCK);
    long long steal_ticks;
    int64_t steal_ns = -1;

    if (stream == NULL) {
        return -1;
    }
    if (ticks_per_second > 0 && fscanf(stream, "cpu %*d %*d %*d %*d %*d %*d %*d %lld", &steal_ticks) == 1) {
        steal_ns = (int64_t)steal_ticks * (1000000000 / ticks_per_second);
    }
    fclose(stream);
    return steal_ns;
}

void process_usage_read(struct process_usage *usage) {
    struct rusage counts;

    *usage = (struct process_usage){
        .cpu_ns = clock_process_cpu_ns(),
        .run_delay_ns = process_run_delay_ns(),
        .involuntary_switches = -1,
        .minor_faults = -1,
        .major_faults = -1,
        .steal_ns = machine_steal_ns(),
    };
    if (getrusage(RUSAGE_SELF, &counts) == 0) {
        usage->involuntary_switches = counts.ru_nivcsw;
        usage->minor_faults = counts.ru_minflt;
        usage->major_faults = counts.ru_majflt;
    }
}
