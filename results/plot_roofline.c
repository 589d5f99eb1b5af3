/* How close the steps of a profiled decode come to the roofline: a panel a case. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/plot_build.h"
#include "results/roofline.h"

enum {
    MOST_PANELS = 6,
    MOST_KERNELS = 256, /* told apart; a trace may claim anything */
    MOST_SHOWN = 7,     /* colours that are told apart; the rest is grey */
    MOST_POINTS = 100,  /* a panel */
};

static const double LEAST_SHARE = 0.001; /* of the time: who takes less would only stretch the axes */

static bool has_profile(const struct record *record, const struct case_row *row, struct plot_candidate *candidate,
                        const void *context) {
    const struct profile_row *profile = roofline_find_profile(record, row->id);
    (void)context;
    candidate->rank = profile ? profile->steps_ns : 0;
    return candidate->rank > 0 && profile->peak_flops_per_s > 0 && isfinite(profile->peak_flops_per_s);
}

/* ---- Points ---- */

/* All steps of one kernel that do and move the same. */
struct shape_sum {
    const struct trace_row *step;
    double time_ns, flops, bytes;
};

static int by_shape(const void *left, const void *right) {
    const struct trace_row *a = ((const struct shape_sum *)left)->step, *b = ((const struct shape_sum *)right)->step;
    return a->flops != b->flops   ? (a->flops > b->flops) - (a->flops < b->flops)
           : a->bytes != b->bytes ? (a->bytes > b->bytes) - (a->bytes < b->bytes)
                                  : strcmp(a->kernel, b->kernel);
}

static int by_time(const void *left, const void *right) {
    const struct shape_sum *a = left, *b = right;
    return a->time_ns != b->time_ns ? (a->time_ns < b->time_ns) - (a->time_ns > b->time_ns) : by_shape(left, right);
}

/* Steps with FLOPs, which have a place on a logarithmic axis, as sums, the longest first. */
static struct shape_sum *sum_shapes(const struct trace_row *const *steps, size_t step_count, size_t *count) {
    struct shape_sum *sums = calloc(step_count + 1, sizeof *sums);
    size_t used = 0;
    *count = 0;
    for (size_t i = 0; sums && i < step_count; i++) {
        if (steps[i]->flops > 0 && steps[i]->bytes > 0 && steps[i]->profile_ns > 0) {
            sums[used++] =
                (struct shape_sum){steps[i], steps[i]->profile_ns, (double)steps[i]->flops, (double)steps[i]->bytes};
        }
    }
    if (sums) {
        qsort(sums, used, sizeof *sums, by_shape);
    }
    for (size_t i = 0; sums && i < used; i++) {
        struct shape_sum *last = *count ? &sums[*count - 1] : NULL;
        if (last && by_shape(last, &sums[i]) == 0) {
            last->time_ns += sums[i].time_ns;
            last->flops += sums[i].flops;
            last->bytes += sums[i].bytes;
        } else {
            sums[(*count)++] = sums[i];
        }
    }
    if (sums) {
        qsort(sums, *count, sizeof *sums, by_time);
    }
    return sums;
}

/* ---- Kernels: their colours ---- */

struct kernel {
    const char *name;
    double weight; /* its shares of time, summed over the panels: each case counts the same */
};

struct kernels {
    struct kernel items[MOST_KERNELS];
    size_t count, shown;
    bool others;
};

static void weigh_kernel(struct kernels *kernels, const char *name, double weight) {
    size_t i = 0;
    while (i < kernels->count && strcmp(kernels->items[i].name, name) != 0) {
        i++;
    }
    if (i == kernels->count && i < MOST_KERNELS) {
        kernels->items[kernels->count++] = (struct kernel){.name = name};
    }
    if (i < kernels->count) {
        kernels->items[i].weight += weight;
    }
}

static int by_weight(const void *left, const void *right) {
    const struct kernel *a = left, *b = right;
    return a->weight != b->weight ? (a->weight < b->weight) - (a->weight > b->weight) : strcmp(a->name, b->name);
}

static int series_of(struct kernels *kernels, const char *name) {
    for (size_t i = 0; i < kernels->shown; i++) {
        if (strcmp(kernels->items[i].name, name) == 0) {
            return (int)i;
        }
    }
    kernels->others = true;
    return PLOT_SERIES_GREY;
}

