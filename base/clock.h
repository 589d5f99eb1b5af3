/* Clocks and what the kernel knows about this process. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_ns(void);
int64_t clock_process_cpu_ns(void); /* all threads */

struct process_usage {
    int64_t cpu_ns, run_delay_ns, involuntary_switches, minor_faults, major_faults, steal_ns;
};
/* run_delay_ns: sum over /proc/self/task/TID/schedstat; steal_ns: of the whole machine, from /proc/stat. -1 where
 * unknown. */
void process_usage_read(struct process_usage *usage);

#endif
