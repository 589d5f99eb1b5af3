/* What doctor makes of machines that it does not run on, made of files in a folder, and what it advises. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/doctor/doctor.h"
#include "tests/harness/support_root.h"

static void set_up(void) {
    support_root_make();
    setenv("OMP_PROC_BIND", "close", 1);
}

static void put_cache(int index, const char *level, const char *type, const char *size, const char *shared) {
    const struct {
        const char *name, *text;
    } files[] = {{"level", level}, {"type", type}, {"size", size}, {"shared_cpu_list", shared}};
    for (size_t i = 0; i < 4; i++) {
        char path[160];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, files[i].name);
        support_root_put(path, files[i].text);
    }
}

/* Two sockets of two cores of two threads each. */
static void put_big_machine(void) {
    support_root_put("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"
                                      "model name\t: Intel(R) Xeon(R) Platinum 8480+\ncpu MHz\t\t: 2000.000\n"
                                      "flags\t\t: fpu sse4_2 avx avx2 fma avx512f amx_bf16 hypervisor\n");
    for (int cpu = 0; cpu < 8; cpu++) {
        char path[160], text[8];
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        support_root_put(path, cpu / 2 % 2 ? "1\n" : "0\n");
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        snprintf(text, sizeof text, "%d\n", cpu % 2);
        support_root_put(path, text);
    }
    support_root_put("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,4\n");
    support_root_put("/sys/devices/system/cpu/online", "0-3,4-7\n");
    support_root_put("/sys/devices/system/node/online", "0-1\n");
    put_cache(0, "1\n", "Data\n", "48K\n", "0,4\n");
    put_cache(1, "1\n", "Instruction\n", "32K\n", "0,4\n");
    put_cache(2, "2\n", "Unified\n", "2048K\n", "0,4\n");
    put_cache(3, "3\n", "Unified\n", "105M\n", "0-1,4-5\n");
    support_root_put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    support_root_put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "3800000\n");
    support_root_put("/sys/devices/system/cpu/intel_pstate/no_turbo", "0\n");
    support_root_put("/sys/class/dmi/id/sys_vendor", "QEMU\n");
    support_root_put("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    support_root_put("/proc/meminfo",
                     "MemTotal: 8000 kB\nMemAvailable: 6000 kB\nSwapTotal: 1000000 kB\nSwapFree: 400000 kB\n");
    support_root_put("/proc/loadavg", "7.50 3.00 1.00 1/100 5\n");
    support_root_put("/proc/stat", "cpu  100 0 100 700 0 0 0 100 0 0\n");
    support_root_put("/proc/self/cgroup", "0::/\n");
    support_root_put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    support_root_put("/.dockerenv", "");
}

TestSuite(doctor, .init = set_up, .fini = support_root_remove);

Test(doctor, reads_a_machine) {
    struct machine m;
    put_big_machine();
    machine_read(&m);
    cr_expect_str_eq(m.cpu_model, "Intel(R) Xeon(R) Platinum 8480+");
    cr_expect_eq(m.cpu_family, 6);
    cr_expect_eq(m.cpu_model_number, 143);
    cr_expect_str_eq(m.instruction_sets, "sse4_2 avx avx2 fma avx512f amx_bf16");
    cr_expect_eq(m.sockets, 2);
    cr_expect_eq(m.cores, 4);
    cr_expect_eq(m.threads_online, 8);
    cr_expect_eq(m.siblings, 2);
    cr_expect_eq(m.numa_nodes, 2);
    cr_assert_eq(m.cache_count, 4);
    cr_expect_eq(machine_find_cache(&m, 1)->size_bytes, 48 << 10);
    cr_expect_eq(machine_find_cache(&m, 3)->size_bytes, 105 << 20);
    cr_expect_eq(machine_find_cache(&m, 3)->shared_by, 4);
    cr_expect_null(machine_find_cache(&m, 4));
    cr_expect_str_eq(m.governor, "powersave");
    cr_expect_eq(m.clock_limit_hz, 3.8e9);
    cr_expect_eq(m.clock_now_hz, 2e9);
    cr_expect_eq(m.turbo, 1);
    cr_expect_eq(m.virtual_machine, 1);
    cr_expect_str_eq(m.hypervisor, "QEMU");
    cr_expect(m.container);
    cr_expect_str_eq(m.huge_pages, "never");
    cr_expect_eq(m.load[0], 7.5);
    cr_expect_eq(m.steal_share, 0.1);
    cr_expect_eq(m.cgroup.cpu_limit, 1.5);
    cr_expect_eq(machine_flops_per_cycle(&m, "avx512"), 64);
    cr_expect_eq(machine_flops_per_cycle(&m, "avx2"), 32);
}