/* ---- Panels ---- */

struct panel_source {
    const struct case_row *row;
    const struct profile_row *profile;
    struct shape_sum *sums;
    size_t count;
};

static bool read_source(struct panel_source *source, const struct record *record, const struct case_row *row,
                        struct kernels *kernels) {
    size_t step_count = 0;
    const struct trace_row **steps = roofline_find_steps(record, row->id, &step_count);
    *source = (struct panel_source){.row = row, .profile = roofline_find_profile(record, row->id)};
    source->sums = steps ? sum_shapes(steps, step_count, &source->count) : NULL;
    for (size_t i = 0; i < source->count; i++) {
        weigh_kernel(kernels, source->sums[i].step->kernel, source->sums[i].time_ns / source->profile->steps_ns);
    }
    free(steps);
    return source->sums != NULL;
}

static void write_note(char note[PLOT_NOTE_BYTES], const struct panel_source *source, size_t drawn, double drawn_ns) {
    double left_ns = source->profile->steps_ns - drawn_ns;
    snprintf(note, PLOT_NOTE_BYTES, "%s of steps, %.3g %% of it not drawn: %s",
             format_time(source->profile->steps_ns).text, 100 * fmax(0, left_ns) / source->profile->steps_ns,
             drawn < source->count ? "steps without FLOPs, and the shortest ones" : "steps without FLOPs");
}

static void add_panel(struct plot *plot, const struct record *record, const struct panel_source *source,
                      struct kernels *kernels) {
    struct plot_panel *panel = plot_add_panel(plot);
    size_t drawn = 0;
    double drawn_ns = 0;
    while (drawn < source->count && drawn < MOST_POINTS &&
           source->sums[drawn].time_ns >= LEAST_SHARE * source->profile->steps_ns) {
        drawn++;
    }
    for (size_t i = 0; panel && i < drawn; i++) {
        const struct shape_sum *sum = &source->sums[i];
        drawn_ns += sum->time_ns;
        plot_add_point(plot, &(struct plot_point){.flops_per_byte = sum->flops / sum->bytes,
                                                  .flops_per_s = sum->flops / sum->time_ns * 1e9,
                                                  .time_share = sum->time_ns / source->profile->steps_ns,
                                                  .series = series_of(kernels, sum->step->kernel)});
    }
    if (panel) {
        plot_label(panel->label, record, source->row, true);
        write_note(panel->note, source, drawn, drawn_ns);
        panel->peak_flops_per_s = source->profile->peak_flops_per_s;
        panel->peak_bytes_per_s = source->profile->peak_bytes_per_s;
    }
}

static void build(struct plot *plot, const struct record *record, struct kernels *kernels) {
    struct panel_source sources[MOST_PANELS] = {{0}};
    size_t count = 0;
    plot->without = "Without a profile that has times and ceilings";
    struct plot_candidate *chosen =
        plot_choose(plot, record, has_profile, NULL, MOST_PANELS, "slowest workloads", &count);
    for (size_t i = 0; i < count; i++) {
        plot->short_of_memory |= !read_source(&sources[i], record, chosen[i].row, kernels);
    }
    qsort(kernels->items, kernels->count, sizeof kernels->items[0], by_weight);
    kernels->shown = kernels->count < MOST_SHOWN ? kernels->count : MOST_SHOWN;
    for (size_t i = 0; i < kernels->shown; i++) {
        plot_add_series(plot, kernels->items[i].name[0] ? kernels->items[i].name : "(no name)", PLOT_MARK_BAR, (int)i);
    }
    for (size_t i = 0; i < count; i++) {
        add_panel(plot, record, &sources[i], kernels);
        free(sources[i].sums);
    }
    if (kernels->others) {
        plot_add_series(plot, "other kernels", PLOT_MARK_BAR, PLOT_SERIES_GREY);
    }
    free(chosen);
}

void plot_build_roofline(struct plot *plot, const struct record *record) {
    struct kernels *kernels = calloc(1, sizeof *kernels);
    plot->short_of_memory |= !kernels;
    if (kernels) {
        build(plot, record, kernels);
    }
    free(kernels);
}
