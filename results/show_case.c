/* One case, everything that was recorded of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/show.h"
#include "results/statistics.h"

enum { LABEL_WIDTH = 14, TRACE_LINES = 10 };

static void print_label(FILE *out, const char *label) {
    fprintf(out, "  %-*s", LABEL_WIDTH, label);
}

static void print_text(FILE *out, const char *label, const char *text) {
    if (text[0]) {
        print_label(out, label);
        fprintf(out, "%s\n", text);
    }
}

static void print_head(FILE *out, const struct case_row *row) {
    fprintf(out, "%s: %s\n", row->id, row->outcome);
    print_text(out, "reason", row->reason);
    print_text(out, "repeat", row->repro);
    print_label(out, "decoder");
    fprintf(out, "%s (backend %s, precision %s, options %s", row->decoder, row->backend, row->precision, row->options);
    if (row->threads > 0) { /* 0: as many as the decoder likes */
        fprintf(out, ", %lld thread%s", (long long)row->threads, row->threads == 1 ? "" : "s");
    }
    fprintf(out, ")\n");
    print_label(out, "decodes");
    fprintf(out, "%s (%s), latents %s", row->model, row->vae_type, row->shape);
    if (row->image_height >= 0 && row->image_width >= 0) {
        fprintf(out, " to %lld x %lld pixels (height x width)", (long long)row->image_height,
                (long long)row->image_width);
    }
    fprintf(out, "\n");
    if (row->fused_modules >= 0) {
        print_label(out, "fuse-QKV");
        fprintf(out, "%lld fused attention module%s\n", (long long)row->fused_modules,
                row->fused_modules == 1 ? "" : "s");
    }
}

static void print_latency(FILE *out, const struct case_row *row) {
    if (isnan(row->latency_median_ns)) {
        return;
    }
    print_label(out, "latency");
    fprintf(out, "%s", format_time(row->latency_median_ns).text);
    if (row->sample_count > 1) {
        fprintf(out, " (%s %s to %s)", row->sample_count < 6 ? "smallest to largest of few samples:" : "95 % interval",
                format_time(row->latency_low_ns).text, format_time(row->latency_high_ns).text);
    }
    fprintf(out, ", MAD %s, smallest %s\n", format_time(row->latency_mad_ns).text,
            format_time(row->latency_min_ns).text);
    print_label(out, "");
    fprintf(out, "%lld sample%s of %lld decode%s from %lld launch%s; first decode %s, open %s\n",
            (long long)row->sample_count, row->sample_count == 1 ? "" : "s", (long long)row->decodes_per_sample,
            row->decodes_per_sample == 1 ? "" : "s", (long long)row->launch_count, row->launch_count == 1 ? "" : "es",
            format_time(row->first_decode_ns).text, format_time(row->open_time_ns).text);
    print_label(out, "");
    fprintf(out, "CPU time %s, from outside %s, %sFLOP/s, %spixels/s\n", format_time(row->cpu_time_median_ns).text,
            format_time(row->outside_median_ns).text, format_scaled(row->achieved_flops_per_s).text,
            format_scaled(row->throughput_pixels_per_s).text);
}

static void print_memory(FILE *out, const struct case_row *row) {
    print_label(out, "memory");
    fprintf(out, "peak %s, planned %s, weights %s, worker's resident set %s", format_bytes(row->memory_peak_bytes).text,
            format_bytes(row->memory_planned_bytes).text, format_bytes(row->memory_weights_bytes).text,
            format_bytes(row->memory_rss_peak_bytes).text);
    if (row->memory_device_peak_bytes >= 0) {
        fprintf(out, ", device %s", format_bytes(row->memory_device_peak_bytes).text);
    }
    fprintf(out, "\n");
}

static void print_quality(FILE *out, const struct case_row *row) {
    if (isnan(row->psnr_db) && isnan(row->max_abs_error)) {
        return;
    }
    print_label(out, "quality");
    fprintf(out, "PSNR %s (8-bit %s, worst tile %s), SSIM %s\n", format_decibels(row->psnr_db).text,
            format_decibels(row->psnr8_db).text, format_decibels(row->psnr_worst_tile_db).text,
            format_number(row->ssim).text);
    print_label(out, "");
    fprintf(out, "relative L2 %s, largest error %s; image from %s to %s, standard deviation %s\n",
            format_number(row->relative_l2).text, format_number(row->max_abs_error).text,
            format_number(row->image_min).text, format_number(row->image_max).text, format_number(row->image_std).text);
}

static void print_check(FILE *out, const struct check_row *check) {
    fprintf(out, "  %-11s %-24s", check->outcome, check->name);
    if (!isnan(check->value) || !isnan(check->bound)) {
        fprintf(out, " %s against %s", format_number(check->value).text, format_number(check->bound).text);
    }
    fprintf(out, "%s\n", check->evidence[0] && strcmp(check->evidence, "harness") != 0 ? " (the decoder's word)" : "");
    if (check->message[0]) {
        fprintf(out, "  %-11s   %s\n", "", check->message);
    }
    if (check->derivation[0]) {
        fprintf(out, "  %-11s   bound: %s\n", "", check->derivation);
    }
}

