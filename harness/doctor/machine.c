#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "harness/doctor/doctor.h"
#include "harness/environment.h"

#define CPU_FOLDER "/sys/devices/system/cpu"

/* CPUs that are looked at one by one. */
enum { MAX_CPUS = 4096 };

static int integer_or(double number, int fallback) {
    return number >= 0 && number < 1e9 ? (int)number : fallback;
}

/* "0-3,8" -> 5. */
static int count_list(const char *list) {
    int count = 0;
    while (*list) {
        char *end;
        long first = strtol(list, &end, 10), last = first;
        if (end == list) {
            break;
        }
        if (*end == '-') {
            last = strtol(end + 1, &end, 10);
        }
        count += last >= first ? (int)(last - first) + 1 : 0;
        list = end + strspn(end, ", ");
    }
    return count;
}

static double read_cpu_number(int cpu, const char *file) {
    char path[256];
    snprintf(path, sizeof path, CPU_FOLDER "/cpu%d/%s", cpu, file);
    return system_read_number(path);
}

/* ---- CPU ---- */

static void read_topology(struct machine *machine) {
    static const char packages_file[] = "topology/physical_package_id", cores_file[] = "topology/core_id";
    char list[256];
    int last_package = -1;
    long *seen = calloc(MAX_CPUS, sizeof *seen); /* package and core as one number */
    size_t seen_count = 0;
    for (int cpu = 0; seen && cpu < MAX_CPUS; cpu++) {
        double package = read_cpu_number(cpu, packages_file), core = read_cpu_number(cpu, cores_file);
        if (isnan(package) && isnan(core)) {
            break;
        }
        long key = (long)integer_or(package, 0) * 100000 + (long)integer_or(core, cpu);
        bool known = false;
        for (size_t i = 0; i < seen_count; i++) {
            known |= seen[i] == key;
        }
        if (!known) {
            seen[seen_count++] = key;
        }
        if (integer_or(package, 0) > last_package) {
            last_package = integer_or(package, 0);
            machine->sockets++;
        }
    }
    free(seen);
    machine->cores = (int)seen_count;
    if (system_read_line(CPU_FOLDER "/cpu0/topology/thread_siblings_list", list, sizeof list)) {
        machine->siblings = count_list(list);
    }
    if (system_read_line(CPU_FOLDER "/online", list, sizeof list)) {
        machine->threads_online = count_list(list);
    }
    if (system_read_line("/sys/devices/system/node/online", list, sizeof list)) {
        machine->numa_nodes = count_list(list);
    }
}

/* "32K", "1024K", "32M". */
static double parse_size(const char *text) {
    char *end;
    double number = strtod(text, &end);
    return *end == 'K' ? number * 0x1p10 : *end == 'M' ? number * 0x1p20 : *end == 'G' ? number * 0x1p30 : number;
}

static void read_caches(struct machine *machine) {
    for (int index = 0; index < MACHINE_MAX_CACHES; index++) {
        struct machine_cache *cache = &machine->caches[machine->cache_count];
        char path[160], text[256];
        snprintf(path, sizeof path, CPU_FOLDER "/cpu0/cache/index%d/size", index);
        if (!system_read_line(path, text, sizeof text)) {
            continue;
        }
        *cache = (struct machine_cache){.size_bytes = parse_size(text)};
        snprintf(path, sizeof path, "cache/index%d/level", index);
        cache->level = integer_or(read_cpu_number(0, path), 0);
        snprintf(path, sizeof path, CPU_FOLDER "/cpu0/cache/index%d/type", index);
        system_read_line(path, cache->type, sizeof cache->type);
        snprintf(path, sizeof path, CPU_FOLDER "/cpu0/cache/index%d/shared_cpu_list", index);
        cache->shared_by = system_read_line(path, text, sizeof text) ? count_list(text) : 0;
        machine->cache_count += cache->level > 0 && cache->size_bytes > 0;
    }
}

const struct machine_cache *machine_find_cache(const struct machine *machine, int level) {
    for (size_t i = 0; i < machine->cache_count; i++) {
        if (machine->caches[i].level == level && strcmp(machine->caches[i].type, "Instruction") != 0) {
            return &machine->caches[i];
        }
    }
    return NULL;
}

