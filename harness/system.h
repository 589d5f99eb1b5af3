/* What the kernel tells in small files of /proc, /sys and /etc. All of them may be missing (containers, other
 * architectures), and nothing here fails because of that: a text is then "", a number NaN.
 *
 * $VAEMARK_SYSTEM_ROOT names a folder that stands for /: so tests show machines that they do not run on. */
#ifndef HARNESS_SYSTEM_H
#define HARNESS_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

/* The file's path below the root. */
const char *system_path(const char *path, char *full, size_t capacity);
/* The whole file, cut off at the capacity; false and "" when there is none. */
bool system_read_text(const char *path, char *text, size_t capacity);
/* Its first line. */
bool system_read_line(const char *path, char *line, size_t capacity);
/* The value of the first line "name : value" or "name value". */
bool system_read_field(const char *path, const char *name, char *value, size_t capacity);
/* The number that the first line starts with. */
double system_read_number(const char *path);
double system_read_number_field(const char *path, const char *name);
/* Of /proc/meminfo, "MemTotal", in bytes. */
double system_meminfo_bytes(const char *name);

/* The limits of the control groups that this process is in, versions 1 and 2. NaN: none, or unknown. */
struct system_cgroup {
    double memory_limit_bytes; /* the lowest on the way up */
    double memory_left_bytes;  /* the least left under any of them; page cache that can be dropped counts as left */
    double cpu_limit;          /* CPUs' worth of time */
    double oom_kills;          /* processes that the kernel's out-of-memory killer ended so far */
};
void system_read_cgroup(struct system_cgroup *cgroup);

/* Bytes that can be had without swapping and without breaking a cgroup's limit. */
double system_memory_available_bytes(void);

#endif