static void print_checks(FILE *out, const struct record *record, const char *case_id) {
    static const char *const order[] = {"failed", "", "passed"}; /* "": all that is neither */
    fprintf(out, "\nchecks\n");
    bool any = false;
    for (size_t o = 0; o < sizeof order / sizeof order[0]; o++) {
        for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
            const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
            bool neither = strcmp(check->outcome, "failed") != 0 && strcmp(check->outcome, "passed") != 0;
            if (strcmp(check->case_id, case_id) == 0 &&
                (order[o][0] ? strcmp(check->outcome, order[o]) == 0 : neither)) {
                print_check(out, check);
                any = true;
            }
        }
    }
    if (!any) {
        fprintf(out, "  none was made\n");
    }
}

static void print_samples(FILE *out, const struct record *record, const char *case_id) {
    size_t total = record->tables[TABLE_SAMPLES].count;
    double *times_ns = calloc(total + 1, sizeof *times_ns);
    size_t count = 0;
    size_t warm_ups = 0;
    for (size_t i = 0; times_ns && i < total; i++) {
        const struct sample_row *sample = RECORD_ROW(record, TABLE_SAMPLES, i, sample_row);
        if (strcmp(sample->case_id, case_id) != 0) {
            continue;
        }
        if (strcmp(sample->phase, "timed") == 0 && sample->decodes > 0) {
            times_ns[count++] = (double)sample->wall_ns / (double)sample->decodes;
        } else {
            warm_ups++;
        }
    }
    if (count > 0) {
        static const double places[] = {0, 0.25, 0.5, 0.75, 0.95, 1};
        static const char *const names[] = {"smallest", "25 %", "50 %", "75 %", "95 %", "largest"};
        fprintf(out, "\nsamples: %zu timed, %zu warm-up; time of a decode\n ", count, warm_ups);
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            fprintf(out, " %s %s%s", names[i], format_time(statistics_quantile(times_ns, count, places[i])).text,
                    i + 1 < sizeof places / sizeof places[0] ? "," : "\n");
        }
    }
    free(times_ns);
}

static int compare_times(const void *left, const void *right) {
    const struct trace_row *a = *(const struct trace_row *const *)left;
    const struct trace_row *b = *(const struct trace_row *const *)right;
    return a->time_ns != b->time_ns ? (a->time_ns < b->time_ns) - (a->time_ns > b->time_ns)
                                    : (a->order > b->order) - (a->order < b->order);
}

/* `total_ns` 0: the decoder tells no times, and zeros would look like some. */
static void print_entry(FILE *out, const struct trace_row *entry, double total_ns) {
    double flops_per_s = entry->time_ns > 0 ? (double)entry->flops / (double)entry->time_ns * 1e9 : NAN;
    if (total_ns > 0) {
        fprintf(out, "  %10s  %5.1f %%  %9sFLOP/s", format_time(fmax(0, (double)entry->time_ns)).text,
                100 * fmax(0, (double)entry->time_ns) / total_ns,
                format_scaled(entry->flops > 0 ? flops_per_s : NAN).text);
    } else {
        fprintf(out, "  %9sFLOP", format_scaled(entry->flops > 0 ? (double)entry->flops : NAN).text);
    }
    fprintf(out, "  %-18s %-22s %s\n", entry->op, entry->kernel, entry->module);
    if (entry->why && entry->why[0] != '\0') {
        fprintf(out, "  %*s%s\n", total_ns > 0 ? 40 : 19, "", entry->why);
    }
}

static void print_trace(FILE *out, const struct record *record, const char *case_id) {
    size_t total = record->tables[TABLE_TRACE].count;
    const struct trace_row **entries = calloc(total + 1, sizeof *entries);
    size_t count = 0;
    double total_ns = 0;
    for (size_t i = 0; entries && i < total; i++) {
        const struct trace_row *entry = RECORD_ROW(record, TABLE_TRACE, i, trace_row);
        if (strcmp(entry->case_id, case_id) == 0) {
            entries[count++] = entry;
            total_ns += entry->time_ns > 0 ? (double)entry->time_ns : 0;
        }
    }
    if (count > 0) {
        qsort(entries, count, sizeof(const struct trace_row *), compare_times);
        size_t shown = count < TRACE_LINES ? count : TRACE_LINES;
        if (total_ns > 0) {
            fprintf(out, "\ntrace: the %zu longest of %zu entries, %s in all\n", shown, count,
                    format_time(total_ns).text);
        } else {
            fprintf(out, "\ntrace: the first %zu of %zu entries; the decoder does not tell their times\n", shown,
                    count);
        }
        for (size_t i = 0; i < shown; i++) {
            print_entry(out, entries[i], total_ns);
        }
    }
    free(entries);
}

static void print_pictures(FILE *out, const struct record *record, const char *case_id) {
    for (size_t i = 0; i < record->tables[TABLE_IMAGES].count; i++) {
        const struct image_row *image = RECORD_ROW(record, TABLE_IMAGES, i, image_row);
        if (strcmp(image->case_id, case_id) == 0) {
            fprintf(out, "\npicture: %s, %lld x %lld, at %s", image->kind, (long long)image->height,
                    (long long)image->width, image->dataset);
        }
    }
}

bool show_case(FILE *out, const struct record *record, const char *case_id) {
    for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        if (strcmp(row->id, case_id) == 0) {
            print_head(out, row);
            print_latency(out, row);
            print_memory(out, row);
            print_quality(out, row);
            print_checks(out, record, case_id);
            print_samples(out, record, case_id);
            if (!show_profile(out, record, case_id)) {
                print_trace(out, record, case_id);
            }
            print_pictures(out, record, case_id);
            fprintf(out, "\n");
            return true;
        }
    }
    return false;
}