static void read_clock(struct machine *machine) {
    system_read_line(CPU_FOLDER "/cpu0/cpufreq/scaling_governor", machine->governor, sizeof machine->governor);
    machine->clock_now_hz = read_cpu_number(0, "cpufreq/scaling_cur_freq") * 1e3;
    machine->clock_limit_hz = read_cpu_number(0, "cpufreq/scaling_max_freq") * 1e3;
    if (isnan(machine->clock_now_hz)) {
        machine->clock_now_hz = system_read_number_field("/proc/cpuinfo", "cpu MHz") * 1e6;
    }
    double boost = system_read_number(CPU_FOLDER "/cpufreq/boost");
    double no_turbo = system_read_number(CPU_FOLDER "/intel_pstate/no_turbo");
    machine->turbo = !isnan(boost) ? boost > 0 : !isnan(no_turbo) ? !(no_turbo > 0) : -1;
}

static void read_cpu(struct machine *machine) {
    char text[64];
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(machine->architecture, sizeof machine->architecture, "%.31s", name.machine);
        snprintf(machine->kernel, sizeof machine->kernel, "%.30s %.64s", name.sysname, name.release);
    }
    system_read_field("/proc/cpuinfo", "model name", machine->cpu_model, sizeof machine->cpu_model);
    if (!system_read_field("/proc/cpuinfo", "vendor_id", machine->cpu_vendor, sizeof machine->cpu_vendor)) {
        system_read_field("/proc/cpuinfo", "CPU implementer", machine->cpu_vendor, sizeof machine->cpu_vendor);
    }
    machine->cpu_family = integer_or(system_read_number_field("/proc/cpuinfo", "cpu family"), -1);
    machine->cpu_model_number = integer_or(system_read_number_field("/proc/cpuinfo", "model\t"), -1);
    machine->cpu_part =
        system_read_field("/proc/cpuinfo", "CPU part", text, sizeof text) ? (int)strtol(text, NULL, 0) : -1;
    environment_instruction_sets(machine->instruction_sets, sizeof machine->instruction_sets);
    machine->threads_online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    machine->threads_usable = environment_cpu_count();
    read_topology(machine);
    read_caches(machine);
    read_clock(machine);
}

/* What one core starts in a cycle, by instruction set: 2 x lanes x units that multiply and add; without fused ones,
 * lanes x units that do either. From the makers' optimisation guides and measurements as published at uops.info. */
static const struct processor {
    const char *vendor;
    int family, first_model, last_model;
    double avx512, avx2, portable;
} processors[] = {
    {"GenuineIntel", 6, 60, 71, 0, 32, 8},        /* Haswell, Broadwell */
    {"GenuineIntel", 6, 78, 79, 0, 32, 8},        /* Skylake U, Broadwell-EP */
    {"GenuineIntel", 6, 85, 85, 64, 32, 8},       /* Skylake-SP, Cascade Lake (Silver and Bronze: see below) */
    {"GenuineIntel", 6, 86, 94, 0, 32, 8},        /* Broadwell-DE, Skylake S */
    {"GenuineIntel", 6, 106, 108, 64, 32, 8},     /* Ice Lake-SP */
    {"GenuineIntel", 6, 125, 126, 32, 32, 8},     /* Ice Lake client */
    {"GenuineIntel", 6, 140, 141, 32, 32, 8},     /* Tiger Lake */
    {"GenuineIntel", 6, 142, 142, 0, 32, 8},      /* Kaby Lake U */
    {"GenuineIntel", 6, 143, 143, 64, 32, 12},    /* Sapphire Rapids */
    {"GenuineIntel", 6, 151, 154, 0, 32, 12},     /* Alder Lake */
    {"GenuineIntel", 6, 158, 166, 0, 32, 8},      /* Coffee Lake, Comet Lake */
    {"GenuineIntel", 6, 167, 167, 32, 32, 8},     /* Rocket Lake */
    {"GenuineIntel", 6, 173, 174, 64, 32, 12},    /* Granite Rapids */
    {"GenuineIntel", 6, 183, 191, 0, 32, 12},     /* Raptor Lake */
    {"GenuineIntel", 6, 207, 207, 64, 32, 12},    /* Emerald Rapids */
    {"AuthenticAMD", 23, 0, 0x2f, 0, 16, 16},     /* Zen, Zen+ */
    {"AuthenticAMD", 23, 0x30, 0xff, 0, 32, 16},  /* Zen 2 */
    {"AuthenticAMD", 25, 0x10, 0x1f, 32, 32, 16}, /* Zen 4 */
    {"AuthenticAMD", 25, 0x60, 0x7f, 32, 32, 16}, /* Zen 4 */
    {"AuthenticAMD", 25, 0xa0, 0xaf, 32, 32, 16}, /* Zen 4c */
    {"AuthenticAMD", 25, 0, 0x5f, 0, 32, 16},     /* Zen 3 */
    {"AuthenticAMD", 26, 0x00, 0x1f, 64, 32, 16}, /* Zen 5 server */
    {"AuthenticAMD", 26, 0x40, 0x4f, 64, 32, 16}, /* Zen 5 desktop */
    {"AuthenticAMD", 26, 0x20, 0x7f, 32, 32, 16}, /* Zen 5 mobile */
    {"0x41", -1, 0xd0c, 0xd0c, 0, 0, 16},         /* Neoverse N1 */
    {"0x41", -1, 0xd40, 0xd40, 0, 0, 32},         /* Neoverse V1 */
    {"0x41", -1, 0xd49, 0xd49, 0, 0, 16},         /* Neoverse N2 */
    {"0x41", -1, 0xd4f, 0xd4f, 0, 0, 32},         /* Neoverse V2 */
};

