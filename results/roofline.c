#include "results/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double NS_PER_S = 1e9;

const char roofline_above[] =
    "FLOPs are those of the direct form, and Winograd's kernels take fewer; the ceiling of multiply-adds is FP32's, "
    "and "
    "AMX's bfloat16 has a higher one; small tensors come from caches, which are faster than the memory that was "
    "measured; and ceilings that were measured while other work ran are too low.";

const char *const roofline_key_names[ROOFLINE_KEYS] = {[ROOFLINE_BY_OP] = "op", [ROOFLINE_BY_KERNEL] = "kernel"};

double roofline_least_ns(const struct roofline *roof, double flops, double bytes) {
    return fmax(flops / roof->flops_per_s, bytes / roof->bytes_per_s) * NS_PER_S; /* fmax leaves a NaN out */
}

const char *roofline_limit(const struct roofline *roof, double flops, double bytes) {
    double compute_s = flops / roof->flops_per_s, bandwidth_s = bytes / roof->bytes_per_s;
    return isnan(compute_s) || isnan(bandwidth_s) ? "" : compute_s >= bandwidth_s ? "compute" : "bandwidth";
}

void roofline_judge(const struct roofline *roof, struct trace_row *step, double profile_ns) {
    double flops = (double)step->flops, bytes = (double)step->bytes;
    step->profile_ns = profile_ns;
    step->flops_per_byte = step->bytes > 0 ? flops / bytes : NAN;
    step->limit = flops > 0 || bytes > 0 ? roofline_limit(roof, flops, bytes) : "";
    if (profile_ns > 0) {
        step->flops_per_s = flops / profile_ns * NS_PER_S;
        step->bytes_per_s = bytes / profile_ns * NS_PER_S;
        step->roof_share = roofline_least_ns(roof, flops, bytes) / profile_ns;
    }
}

const struct profile_row *roofline_find_profile(const struct record *record, const char *case_id) {
    for (size_t i = 0; i < record->tables[TABLE_PROFILES].count; i++) {
        const struct profile_row *row = RECORD_ROW(record, TABLE_PROFILES, i, profile_row);
        if (strcmp(row->case_id, case_id) == 0) {
            return row;
        }
    }
    return NULL;
}

/* ---- Steps ---- */

static int by_time(const void *left, const void *right) {
    const struct trace_row *a = *(const struct trace_row *const *)left, *b = *(const struct trace_row *const *)right;
    return a->profile_ns != b->profile_ns ? (a->profile_ns < b->profile_ns) - (a->profile_ns > b->profile_ns)
                                          : (a->order > b->order) - (a->order < b->order);
}

const struct trace_row **roofline_find_steps(const struct record *record, const char *case_id, size_t *count) {
    const struct trace_row **steps = calloc(record->tables[TABLE_TRACE].count + 1, sizeof *steps);
    *count = 0;
    for (size_t i = 0; steps && i < record->tables[TABLE_TRACE].count; i++) {
        const struct trace_row *row = RECORD_ROW(record, TABLE_TRACE, i, trace_row);
        if (row->profile_ns >= 0 && strcmp(row->case_id, case_id) == 0) {
            steps[(*count)++] = row;
        }
    }
    if (steps) {
        qsort(steps, *count, sizeof(const struct trace_row *), by_time);
    }
    return steps;
}

/* ---- Groups ---- */

static const char *name_of(const struct trace_row *step, enum roofline_key key) {
    return key == ROOFLINE_BY_OP ? step->op : step->kernel;
}

static int by_name(const void *left, const void *right) {
    return strcmp(((const struct roofline_group *)left)->name, ((const struct roofline_group *)right)->name);
}

static int by_group_time(const void *left, const void *right) {
    const struct roofline_group *a = left, *b = right;
    return a->time_ns != b->time_ns ? (a->time_ns < b->time_ns) - (a->time_ns > b->time_ns) : by_name(a, b);
}

static struct roofline_group group_of_one(const struct trace_row *step, enum roofline_key key) {
    double least_ns = step->profile_ns * step->roof_share;
    return (struct roofline_group){.name = name_of(step, key),
                                   .steps = 1,
                                   .time_ns = step->profile_ns,
                                   .flops = (double)step->flops,
                                   .bytes = (double)step->bytes,
                                   .least_ns = least_ns,
                                   .compute_ns = strcmp(step->limit, "compute") == 0 ? least_ns : 0,
                                   .bound_ns = step->limit[0] ? least_ns : 0};
}

static void add_group(struct roofline_group *sum, const struct roofline_group *group) {
    sum->steps += group->steps;
    sum->time_ns += group->time_ns;
    sum->flops += group->flops;
    sum->bytes += group->bytes;
    sum->least_ns += isnan(group->least_ns) && group->time_ns == 0 ? 0 : group->least_ns;
    sum->compute_ns += group->compute_ns;
    sum->bound_ns += group->bound_ns;
}

struct roofline_group *roofline_group_steps(const struct trace_row *const *steps, size_t step_count,
                                            enum roofline_key key, size_t *count) {
    struct roofline_group *groups = calloc(step_count + 1, sizeof *groups);
    size_t found = 0;
    for (size_t i = 0; groups && i < step_count; i++) {
        groups[i] = group_of_one(steps[i], key);
    }
    if (groups) {
        qsort(groups, step_count, sizeof *groups, by_name);
    }
    for (size_t i = 0; groups && i < step_count; i++) {
        if (found > 0 && strcmp(groups[found - 1].name, groups[i].name) == 0) {
            add_group(&groups[found - 1], &groups[i]);
        } else {
            groups[found++] = groups[i];
        }
    }
    if (groups) {
        qsort(groups, found, sizeof *groups, by_group_time);
    }
    *count = found;
    return groups;
}

const char *roofline_group_limit(const struct roofline_group *group) {
    return !(group->bound_ns > 0) ? "" : group->compute_ns >= group->bound_ns / 2 ? "compute" : "bandwidth";
}
