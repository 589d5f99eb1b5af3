/* The profile of a case: where its time goes and how close that is to the roofline, by op, by kernel and by step. */
#include <math.h>
#include <stdlib.h>

#include "results/format.h"
#include "results/roofline.h"
#include "results/show.h"

enum { STEP_LINES = 10 };

/* One line of any of the tables; `steps` 0: not told. */
struct profile_line {
    double time_ns, total_ns, flops, bytes, roof_share;
    size_t steps;
    const char *limit;
};

static void print_heading(FILE *out, const char *what, bool steps) {
    fprintf(out, "  %9s  %7s  %5s  %10s  %8s  %7s  %-9s  %7s  %s\n", "time", "share", steps ? "steps" : "", "FLOP/s",
            "B/s", "FLOP/B", "limit", "of roof", what);
}

static void print_line(FILE *out, const struct profile_line *line) {
    char steps[24] = "", roof[24] = "-";
    double per_second = 1e9 / line->time_ns;
    if (line->steps > 0) {
        snprintf(steps, sizeof steps, "%zu", line->steps);
    }
    if (isfinite(line->roof_share)) {
        snprintf(roof, sizeof roof, "%.1f %%", 100 * line->roof_share);
    }
    bool flops = line->flops > 0, bytes = line->bytes > 0;
    fprintf(out, "  %9s  %5.1f %%  %5s  %10s  %8s  %7s  %-9s  %7s  ", format_time(line->time_ns).text,
            100 * line->time_ns / line->total_ns, steps, format_scaled(flops ? line->flops * per_second : NAN).text,
            format_scaled(bytes ? line->bytes * per_second : NAN).text,
            flops && bytes ? format_number(round(10 * line->flops / line->bytes) / 10).text : "-",
            line->limit[0] ? line->limit : "-", roof);
}

static void print_groups(FILE *out, const struct profile_row *profile, const struct trace_row *const *steps,
                         size_t step_count, enum roofline_key key) {
    size_t count = 0;
    struct roofline_group *groups = roofline_group_steps(steps, step_count, key, &count);
    fprintf(out, "\n");
    print_heading(out, roofline_key_names[key], true);
    for (size_t i = 0; i < count; i++) {
        const struct roofline_group *group = &groups[i];
        struct profile_line line = {.time_ns = group->time_ns,
                                    .total_ns = profile->steps_ns,
                                    .flops = group->flops,
                                    .bytes = group->bytes,
                                    .roof_share = group->least_ns / group->time_ns,
                                    .steps = group->steps,
                                    .limit = roofline_group_limit(group)};
        print_line(out, &line);
        fprintf(out, "%s\n", group->name[0] ? group->name : "(no name)");
    }
    free(groups);
}

static struct profile_line line_of_step(const struct profile_row *profile, const struct trace_row *step) {
    return (struct profile_line){.time_ns = step->profile_ns,
                                 .total_ns = profile->steps_ns,
                                 .flops = (double)step->flops,
                                 .bytes = (double)step->bytes,
                                 .roof_share = step->roof_share,
                                 .limit = step->limit};
}

static void print_longest(FILE *out, const struct profile_row *profile, const struct trace_row *const *steps,
                          size_t step_count) {
    fprintf(out, "\n");
    print_heading(out, "step", false);
    for (size_t i = 0; i < step_count && i < STEP_LINES; i++) {
        const struct profile_line line = line_of_step(profile, steps[i]);
        print_line(out, &line);
        fprintf(out, "%s %s %s\n", steps[i]->op, steps[i]->kernel, steps[i]->module);
    }
    if (step_count > STEP_LINES) {
        fprintf(out, "  ... the %d longest of %zu; 'show --csv trace' has all\n", STEP_LINES, step_count);
    }
}

static bool any_above_roof(const struct trace_row *const *steps, size_t count) {
    size_t i = 0;
    while (i < count && !(steps[i]->roof_share > 1)) {
        i++;
    }
    return i < count;
}

static void print_head(FILE *out, const struct profile_row *profile, size_t step_count) {
    fprintf(out, "\nprofile: %lld decode%s of %s (median) after the timed ones; %zu step%s, %s in all\n",
            (long long)profile->decodes, profile->decodes == 1 ? "" : "s", format_time(profile->decode_ns).text,
            step_count, step_count == 1 ? "" : "s", format_time(profile->steps_ns).text);
    if (profile->peak_flops_per_s > 0) {
        bool bandwidth = isfinite(profile->peak_bytes_per_s);
        fprintf(out, "  ceilings, measured: compute %sFLOP/s (%s), bandwidth %s%s; %lld thread%s\n",
                format_scaled(profile->peak_flops_per_s).text, profile->isa,
                bandwidth ? format_scaled(profile->peak_bytes_per_s).text : "not measured", bandwidth ? "B/s" : "",
                (long long)profile->threads, profile->threads == 1 ? "" : "s");
    }
    if (profile->note[0]) {
        fprintf(out, "  %s\n", profile->note);
    }
}

bool show_profile(FILE *out, const struct record *record, const char *case_id) {
    size_t count = 0;
    const struct profile_row *profile = roofline_find_profile(record, case_id);
    const struct trace_row **steps = profile ? roofline_find_steps(record, case_id, &count) : NULL;
    if (profile && count == 0) {
        fprintf(out, "\nprofile: none, %s\n", profile->note[0] ? profile->note : "no step was recorded");
    }
    if (count > 0) {
        print_head(out, profile, count);
        for (int key = 0; key < ROOFLINE_KEYS; key++) {
            print_groups(out, profile, steps, count, (enum roofline_key)key);
        }
        print_longest(out, profile, steps, count);
        if (any_above_roof(steps, count)) {
            fprintf(out, "  Above 100 %%: %s\n", roofline_above);
        }
    }
    free(steps);
    return count > 0;
}

void show_profiles(FILE *out, const struct record *record) {
    size_t told = 0;
    for (size_t i = 0; i < record->tables[TABLE_PROFILES].count; i++) {
        size_t count = 0;
        const struct profile_row *profile = RECORD_ROW(record, TABLE_PROFILES, i, profile_row);
        const struct trace_row **steps = roofline_find_steps(record, profile->case_id, &count);
        if (count > 0) {
            if (told++ == 0) {
                fprintf(out, "\nthe longest step of each profiled case:\n");
                print_heading(out, "case, kernel", false);
            }
            const struct profile_line line = line_of_step(profile, steps[0]);
            print_line(out, &line);
            fprintf(out, "%s %s\n", profile->case_id, steps[0]->kernel);
        }
        free(steps);
    }
}
