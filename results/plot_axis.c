/* Ticks with their units written out, so that an axis from microseconds to minutes reads without arithmetic. */
#include <math.h>
#include <stdio.h>

#include "results/plot_layout.h"

enum { TICK_PIXELS = 48 }; /* the least distance */

static void add_tick(struct plot_layout *layout, double value, const char *text) {
    if (layout->tick_count < PLOT_MOST_TICKS) {
        struct plot_tick *tick = &layout->ticks[layout->tick_count++];
        tick->value = value;
        snprintf(tick->text, sizeof tick->text, "%s", text);
    }
}

static void add_scaled_tick(struct plot_layout *layout, double value, const char *const units[4], double factor) {
    size_t unit = 0;
    char text[32];
    double shown = value;
    while (unit < 3 && fabs(shown) >= factor) {
        shown /= factor;
        unit++;
    }
    snprintf(text, sizeof text, "%.4g %s", shown, value == 0 ? "" : units[unit]);
    text[value == 0 ? 1 : sizeof text - 1] = '\0';
    add_tick(layout, value, text);
}

static const char *const time_units[4] = {"ns", "us", "ms", "s"};
static const char *const byte_units[4] = {"B", "KiB", "MiB", "GiB"};

/* ---- Logarithmic: times ---- */

/* Ticks within a decade, every so many decades; the smallest distance, in decades. */
static const struct log_ticks {
    double factors[3];
    int count, decades;
    double distance;
} log_ticks[] = {{{1, 2, 5}, 3, 1, 0.301}, {{1, 3}, 2, 1, 0.477}, {{1}, 1, 1, 1},
                 {{1}, 1, 2, 2},           {{1}, 1, 3, 3},        {{1}, 1, 6, 6}};
enum { LOG_TICKS_COUNT = sizeof log_ticks / sizeof log_ticks[0] };

static void lay_logarithmic(struct plot_layout *layout, double low, double high, int pixels) {
    if (high / low < 10) { /* a decade always has ticks, and does not blow up noise */
        double middle = sqrt(low) * sqrt(high);
        low = middle / sqrt(10);
        high = middle * sqrt(10);
    }
    double margin = pow(high / low, 0.03);
    layout->low = low / margin;
    layout->high = high * margin;
    double pixels_per_decade = pixels / log10(layout->high / layout->low);
    size_t choice = 0;
    while (choice + 1 < LOG_TICKS_COUNT && log_ticks[choice].distance * pixels_per_decade < TICK_PIXELS) {
        choice++;
    }
    const struct log_ticks *ticks = &log_ticks[choice];
    int decade = 0;
    for (double power = 1; power < 1e18; power *= 10, decade++) {
        for (int i = 0; decade % ticks->decades == 0 && i < ticks->count; i++) {
            double tick = power * ticks->factors[i];
            if (tick >= layout->low && tick <= layout->high) {
                add_scaled_tick(layout, tick, time_units, 1000);
            }
        }
    }
}

/* ---- Linear ---- */

/* The smallest of 1, 2, 5, 10, ... (or powers of 2) that gives no more than `most` ticks. */
static double choose_step(double span, size_t most, bool binary) {
    double least = span / (double)(most > 1 ? most : 1);
    if (binary) {
        return exp2(ceil(log2(fmax(least, 1))));
    }
    double power = pow(10, floor(log10(least)));
    double step = least / power;
    return power * (step <= 1 ? 1 : step <= 2 ? 2 : step <= 5 ? 5 : 10);
}

static void place_linear_ticks(struct plot_layout *layout, double step) {
    layout->tick_count = 0;
    for (double i = ceil(layout->low / step - 1e-9); i * step <= layout->high + step * 1e-9; i++) {
        char text[32];
        double value = i == 0 ? 0 : i * step;
        switch (layout->plot->axis.unit) {
        case PLOT_BYTES:
            add_scaled_tick(layout, value, byte_units, 1024);
            continue;
        case PLOT_TIME:
            add_scaled_tick(layout, value, time_units, 1000);
            continue;
        case PLOT_PERCENT:
            snprintf(text, sizeof text, "%s%.4g %%", value > 0 ? "+" : value < 0 ? "−" : "", fabs(value));
            break;
        case PLOT_SHARE:
            snprintf(text, sizeof text, "%.4g %%", value);
            break;
        case PLOT_DECIBELS:
            snprintf(text, sizeof text, "%.4g dB", value);
            break;
        }
        add_tick(layout, value, text);
    }
}

static void lay_linear(struct plot_layout *layout, double low, double high, int pixels) {
    enum plot_unit unit = layout->plot->axis.unit;
    bool from_zero = unit == PLOT_BYTES || unit == PLOT_SHARE;
    double least_span = unit == PLOT_DECIBELS ? 20 : unit == PLOT_PERCENT ? 2 : unit == PLOT_SHARE ? 100 : 1;
    low = from_zero ? 0 : low;
    if (high - low < least_span) { /* does not blow up noise */
        double more = least_span - (high - low);
        low -= from_zero ? 0 : more / 2;
        high += from_zero ? more : more / 2;
    }
    double margin = 0.03 * (high - low);
    layout->low = from_zero ? 0 : low - margin;
    layout->high = unit == PLOT_SHARE ? high : high + margin;
    size_t most = (size_t)(pixels / (unit == PLOT_BYTES ? TICK_PIXELS * 1.3 : TICK_PIXELS));
    place_linear_ticks(layout, choose_step(layout->high - layout->low, most, unit == PLOT_BYTES));
}

void plot_lay_axis(struct plot_layout *layout, int pixels) {
    const struct plot_axis *axis = &layout->plot->axis;
    double low = isfinite(axis->low) ? axis->low : 1, high = isfinite(axis->high) ? axis->high : low;
    if (axis->logarithmic) {
        low = low > 0 ? low : 1;
        lay_logarithmic(layout, low, high > low ? high : low, pixels);
    } else {
        lay_linear(layout, low, high, pixels);
    }
}
