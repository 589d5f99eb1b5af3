/* The roofline: how fast a step could be at best on the machine that it ran on. A step with so many FLOPs and bytes
 * takes at least the time that either ceiling asks for (Williams, Waterman, Patterson, CACM 52(4), 2009). */
#ifndef RESULTS_ROOFLINE_H
#define RESULTS_ROOFLINE_H

#include "results/record.h"

/* The ceilings; NaN: not known. */
struct roofline {
    double flops_per_s, bytes_per_s;
};

/* NaN where no ceiling is known. */
double roofline_least_ns(const struct roofline *roof, double flops, double bytes);
/* "compute" or "bandwidth": the ceiling that asks for more time; "" unless both are known. */
const char *roofline_limit(const struct roofline *roof, double flops, double bytes);
/* Fills in what follows from time, FLOPs, bytes and the ceilings. */
void roofline_judge(const struct roofline *roof, struct trace_row *step, double profile_ns);

/* Why a step may lie above the roofline, in a sentence. */
extern const char roofline_above[];

const struct profile_row *roofline_find_profile(const struct record *record, const char *case_id); /* NULL: none */

/* Steps that have something in common, added up. */
struct roofline_group {
    const char *name;
    size_t steps;
    double time_ns, flops, bytes;
    double least_ns;             /* NaN where no ceiling is known */
    double compute_ns, bound_ns; /* of least_ns: what compute asks for, and what is known whose it is */
};

enum roofline_key { ROOFLINE_BY_OP, ROOFLINE_BY_KERNEL, ROOFLINE_KEYS };
extern const char *const roofline_key_names[ROOFLINE_KEYS];

/* The profiled steps of a case, longest first; allocated, NULL when memory is short. */
const struct trace_row **roofline_find_steps(const struct record *record, const char *case_id, size_t *count);
/* The same in groups, those that took longest first; likewise. */
struct roofline_group *roofline_group_steps(const struct trace_row *const *steps, size_t step_count,
                                            enum roofline_key key, size_t *count);
/* "compute" or "bandwidth": what most of the group's least time is for; "" where unknown. */
const char *roofline_group_limit(const struct roofline_group *group);

#endif
