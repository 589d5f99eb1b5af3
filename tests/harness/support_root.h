/* A machine made of a folder: what is read of /proc and /sys comes from there. One a test's process. */
#ifndef TESTS_HARNESS_SUPPORT_ROOT_H
#define TESTS_HARNESS_SUPPORT_ROOT_H

/* To be .init and .fini of a suite. Names the folder in $VAEMARK_SYSTEM_ROOT. */
void support_root_make(void);
void support_root_remove(void);
/* A file of that machine, as "/proc/meminfo", with its folders. */
void support_root_put(const char *path, const char *text);

#endif
