#include "harness/environment.h"

#include <cyaml/cyaml.h>
#include <hdf5.h>
#include <jansson.h>
#include <math.h>
#include <png.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/text.h"
#include "harness/system.h"

static void add(struct record *record, const char *key, const char *value, const char *unit) {
    record_add_fact(record, key, value && *value ? value : "unknown", unit);
}

static void add_number(struct record *record, const char *key, double value, const char *unit) {
    char text[40];
    snprintf(text, sizeof text, "%.15g", value);
    add(record, key, text, unit);
}

static void add_file(struct record *record, const char *key, const char *path, const char *unit) {
    char line[512];
    system_read_line(path, line, sizeof line);
    add(record, key, line, unit);
}

static void add_field(struct record *record, const char *key, const char *path, const char *name, const char *unit) {
    char value[4096];
    system_read_field(path, name, value, sizeof value);
    add(record, key, value, unit);
}

static void add_bytes(struct record *record, const char *key, double size_bytes) {
    if (isnan(size_bytes)) {
        add(record, key, "", "bytes");
    } else {
        add_number(record, key, size_bytes, "bytes");
    }
}

int environment_cpu_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void environment_instruction_sets(char *found, size_t capacity) {
    static const char *const wanted[] = {"sse4_2",      "avx",      "avx2",  "fma", "avx512f", "avx512bw", "avx512vl",
                                         "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16",    NULL};
    char flags[8192];
    found[0] = '\0';
    if (!system_read_field("/proc/cpuinfo", "flags", flags, sizeof flags)) {
        system_read_field("/proc/cpuinfo", "Features", flags, sizeof flags);
    }
    char *rest = NULL;
    for (char *word = strtok_r(flags, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        for (size_t i = 0; wanted[i]; i++) {
            if (strcmp(word, wanted[i]) == 0 && strlen(found) + strlen(word) + 2 < capacity) {
                strcat(found, *found ? " " : "");
                strcat(found, word);
            }
        }
    }
}

static void add_instruction_sets(struct record *record) {
    char found[256];
    environment_instruction_sets(found, sizeof found);
    add(record, "cpu_instruction_sets", found, "");
}

static void add_cpu(struct record *record) {
    static const char cpu0[] = "/sys/devices/system/cpu/cpu0";
    char path[256];
    add_field(record, "cpu_model", "/proc/cpuinfo", "model name", "");
    add_field(record, "cpu_vendor", "/proc/cpuinfo", "vendor_id", "");
    add_field(record, "cpu_family", "/proc/cpuinfo", "cpu family", "");
    add_field(record, "cpu_model_number", "/proc/cpuinfo", "model", "");
    add_field(record, "cpu_microcode", "/proc/cpuinfo", "microcode", "");
    add_field(record, "cpu_clock_now", "/proc/cpuinfo", "cpu MHz", "MHz");
    add_number(record, "cpu_online", (double)sysconf(_SC_NPROCESSORS_ONLN), "1");
    add_number(record, "cpu_usable", environment_cpu_count(), "1");
    add_instruction_sets(record);
    for (int i = 0; i < 4; i++) {
        static const char *const keys[] = {"cpu_cache_l1d", "cpu_cache_l1i", "cpu_cache_l2", "cpu_cache_l3"};
        snprintf(path, sizeof path, "%s/cache/index%d/size", cpu0, i);
        add_file(record, keys[i], path, "");
    }
    snprintf(path, sizeof path, "%s/topology/thread_siblings_list", cpu0);
    add_file(record, "cpu_thread_siblings", path, "");
    snprintf(path, sizeof path, "%s/cpufreq/scaling_governor", cpu0);
    add_file(record, "cpu_governor", path, "");
    snprintf(path, sizeof path, "%s/cpufreq/scaling_max_freq", cpu0);
    add_file(record, "cpu_clock_limit", path, "kHz");
    add_file(record, "cpu_vulnerability_spectre_v2", "/sys/devices/system/cpu/vulnerabilities/spectre_v2", "");
    char hypervisor[256];
    system_read_line("/sys/class/dmi/id/product_name", hypervisor, sizeof hypervisor);
    add(record, "machine_product", hypervisor, "");
}

static void add_system(struct record *record) {
    struct utsname name;
    if (uname(&name) == 0) {
        add(record, "kernel_name", name.sysname, "");
        add(record, "kernel_release", name.release, "");
        add(record, "kernel_version", name.version, "");
        add(record, "machine_architecture", name.machine, "");
        add(record, "host_name", name.nodename, "");
    }
    char line[512];
    FILE *file = fopen("/etc/os-release", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "PRETTY_NAME=", 12) == 0) {
            line[strcspn(line, "\n")] = '\0';
            add(record, "operating_system", line + 12, "");
        }
    }
    if (file) {
        fclose(file);
    }
    add_bytes(record, "memory_total", system_meminfo_bytes("MemTotal"));
    add_bytes(record, "memory_available", system_meminfo_bytes("MemAvailable"));
    add_bytes(record, "memory_swap_total", system_meminfo_bytes("SwapTotal"));
    add_number(record, "memory_page_size", (double)sysconf(_SC_PAGESIZE), "bytes");
    add_file(record, "memory_transparent_huge_pages", "/sys/kernel/mm/transparent_hugepage/enabled", "");
    add_file(record, "load_average", "/proc/loadavg", "");
    add_file(record, "cpu_time_counters", "/proc/stat", "");
    add_file(record, "address_space_randomization", "/proc/sys/kernel/randomize_va_space", "");
    add_file(record, "clock_source", "/sys/devices/system/clocksource/clocksource0/current_clocksource", "");
}

static void add_build(struct record *record) {
    char text[128];
    unsigned major = 0, minor = 0, release = 0;
    add(record, "vaemark_version", VAEMARK_VERSION, "");
    add(record, "vaemark_git_commit", VAEMARK_GIT_COMMIT, "");
    add(record, "compiler", __VERSION__, "");
    add(record, "compiler_flags", VAEMARK_COMPILER_FLAGS, "");
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    add(record, "library_hdf5", text, "");
    add(record, "library_jansson", JANSSON_VERSION, "");
    add(record, "library_libpng", png_get_libpng_ver(NULL), "");
    add(record, "library_libcyaml", cyaml_version_str, "");
    confstr(_CS_GNU_LIBC_VERSION, text, sizeof text);
    add(record, "library_libc", text, "");
#ifdef _OPENMP
    add_number(record, "openmp", _OPENMP, "");
#endif
    char *binary = own_binary_path();
    char hash[65] = "";
    if (binary && hash_file(binary, hash, NULL) == VAEMARK_OK) {
        add(record, "vaemark_binary_sha256", hash, "");
    }
    free(binary);
}

bool environment_record(struct record *record) {
    char text[64];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    add(record, "run_started", text, "");
    add_build(record);
    add_cpu(record);
    add_system(record);
    static const char *const variables[] = {"OMP_NUM_THREADS", "OMP_PROC_BIND", "LANG", "LC_ALL", NULL};
    for (size_t i = 0; variables[i]; i++) {
        char key[64];
        snprintf(key, sizeof key, "variable_%s", variables[i]);
        const char *value = getenv(variables[i]);
        add(record, key, value ? value : "not set", "");
    }
    return record->fact_count >= 30;
}