Test(doctor, nothing_there_is_unknown) {
    struct machine m;
    machine_read(&m);
    cr_expect_str_eq(m.cpu_model, "");
    cr_expect_eq(m.sockets, 0);
    cr_expect_eq(m.cores, 0);
    cr_expect_eq(m.cache_count, 0);
    cr_expect_eq(m.turbo, -1);
    cr_expect_eq(m.virtual_machine, -1);
    cr_expect(isnan(m.memory_total_bytes) && isnan(m.load[0]) && isnan(m.steal_share) && isnan(m.clock_now_hz));
    cr_expect(isnan(machine_flops_per_cycle(&m, "avx2")));
    cr_expect_gt(m.threads_usable, 0);
}

/* ARM's cpuinfo has other names. */
Test(doctor, knows_an_arm) {
    struct machine m;
    support_root_put("/proc/cpuinfo",
                     "processor\t: 0\nFeatures\t: fp asimd sve bf16\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n");
    machine_read(&m);
    cr_expect_str_eq(m.instruction_sets, "asimd sve bf16");
    cr_expect_eq(machine_flops_per_cycle(&m, "portable"), 32);
    cr_expect_eq(m.virtual_machine, -1);
}

static const struct advice *find(const struct doctor *doctor, const char *id) {
    for (size_t i = 0; i < doctor->advice.count; i++) {
        if (strcmp(doctor->advice.items[i].id, id) == 0) {
            return &doctor->advice.items[i];
        }
    }
    return NULL;
}

static json_t *folder(const char *name, bool writable, json_int_t free_bytes) {
    return json_pack("{s:s, s:s, s:b, s:b, s:I}", "name", name, "path", "/x", "found", 1, "writable", (int)writable,
                     "free_bytes", free_bytes);
}

static void make_doctor(struct doctor *doctor, bool cache_writable, bool gnuplot) {
    *doctor = (struct doctor){.noise = {.smallest_difference = 0.001, .run_delay_share = (double)NAN}};
    machine_read(&doctor->machine);
    doctor->machine.threads_usable = 8; /* not read from files */
    doctor->folders = json_pack("[o, o]", folder("cache", cache_writable, (json_int_t)1 << 40),
                                folder("data", true, (json_int_t)1 << 40));
    doctor->tools = json_pack("[{s:s, s:b, s:s}]", "name", "gnuplot", "available", (int)gnuplot, "wanted_for", "plots");
    doctor_advise(doctor);
    json_decref(doctor->folders);
    json_decref(doctor->tools);
}

Test(doctor, advises_what_the_machine_needs) {
    static const char *const wanted[] = {"cache-folder", "cpu-quota", "memory", "steal",      "other-load", "governor",
                                         "smt",          "numa",      "swap",   "huge-pages", "gnuplot"};
    struct doctor doctor;
    put_big_machine();
    make_doctor(&doctor, false, false);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cr_expect(find(&doctor, wanted[i]), "no advice about %s", wanted[i]);
    }
    cr_expect_eq(doctor.advice.count, sizeof wanted / sizeof *wanted);
    cr_expect_str_eq(find(&doctor, "cpu-quota")->command, "vaemark run --threads 1");
    cr_expect_str_eq(find(&doctor, "smt")->command, "vaemark run --threads 4");
    for (size_t i = 0; i < doctor.advice.count; i++) {
        cr_expect(doctor.advice.items[i].command[0] && doctor.advice.items[i].text[0]);
    }
}

/* What does not work at all first, what is merely missing last, and within a group by share. */
Test(doctor, advice_is_ordered_by_effect) {
    struct doctor doctor;
    put_big_machine();
    make_doctor(&doctor, false, false);
    cr_assert_geq(doctor.advice.count, 2);
    cr_expect_str_eq(doctor.advice.items[0].id, "cache-folder");
    cr_expect_str_eq(doctor.advice.items[1].id, "cpu-quota");
    cr_expect_str_eq(doctor.advice.items[doctor.advice.count - 1].id, "gnuplot");
    for (size_t i = 1; i < doctor.advice.count; i++) {
        const struct advice *before = &doctor.advice.items[i - 1], *after = &doctor.advice.items[i];
        cr_expect_leq(before->effect, after->effect);
        cr_expect(before->effect != after->effect || isnan(after->share) || before->share >= after->share);
    }
}

Test(doctor, a_machine_in_order_needs_nothing) {
    struct doctor doctor;
    put_big_machine();
    support_root_put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    support_root_put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    support_root_put("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0\n");
    support_root_put("/sys/devices/system/node/online", "0\n");
    support_root_put("/proc/meminfo",
                     "MemTotal: 80000000 kB\nMemAvailable: 60000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
    support_root_put("/proc/loadavg", "0.10 0.00 0.00 1/100 5\n");
    support_root_put("/proc/stat", "cpu  100 0 100 700 0 0 0 1 0 0\n");
    support_root_put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    make_doctor(&doctor, true, true);
    cr_expect_eq(doctor.advice.count, 0, "%s", doctor.advice.items[0].text);
}
