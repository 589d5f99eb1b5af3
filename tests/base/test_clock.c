#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, goes_forward_in_nanoseconds) {
    const int64_t start_ns = clock_monotonic_ns(), cpu_start_ns = clock_process_cpu_ns();
    volatile double sink = 0;
    int64_t end_ns, cpu_end_ns;

    for (int i = 0; i < 10000000; i++) {
        sink = sink + i;
    }
    cpu_end_ns = clock_process_cpu_ns();
    end_ns = clock_monotonic_ns();
    cr_expect_gt(cpu_end_ns, cpu_start_ns + 100000, "ten million additions take more than 0.1 ms");
    cr_expect_geq(end_ns - start_ns, cpu_end_ns - cpu_start_ns - 1000000, "one thread uses no more CPU than time");
}

/* Counters never run backwards; where the kernel has none they stay -1. */
Test(clock, reads_usage) {
    struct process_usage before, after;

    process_usage_read(&before);
    for (volatile int i = 0; i < 1000000; i++) {
    }
    process_usage_read(&after);
    cr_expect_gt(after.cpu_ns, before.cpu_ns);
    cr_expect_gt(before.minor_faults, 0, "a process that runs has touched memory");
    cr_expect_geq(after.minor_faults, before.minor_faults);
    cr_expect(after.run_delay_ns == -1 || after.run_delay_ns >= before.run_delay_ns);
    cr_expect(after.steal_ns == -1 || after.steal_ns >= before.steal_ns);
    cr_expect_geq(after.involuntary_switches, before.involuntary_switches);
}
