/* What this machine and this build are: the facts that a result file carries. */
#ifndef HARNESS_ENVIRONMENT_H
#define HARNESS_ENVIRONMENT_H

#include "results/record.h"

/* Adds the facts (CPU, caches, memory, kernel, compiler, libraries, load, ...). What cannot be found out is "unknown".
 */
bool environment_record(struct record *record);
/* The instruction sets that decoders choose among, out of all that the CPU has, separated by spaces. */
void environment_instruction_sets(char *found, size_t capacity);
/* CPUs that this process may run on. */
int environment_cpu_count(void);

#endif
