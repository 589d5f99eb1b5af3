/* What `vaemark doctor` finds out: this machine, what it can reach at best, how noisy it is, what runs here, and what
 * would make it better. Each part is a struct of its own; what is not known is NaN, 0 or "". */
#ifndef HARNESS_DOCTOR_DOCTOR_H
#define HARNESS_DOCTOR_DOCTOR_H

#include <jansson.h>
#include <stdio.h>

#include "base/error.h"
#include "harness/system.h"
#include "harness/text_list.h"

/* ---- The machine, as files of the kernel describe it ---- */

enum { MACHINE_MAX_CACHES = 8 };

struct machine_cache {
    int level;
    char type[16]; /* "Data", "Instruction", "Unified" */
    double size_bytes;
    int shared_by; /* threads; 0: unknown */
};

struct machine {
    char cpu_model[128], cpu_vendor[64], architecture[32], kernel[96];
    char instruction_sets[256];                 /* those that kernels are written for, of all that the CPU has */
    int cpu_family, cpu_model_number, cpu_part; /* -1: unknown; cpu_part on ARM */
    int sockets, cores, threads_online, threads_usable, siblings; /* threads a core; 0: unknown */
    int numa_nodes;
    struct machine_cache caches[MACHINE_MAX_CACHES];
    size_t cache_count;
    char governor[32];
    int turbo; /* 1 on, 0 off, -1 unknown */
    double clock_now_hz, clock_limit_hz;
    int virtual_machine; /* 1, 0, -1 unknown */
    char hypervisor[64];
    bool container;
    double memory_total_bytes, memory_available_bytes, swap_total_bytes, swap_free_bytes;
    struct system_cgroup cgroup;
    char huge_pages[16]; /* "always", "madvise", "never" */
    double load[3];
    double steal_share; /* of all CPU time since boot */
    double perf_event_paranoid;
};

void machine_read(struct machine *machine);
/* Data or unified; NULL: unknown. */
const struct machine_cache *machine_find_cache(const struct machine *machine, int level);
/* FLOPs that one core can start in a cycle with an instruction set of the kernel table, from tables of its maker; NaN:
 * this processor is not in ours. */
double machine_flops_per_cycle(const struct machine *machine, const char *isa);

/* ---- Measured peaks ---- */

enum { PEAKS_MAX_SETS = 8, PEAKS_LEVELS = 4 };

struct peak_rate {
    double one_thread, all_threads; /* a second; NaN: not measured */
};

struct peaks {
    int threads;
    struct peak_rate clock_hz; /* all_threads: the mean */
    struct {
        const char *isa;
        struct peak_rate flops, predicted_flops;
    } sets[PEAKS_MAX_SETS];
    size_t set_count;
    struct {
        const char *name;                        /* "L1", "L2", "L3", "DRAM" */
        size_t one_bytes, each_bytes;            /* worked on by one thread alone, by each of all; 0: not measured */
        struct peak_rate read_bytes, copy_bytes; /* a copied byte counts twice: read and written */
    } levels[PEAKS_LEVELS];
};

struct doctor_pace {
    double round_s, noise_s;
    int rounds;          /* the best one counts */
    double memory_bytes; /* at most, for the measurement of DRAM */
};

/* What could not be measured (no memory, no threads) stays NaN; the error says why. */
enum vaemark_status peaks_measure(const struct machine *machine, const struct doctor_pace *pace, struct peaks *peaks,
                                  struct error *error);

/* The two ceilings of a roofline, with so many threads (at most the CPUs there are). */
struct peaks_ceilings {
    int threads;
    const char *isa;           /* the fastest instruction set, */
    double flops_per_s;        /* which these multiply-adds are of; NaN: not measured */
    double memory_bytes_per_s; /* main memory, read or copied, whichever is faster; NaN: not measured */
};

enum vaemark_status peaks_measure_ceilings(const struct machine *machine, const struct doctor_pace *pace, int threads,
                                           struct peaks_ceilings *ceilings, struct error *error);

/* ---- Noise ---- */

enum { NOISE_GROUP = 20 }; /* samples that two figures to be compared are made of */

struct noise {
    size_t sample_count;
    double median_ns, mad_ns, p99_ns, slowest_ns;
    double run_delay_share, steal_share; /* of the time measured; NaN: unknown */
    double involuntary_switches;
    /* The smallest difference of two medians of NOISE_GROUP samples that is not noise, as a share: the 95 % interval
     * that the samples' spread gives, or the largest difference seen between neighbouring groups, if that is more. */
    double smallest_difference;
};

enum vaemark_status noise_measure(const struct doctor_pace *pace, struct noise *noise, struct error *error);

/* ---- Software: backends, tools, folders, as the JSON that is printed ---- */

json_t *doctor_backends(const struct text_list *decoders);
json_t *doctor_tools(void);
json_t *doctor_folders(void);

/* ---- Advice ---- */

enum advice_effect { ADVICE_BROKEN, ADVICE_SLOWER, ADVICE_NOISIER, ADVICE_CONVENIENCE };

struct advice {
    enum advice_effect effect;
    double share; /* how much of the time it is about, as far as known; NaN: unknown */
    const char *id;
    char text[320], command[200];
};

enum { ADVICE_MAX = 24 };

struct advice_list {
    struct advice items[ADVICE_MAX];
    size_t count;
};

/* All that was found out. `noise` and `peaks` are filled in. */
struct doctor {
    struct machine machine;
    struct peaks peaks;
    struct noise noise;
    json_t *backends, *tools, *folders;
    struct advice_list advice;
    double duration_s;
    bool quick;
};

/* Sorted: what does not work first, then by how much time is lost, then what makes figures noisy. */
void doctor_advise(struct doctor *doctor);
const char *advice_effect_name(enum advice_effect effect);

void doctor_print(FILE *out, const struct doctor *doctor);
json_t *doctor_json(const struct doctor *doctor);

#endif
