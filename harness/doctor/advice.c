/* What would make this machine better for measuring, and how. One function a matter. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/doctor/doctor.h"

const char *advice_effect_name(enum advice_effect effect) {
    static const char *const names[] = {"broken", "slower", "noisier", "convenience"};
    return names[effect];
}

/* The text comes formatted; the command is what to type. */
static void __attribute__((format(printf, 6, 7))) add(struct doctor *doctor, enum advice_effect effect, double share,
                                                      const char *id, const char *command, const char *format, ...) {
    struct advice_list *list = &doctor->advice;
    if (list->count == ADVICE_MAX) {
        return;
    }
    struct advice *advice = &list->items[list->count++];
    *advice = (struct advice){.effect = effect, .share = share, .id = id};
    snprintf(advice->command, sizeof advice->command, "%s", command);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(advice->text, sizeof advice->text, format, arguments);
    va_end(arguments);
}

static void advise_on_folders(struct doctor *doctor) {
    size_t index;
    json_t *row;
    json_array_foreach(doctor->folders, index, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *path = json_string_value(json_object_get(row, "path"));
        bool cache = strcmp(name, "cache") == 0;
        const double least_bytes = 2e9;
        if (!json_is_true(json_object_get(row, cache ? "writable" : "found"))) {
            add(doctor, ADVICE_BROKEN, NAN, cache ? "cache-folder" : "data-folder",
                cache ? "export VAEMARK_CACHE=FOLDER" : "export VAEMARK_DATA=FOLDER", "the %s folder %s %s", name,
                path ? path : "", cache ? "cannot be written: no synthetic weights, no oracles" : "is missing");
        } else if (cache && json_number_value(json_object_get(row, "free_bytes")) < least_bytes) {
            add(doctor, ADVICE_BROKEN, NAN, "cache-space", "export VAEMARK_CACHE=FOLDER",
                "less than 2 GB are free where weights and oracles are kept (%s)", path);
        }
    }
}

static void advise_on_quota(struct doctor *doctor) {
    const struct machine *m = &doctor->machine;
    char command[96];
    if (m->cgroup.cpu_limit < m->threads_usable) {
        int threads = m->cgroup.cpu_limit >= 1 ? (int)m->cgroup.cpu_limit : 1;
        snprintf(command, sizeof command, "vaemark run --threads %d", threads);
        add(doctor, ADVICE_SLOWER, 1 - m->cgroup.cpu_limit / m->threads_usable, "cpu-quota", command,
            "the cgroup allows %.3g CPUs' time, but %d threads would start: they are stopped in the middle of a decode",
            m->cgroup.cpu_limit, m->threads_usable);
    }
    double gib = 0x1p30;
    if (system_memory_available_bytes() < 2 * gib) {
        add(doctor, ADVICE_SLOWER, NAN, "memory", "vaemark run --model sd15-mini,taesd-mini",
            "less than 2 GiB of memory are left to decoders: full-size models end as out_of_memory");
    }
}

static void advise_on_others(struct doctor *doctor) {
    const struct machine *m = &doctor->machine;
    const double little = 0.01, own_load = 0.5;
    if (doctor->noise.steal_share > little) {
        add(doctor, ADVICE_SLOWER, doctor->noise.steal_share, "steal",
            "vmstat 1 (column st), then move to a dedicated machine",
            "other guests of this host took %.1f %% of the CPU time while it was measured",
            doctor->noise.steal_share * 100);
    } else if (m->steal_share > little) {
        add(doctor, ADVICE_NOISIER, m->steal_share, "steal", "vmstat 1 (column st)",
            "other guests of this host took %.1f %% of the CPU time since it was started", m->steal_share * 100);
    }
    if (m->threads_usable > 0 && m->load[0] > own_load) {
        add(doctor, m->load[0] > m->threads_usable / 2.0 ? ADVICE_SLOWER : ADVICE_NOISIER,
            m->load[0] / (m->load[0] + m->threads_usable), "other-load", "top -o %CPU",
            "something else was running: load average %.1f on %d CPUs before the measurements", m->load[0],
            m->threads_usable);
    }
    if (doctor->noise.run_delay_share > little) {
        add(doctor, ADVICE_NOISIER, doctor->noise.run_delay_share, "run-delay", "top -o %CPU",
            "one thread alone waited for a CPU %.1f %% of its time", doctor->noise.run_delay_share * 100);
    }
}

