/* A plot's data and settings as gnuplot reads them. */
#include <math.h>
#include <string.h>

#include "results/format.h"
#include "results/plot.h"

/* A field of the data: no tabs, no line ends, and never empty, because gnuplot drops a point with an empty label. */
static void print_field(FILE *out, const char *text) {
    for (const char *at = *text ? text : " "; *at; at++) {
        fputc((unsigned char)*at < ' ' || *at == '"' ? ' ' : *at, out);
    }
}

void plot_print_quoted(FILE *out, const char *text) {
    fputc('\'', out);
    for (; *text; text++) {
        if ((unsigned char)*text >= ' ') {
            fputs(*text == '\'' ? "''" : (const char[]){*text, '\0'}, out);
        }
    }
    fputc('\'', out);
}

static struct figure format_value(enum plot_id id, double value) {
    return isnan(value)         ? (struct figure){" "}
           : id == PLOT_LATENCY ? format_time(value)
           : id == PLOT_MEMORY  ? format_bytes((int64_t)value)
                                : format_decibels(value);
}

/* Infinite decibels stand to the right of all others. */
static double place(const struct plot *plot, double value) {
    return isinf(value) ? (isnan(plot->high) ? 0 : plot->high) + 5 : value;
}

static void print_point(FILE *out, const struct plot *plot, const struct plot_point *point) {
    fprintf(out, "%.3f\t%.9g\t%.9g\t%.9g\t%.9g\t", point->height, place(plot, point->value), point->low, point->high,
            point->other);
    print_field(out, format_value(plot->id, point->value).text);
    fputc('\t', out);
    print_field(out, format_value(plot->id, point->other).text);
    fputc('\n', out);
}

static bool precision_varies(const struct plot *plot) {
    for (size_t i = 1; i < plot->point_count; i++) {
        if (strcmp(plot->points[i].row->precision, plot->points[0].row->precision) != 0) {
            return true;
        }
    }
    return false;
}

/* "sd15-mini 1x4x8x8 fuse_qkv" at the middle of its lines. */
static void print_workloads(FILE *out, const struct plot *plot) {
    bool with_precision = precision_varies(plot);
    for (size_t i = 0; i < plot->point_count; i++) {
        const struct case_row *row = plot->points[i].row;
        double sum = 0;
        size_t count = 0;
        bool told = false;
        for (size_t j = 0; j < plot->point_count; j++) {
            const struct case_row *other = plot->points[j].row;
            if (strcmp(row->model, other->model) == 0 && strcmp(row->precision, other->precision) == 0 &&
                strcmp(row->options, other->options) == 0 && strcmp(row->shape, other->shape) == 0) {
                told |= j < i;
                sum += plot->points[j].height;
                count++;
            }
        }
        if (told) {
            continue;
        }
        bool plain = strcmp(row->options, "plain") == 0;
        char name[512];
        snprintf(name, sizeof name, "%s %s%s%s%s%s", row->model, row->shape, with_precision ? " " : "",
                 with_precision ? row->precision : "", plain ? "" : " ", plain ? "" : row->options);
        fprintf(out, "%.3f\t", sum / (double)count);
        print_field(out, name);
        fputc('\n', out);
    }
}

void plot_print_data(FILE *out, const struct plot *plot) {
    for (size_t b = 0; b < plot->backend_count; b++) {
        print_field(out, plot->backends[b]);
        fputc('\n', out);
        for (size_t i = 0; i < plot->point_count; i++) {
            if (plot->points[i].backend == b) {
                print_point(out, plot, &plot->points[i]);
            }
        }
        fprintf(out, "\n\n");
    }
    print_workloads(out, plot);
}

/* Ticks with their units written out, so that an axis from microseconds to minutes reads without arithmetic. */
static void print_time_ticks(FILE *out, double low, double high) {
    static const double steps[] = {1, 2, 5};
    size_t step_count = high / low > 5000 ? 1 : 3;
    const char *separator = "";
    for (double decade = 1; decade < 1e15; decade *= 10) {
        for (size_t i = 0; i < step_count; i++) {
            double tick = decade * steps[i];
            double shown = tick < 1e3 ? tick : tick < 1e6 ? tick / 1e3 : tick < 1e9 ? tick / 1e6 : tick / 1e9;
            const char *unit = tick < 1e3 ? "ns" : tick < 1e6 ? "us" : tick < 1e9 ? "ms" : "s";
            if (tick >= low && tick <= high) {
                fprintf(out, "%s\"%g %s\" %g", separator, shown, unit, tick);
                separator = ", ";
            }
        }
    }
}