double machine_flops_per_cycle(const struct machine *machine, const char *isa) {
    int model = machine->cpu_part >= 0 ? machine->cpu_part : machine->cpu_model_number;
    for (size_t i = 0; i < sizeof processors / sizeof *processors; i++) {
        const struct processor *row = &processors[i];
        if (strcmp(row->vendor, machine->cpu_vendor) != 0 || (row->family >= 0 && row->family != machine->cpu_family) ||
            model < row->first_model || model > row->last_model) {
            continue;
        }
        bool one_unit = strstr(machine->cpu_model, "Silver") || strstr(machine->cpu_model, "Bronze");
        double avx512 = row->first_model == 85 && one_unit ? 32 : row->avx512;
        double found = strcmp(isa, "avx512") == 0 ? avx512 : strcmp(isa, "avx2") == 0 ? row->avx2 : row->portable;
        return found > 0 ? found : (double)NAN;
    }
    return (double)NAN;
}

/* ---- System ---- */

static bool exists(const char *path) {
    char full[256];
    return access(system_path(path, full, sizeof full), F_OK) == 0;
}

static void read_hypervisor(struct machine *machine) {
    char flags[8192], vendor[64];
    bool has_flags = system_read_field("/proc/cpuinfo", "flags", flags, sizeof flags);
    bool named = system_read_line("/sys/hypervisor/type", machine->hypervisor, sizeof machine->hypervisor);
    if (!named && system_read_line("/sys/class/dmi/id/sys_vendor", vendor, sizeof vendor)) {
        snprintf(machine->hypervisor, sizeof machine->hypervisor, "%s", vendor);
    }
    machine->virtual_machine = has_flags ? strstr(flags, " hypervisor") != NULL : named ? 1 : -1;
    if (machine->virtual_machine != 1) {
        machine->hypervisor[0] = '\0';
    }
    machine->container = exists("/.dockerenv") || exists("/run/.containerenv");
}

static void read_huge_pages(struct machine *machine) {
    char line[128];
    system_read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line);
    const char *open = strchr(line, '['), *close = open ? strchr(open, ']') : NULL;
    if (close) {
        snprintf(machine->huge_pages, sizeof machine->huge_pages, "%.*s", (int)(close - open - 1), open + 1);
    }
}

static double steal_since_boot(void) {
    char line[512];
    double times[8], sum = 0;
    if (!system_read_line("/proc/stat", line, sizeof line) ||
        sscanf(line, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &times[0], &times[1], &times[2], &times[3], &times[4],
               &times[5], &times[6], &times[7]) != 8) {
        return (double)NAN;
    }
    for (int i = 0; i < 8; i++) {
        sum += times[i];
    }
    return sum > 0 ? times[7] / sum : (double)NAN;
}

void machine_read(struct machine *machine) {
    char line[256];
    *machine = (struct machine){.cpu_part = -1, .load = {(double)NAN, (double)NAN, (double)NAN}};
    read_cpu(machine);
    read_hypervisor(machine);
    read_huge_pages(machine);
    machine->memory_total_bytes = system_meminfo_bytes("MemTotal");
    machine->memory_available_bytes = system_meminfo_bytes("MemAvailable");
    machine->swap_total_bytes = system_meminfo_bytes("SwapTotal");
    machine->swap_free_bytes = system_meminfo_bytes("SwapFree");
    system_read_cgroup(&machine->cgroup);
    machine->steal_share = steal_since_boot();
    machine->perf_event_paranoid = system_read_number("/proc/sys/kernel/perf_event_paranoid");
    if (system_read_line("/proc/loadavg", line, sizeof line)) {
        (void)sscanf(line, "%lf %lf %lf", &machine->load[0], &machine->load[1], &machine->load[2]);
    }
}