static void advise_on_clock(struct doctor *doctor) {
    const struct machine *m = &doctor->machine;
    bool steady = strcmp(m->governor, "performance") == 0;
    if (m->governor[0] && !steady) {
        double lost = m->clock_limit_hz > 0 ? 1 - doctor->peaks.clock_hz.one_thread / m->clock_limit_hz : (double)NAN;
        add(doctor, ADVICE_NOISIER, lost, "governor", "sudo cpupower frequency-set -g performance",
            "the governor is '%s': the clock changes with the load", m->governor);
    }
    if (m->turbo == 1 && m->virtual_machine != 1) {
        bool intel = strcmp(m->cpu_vendor, "GenuineIntel") == 0;
        add(doctor, ADVICE_NOISIER, NAN, "turbo",
            intel ? "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
                  : "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost",
            "turbo is on: figures depend on temperature and on how many cores work; without it they are lower, but "
            "repeat");
    }
}

static void advise_on_threads(struct doctor *doctor) {
    const struct machine *m = &doctor->machine;
    char command[96];
    if (m->siblings > 1 && m->cores > 0 && m->threads_usable > m->cores) {
        snprintf(command, sizeof command, "vaemark run --threads %d", m->cores);
        add(doctor, ADVICE_SLOWER, NAN, "smt", command,
            "%d threads share %d cores: the second thread of a core adds little to multiply-adds, and waits",
            m->threads_usable, m->cores);
    }
    if (!getenv("OMP_PROC_BIND") && m->threads_usable > 1) {
        add(doctor, ADVICE_NOISIER, NAN, "pinning", "export OMP_PROC_BIND=close OMP_PLACES=cores",
            "threads are not pinned: the kernel may move them between cores");
    }
    if (m->numa_nodes > 1) {
        add(doctor, ADVICE_NOISIER, NAN, "numa", "numactl --cpunodebind=0 --membind=0 vaemark run",
            "%d NUMA nodes: where memory lies changes from launch to launch", m->numa_nodes);
    }
}

static void advise_on_memory(struct doctor *doctor) {
    const struct machine *m = &doctor->machine;
    char used[32];
    const double little_bytes = 64e6;
    double used_bytes = m->swap_total_bytes - m->swap_free_bytes;
    if (used_bytes > little_bytes) {
        add(doctor, ADVICE_NOISIER, NAN, "swap", "sudo swapoff -a", "%s are swapped out: a decode may wait for a disk",
            text_format_bytes(used_bytes, used, sizeof used));
    }
    if (strcmp(m->huge_pages, "never") == 0) {
        add(doctor, ADVICE_SLOWER, NAN, "huge-pages",
            "echo always | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
            "transparent huge pages are off: large activations cost page faults and address look-ups");
    }
}

static void advise_on_tools(struct doctor *doctor) {
    size_t index;
    json_t *row;
    json_array_foreach(doctor->tools, index, row) {
        if (!json_is_true(json_object_get(row, "available"))) {
            add(doctor, ADVICE_CONVENIENCE, NAN, "gnuplot", "sudo apt-get install gnuplot-nox",
                "gnuplot is missing: %s are not drawn", json_string_value(json_object_get(row, "wanted_for")));
        }
    }
    const double noisy = 0.05;
    if (doctor->noise.smallest_difference > noisy) {
        add(doctor, ADVICE_NOISIER, doctor->noise.smallest_difference, "noise",
            "vaemark doctor (again, when it is quiet)",
            "latencies differ by %.1f %% for no reason: small differences cannot be seen here",
            doctor->noise.smallest_difference * 100);
    }
}

static int compare_advice(const void *a, const void *b) {
    const struct advice *x = a, *y = b;
    if (x->effect != y->effect) {
        return x->effect < y->effect ? -1 : 1;
    }
    double p = isnan(x->share) ? -1 : x->share, q = isnan(y->share) ? -1 : y->share;
    return p != q ? (p > q ? -1 : 1) : strcmp(x->id, y->id);
}

void doctor_advise(struct doctor *doctor) {
    static void (*const matters[])(struct doctor *) = {advise_on_folders, advise_on_quota,   advise_on_others,
                                                       advise_on_clock,   advise_on_threads, advise_on_memory,
                                                       advise_on_tools};
    doctor->advice.count = 0;
    for (size_t i = 0; i < sizeof matters / sizeof *matters; i++) {
        matters[i](doctor);
    }
    qsort(doctor->advice.items, doctor->advice.count, sizeof *doctor->advice.items, compare_advice);
}