static void print_byte_ticks(FILE *out, double low, double high) {
    double factor = high / low > 65536 ? 16 : high / low > 64 ? 4 : 2;
    const char *separator = "";
    for (double tick = 1; tick < 0x1p50; tick *= factor) {
        double shown = tick < 0x1p10   ? tick
                       : tick < 0x1p20 ? tick * 0x1p-10
                       : tick < 0x1p30 ? tick * 0x1p-20
                                       : tick * 0x1p-30;
        const char *unit = tick < 0x1p10 ? "B" : tick < 0x1p20 ? "KiB" : tick < 0x1p30 ? "MiB" : "GiB";
        if (tick >= low && tick <= high) {
            fprintf(out, "%s\"%g %s\" %.0f", separator, shown, unit, tick);
            separator = ", ";
        }
    }
}

/* Room for the labels beside the outermost points, then ticks. */
static void print_axis(FILE *out, const struct plot *plot) {
    double low = isnan(plot->low) ? 1 : plot->low;
    double high = isnan(plot->high) ? 10 : plot->high;
    if (plot->id == PLOT_PSNR) {
        double span = fmax(high - low, 20);
        fprintf(out, "; x_low=%.9g; x_high=%.9g; ticks=''", floor((low - 0.08 * span) / 5) * 5,
                ceil((high + 5 + 0.1 * span) / 5) * 5);
        return;
    }
    if (high / low < 10) { /* a decade always has ticks, and does not blow up noise */
        double middle = sqrt(low * high);
        low = middle / sqrt(10);
        high = middle * sqrt(10);
    }
    double decades = log10(high / low);
    low /= pow(10, decades * (plot->id == PLOT_MEMORY ? 0.14 : 0.05));
    high *= pow(10, decades * 0.14);
    fprintf(out, "; x_low=%.9g; x_high=%.9g; ticks='", low, high);
    if (plot->id == PLOT_LATENCY) {
        print_time_ticks(out, low, high);
    } else {
        print_byte_ticks(out, low, high);
    }
    fprintf(out, "'");
}

static const struct {
    const char *title, *figure, *what;
} plot_texts[PLOT_COUNT] = {
    [PLOT_LATENCY] = {"Latency of a decode", "a latency",
                      "median, with its 95 % interval where there are several samples"},
    [PLOT_MEMORY] = {"Memory of a decode", "a memory figure",
                     "filled: peak of activations, workspace and tensors; open: weights"},
    [PLOT_PSNR] = {"PSNR against the FP32 reference", "a PSNR",
                   "bar: the bound; the reference itself is held against FP64"},
};

void plot_print_settings(FILE *out, const struct plot *plot, const struct record *record) {
    const char *suite = record_fact(record, "suite");
    const char *cpu = record_fact(record, "cpu_model");
    char subtitle[512];
    char left_out[64] = "";
    if (plot->left_out_count > 0) {
        snprintf(left_out, sizeof left_out, " · %zu case%s without %s left out", plot->left_out_count,
                 plot->left_out_count == 1 ? "" : "s", plot_texts[plot->id].figure);
    }
    snprintf(subtitle, sizeof subtitle, "%s%s%.80s%s%.120s%s", plot_texts[plot->id].what, suite ? " · suite " : "",
             suite ? suite : "", cpu ? " · " : "", cpu ? cpu : "", left_out);
    fprintf(out, "plot_title=");
    plot_print_quoted(out, plot_texts[plot->id].title);
    fprintf(out, "; plot_subtitle=");
    plot_print_quoted(out, subtitle);
    fprintf(out, "; backends=%zu; lines=%.3f", plot->backend_count, plot->height_in_lines);
    print_axis(out, plot);
}
