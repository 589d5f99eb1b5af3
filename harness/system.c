#include "harness/system.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *system_path(const char *path, char *full, size_t capacity) {
    const char *root = getenv("VAEMARK_SYSTEM_ROOT");
    snprintf(full, capacity, "%s%s", root ? root : "", path);
    return full;
}

static FILE *open_file(const char *path) {
    char full[4096];
    return fopen(system_path(path, full, sizeof full), "re");
}

bool system_read_text(const char *path, char *text, size_t capacity) {
    FILE *file = open_file(path);
    size_t length = file ? fread(text, 1, capacity - 1, file) : 0;
    text[length] = '\0';
    if (file) {
        fclose(file);
    }
    return length > 0;
}

bool system_read_line(const char *path, char *line, size_t capacity) {
    bool found = system_read_text(path, line, capacity);
    line[strcspn(line, "\n")] = '\0';
    return found;
}

bool system_read_field(const char *path, const char *name, char *value, size_t capacity) {
    char line[4096];
    size_t length = strlen(name);
    bool found = false;
    value[0] = '\0';
    FILE *file = open_file(path);
    while (file && !found && fgets(line, sizeof line, file)) {
        size_t gap = strspn(line + (strncmp(line, name, length) == 0 ? length : strlen(line)), " \t:");
        if (gap > 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(value, capacity, "%s", line + length + gap);
            found = true;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

static double number_of(const char *text) {
    char *end = NULL;
    double number = strtod(text, &end);
    return end == text ? (double)NAN : number;
}

double system_read_number(const char *path) {
    char line[256];
    return system_read_line(path, line, sizeof line) ? number_of(line) : (double)NAN;
}

double system_read_number_field(const char *path, const char *name) {
    char value[256];
    return system_read_field(path, name, value, sizeof value) ? number_of(value) : (double)NAN;
}

double system_meminfo_bytes(const char *name) {
    return system_read_number_field("/proc/meminfo", name) * 1024;
}

/* ---- Control groups ---- */

/* What the two versions call the same things. */
static const struct cgroup_version {
    const char *memory_limit, *memory_used, *memory_droppable, *oom_events;
} versions[] = {
    {"memory.max", "memory.current", "inactive_file", "memory.events"},
    {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "memory.oom_control"},
};

static double lower(double a, double b) {
    return a <= b || isnan(b) ? a : b;
}

static double group_number(const char *group, const char *file) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", group, file);
    return system_read_number(path);
}

static double group_field(const char *group, const char *file, const char *name) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", group, file);
    return system_read_number_field(path, name);
}

static void read_memory(const char *group, const struct cgroup_version *version, struct system_cgroup *cgroup) {
    const double no_limit = 0x1p62; /* version 1 writes a number near 2^63, version 2 "max", which is no number */
    double limit = group_number(group, version->memory_limit);
    double used = group_number(group, version->memory_used);
    double droppable = group_field(group, "memory.stat", version->memory_droppable);
    double events = group_field(group, version->oom_events, "oom_kill");
    if (limit < no_limit) {
        double left = limit - used + (droppable > 0 ? droppable : 0);
        cgroup->memory_limit_bytes = lower(limit, cgroup->memory_limit_bytes);
        cgroup->memory_left_bytes = isnan(left) ? cgroup->memory_left_bytes : lower(left, cgroup->memory_left_bytes);
    }
    if (isnan(cgroup->oom_kills)) {
        cgroup->oom_kills = events;
    }
}

static void read_cpu(const char *group, struct system_cgroup *cgroup) {
    char path[1200], line[128];
    double quota = group_number(group, "cpu.cfs_quota_us"), period = group_number(group, "cpu.cfs_period_us");
    snprintf(path, sizeof path, "%s/cpu.max", group);
    if (system_read_line(path, line, sizeof line) && sscanf(line, "%lf %lf", &quota, &period) != 2) {
        quota = (double)NAN;
    }
    if (quota > 0 && period > 0) {
        cgroup->cpu_limit = lower(quota / period, cgroup->cpu_limit);
    }
}

/* From the process's own group up to the mount; a path that only the host sees ends at the mount, which is ours then.
 */
static void read_hierarchy(const char *mount, const char *path, const struct cgroup_version *version,
                           struct system_cgroup *cgroup) {
    char group[1024];
    size_t floor = strlen(mount);
    snprintf(group, sizeof group, "%s%s", mount, path);
    for (;;) {
        read_memory(group, version, cgroup);
        read_cpu(group, cgroup);
        char *slash = strrchr(group, '/');
        if (strlen(group) <= floor || !slash) {
            return;
        }
        *slash = '\0';
    }
}

void system_read_cgroup(struct system_cgroup *cgroup) {
    char text[8192], *rest = NULL;
    const double none = (double)NAN;
    *cgroup = (struct system_cgroup){none, none, none, none};
    system_read_text("/proc/self/cgroup", text, sizeof text);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        char mount[256];
        if (!path) {
            continue;
        }
        *path++ = '\0';
        controllers++;
        path = strcmp(path, "/") == 0 ? path + 1 : path;
        snprintf(mount, sizeof mount, "/sys/fs/cgroup%s%s", *controllers ? "/" : "", controllers);
        read_hierarchy(mount, path, &versions[*controllers ? 1 : 0], cgroup);
    }
    if (isnan(cgroup->oom_kills)) {
        cgroup->oom_kills = system_read_number_field("/proc/vmstat", "oom_kill");
    }
}

double system_memory_available_bytes(void) {
    struct system_cgroup cgroup;
    system_read_cgroup(&cgroup);
    return lower(system_meminfo_bytes("MemAvailable"), cgroup.memory_left_bytes);
}
