/* What is read of /proc and /sys, on machines made of a folder: both versions of cgroups, and files that are missing.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/system.h"
#include "harness/worker/host.h"
#include "harness/worker/memory_limit.h"
#include "tests/harness/support_root.h"

TestSuite(system, .init = support_root_make, .fini = support_root_remove);

Test(system, missing_files_are_unknown) {
    struct system_cgroup cgroup;
    char text[16];
    cr_expect_not(system_read_line("/proc/cpuinfo", text, sizeof text));
    cr_expect_str_eq(text, "");
    cr_expect_not(system_read_field("/proc/cpuinfo", "model", text, sizeof text));
    cr_expect(isnan(system_read_number("/proc/loadavg")));
    cr_expect(isnan(system_memory_available_bytes()));
    system_read_cgroup(&cgroup);
    cr_expect(isnan(cgroup.memory_limit_bytes) && isnan(cgroup.memory_left_bytes));
    cr_expect(isnan(cgroup.cpu_limit) && isnan(cgroup.oom_kills));
    cr_expect_eq(memory_limit_default(), MEMORY_LIMIT_NONE);
}

Test(system, fields_are_whole_names) {
    char text[16];
    support_root_put("/proc/x", "model name\t: long\nmodel\t\t: 85\noom_kill_disable 0\noom_kill 7\nempty\n");
    cr_expect(system_read_field("/proc/x", "model", text, sizeof text));
    cr_expect_str_eq(text, "name\t: long", "the first that fits; callers ask for the whole name");
    cr_expect(system_read_field("/proc/x", "model name", text, sizeof text));
    cr_expect_str_eq(text, "long");
    cr_expect_eq(system_read_number_field("/proc/x", "oom_kill"), 7);
    cr_expect(isnan(system_read_number_field("/proc/x", "oom")));
}

Test(system, version_2_of_cgroups) {
    struct system_cgroup cgroup;
    support_root_put("/proc/self/cgroup", "0::/user/job\n");
    support_root_put("/sys/fs/cgroup/user/job/memory.max", "max\n");
    support_root_put("/sys/fs/cgroup/user/job/memory.events", "low 0\noom 3\noom_kill 2\n");
    support_root_put("/sys/fs/cgroup/user/memory.max", "1000000\n");
    support_root_put("/sys/fs/cgroup/user/memory.current", "400000\n");
    support_root_put("/sys/fs/cgroup/user/memory.stat", "anon 1\ninactive_file 50000\n");
    support_root_put("/sys/fs/cgroup/user/job/cpu.max", "150000 100000\n");
    support_root_put("/sys/fs/cgroup/user/cpu.max", "max 100000\n");
    support_root_put("/proc/meminfo", "MemAvailable: 100000 kB\n");
    system_read_cgroup(&cgroup);
    cr_expect_eq(cgroup.memory_limit_bytes, 1000000);
    cr_expect_eq(cgroup.memory_left_bytes, 650000);
    cr_expect_eq(cgroup.cpu_limit, 1.5);
    cr_expect_eq(cgroup.oom_kills, 2);
    cr_expect_eq(system_memory_available_bytes(), 650000);
    cr_expect_eq(memory_limit_default(), 256 << 20, "never less than that");
}

/* As in a container: the path is the host's, and the mount shows our group at its root. */
Test(system, version_1_of_cgroups) {
    struct system_cgroup cgroup;
    support_root_put("/proc/self/cgroup", "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n");
    support_root_put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n");
    support_root_put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500000\n");
    support_root_put("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    support_root_put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
    support_root_put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    system_read_cgroup(&cgroup);
    cr_expect_eq(cgroup.memory_limit_bytes, 2000000);
    cr_expect_eq(cgroup.memory_left_bytes, 1500000);
    cr_expect_eq(cgroup.cpu_limit, 0.5);
    cr_expect_eq(cgroup.oom_kills, 4);
    support_root_put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    support_root_put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    system_read_cgroup(&cgroup);
    cr_expect(isnan(cgroup.memory_limit_bytes) && isnan(cgroup.cpu_limit), "the largest number means no limit");
}

Test(system, sizes) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"4GiB", (uint64_t)4 << 30}, {"512MiB", 512 << 20}, {"1.5 GiB", 3 << 29},       {"2GB", 2000000000},
                {"1048576", 1 << 20},        {"1M", 1 << 20},       {"none", MEMORY_LIMIT_NONE}};
    static const char *const bad[] = {"", "12", "none!", "4gibs", "-4GiB", "nan", "1e40GiB", " 4GiB", "4GiB ", "4iB"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect_eq(memory_limit_parse(good[i].text, &bytes, NULL), VAEMARK_OK, "%s", good[i].text);
        cr_expect_eq(bytes, good[i].bytes, "%s", good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(memory_limit_parse(bad[i], &bytes, NULL), VAEMARK_INVALID_ARGUMENT, "'%s' was taken", bad[i]);
}

/* A process that holds more than it may already gets no large block; small ones do not make a look worth its time. */
Test(system, the_host_looks_at_the_process) {
    enum { LARGE_BYTES = 2 << 20 };
    struct host *host = host_create();
    const struct vaemark_host *abi = host_abi(host);
    host_set_limit(host, &(struct host_limit){.live_bytes = 2 * LARGE_BYTES, .process_bytes = LARGE_BYTES / 2});
    cr_expect_null(abi->allocate(abi->user, LARGE_BYTES, 64, VAEMARK_MEMORY_WORKSPACE));
    cr_expect(abi->allocate(abi->user, 1000, 64, VAEMARK_MEMORY_WORKSPACE));
    host_set_limit(host, &(struct host_limit){.live_bytes = 2 * LARGE_BYTES, .process_bytes = (uint64_t)1 << 40});
    cr_expect(abi->allocate(abi->user, LARGE_BYTES, 64, VAEMARK_MEMORY_WORKSPACE));
    host_free(host);
}

/* What lives counts, over all classes; what was returned does not. */
Test(system, the_host_refuses_above_the_limit) {
    struct host *host = host_create();
    const struct vaemark_host *abi = host_abi(host);
    host_set_limit(host, &(struct host_limit){.live_bytes = 1000});
    void *weights = abi->allocate(abi->user, 600, 64, VAEMARK_MEMORY_WEIGHTS);
    void *first = abi->allocate(abi->user, 400, 64, VAEMARK_MEMORY_WORKSPACE);
    cr_expect(weights && first);
    cr_expect_null(abi->allocate(abi->user, 1, 64, VAEMARK_MEMORY_ACTIVATIONS));
    cr_expect_null(abi->allocate(abi->user, SIZE_MAX, 64, VAEMARK_MEMORY_ACTIVATIONS));
    abi->release(abi->user, first);
    void *second = abi->allocate(abi->user, 400, 64, VAEMARK_MEMORY_ACTIVATIONS);
    cr_expect(second);
    cr_expect(host_check_guards(host));
    host_free(host);
}
