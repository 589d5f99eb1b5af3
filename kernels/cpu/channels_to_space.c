/* Channels become pixels, or are repeated: y[c, f i + a, f j + b] = x[(by_channel c + by_row a + by_column b + offset)
 * / divisor, i, j]. The source's panels are read one after the other, each once a column of the factor. */
#include <string.h>

#include "kernels/cpu/spans.h"

struct source {
    float lines[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    size_t panel, first; /* loaded: of that panel, from that column on */
    bool loaded;
};

/* Lines of the source that the span's columns b, b + factor, ... show. */
static void load_source(struct source *source, const struct run *run, const struct step *step, const struct span *span,
                        size_t panel) {
    const size_t factor = step->channels_to_space.factor, first = span->x / factor;
    const size_t count = (span->x + span->count - 1) / factor - first + 1;
    if (source->loaded && source->panel == panel) {
        return;
    }
    operand_load(source->lines, run, &step->inputs[0], span->image, panel, span->y / factor, first, count);
    source->panel = panel;
    source->first = first;
    source->loaded = true;
}

static size_t source_channel(const struct step *step, size_t channel, size_t row, size_t column) {
    return (step->channels_to_space.by_channel * channel + step->channels_to_space.by_row * row +
            step->channels_to_space.by_column * column + step->channels_to_space.offset) /
           step->channels_to_space.divisor;
}

/* One lane of every factor-th line from line `first` on. */
static void copy_lane(float *out, const struct source *source, const struct step *step, const struct span *span,
                      size_t first, size_t channel) {
    const size_t factor = step->channels_to_space.factor;
    const float *in = source->lines + channel % PANEL;
    for (size_t i = first; i < span->count; i += factor) {
        out[i * PANEL] = in[((span->x + i) / factor - source->first) * PANEL];
    }
}

static void channels_to_space_span(const struct run *run, const struct step *step, const struct span *span) {
    float out[SPAN_LINES * PANEL] __attribute__((aligned(LINE_BYTES)));
    const size_t factor = step->channels_to_space.factor;
    struct source source;
    source.loaded = false;
    memset(out, 0, span->count * LINE_BYTES);
    for (size_t column = 0; column < factor; column++) {
        const size_t first = (column + factor - span->x % factor) % factor; /* in the span */
        for (size_t lane = 0; lane < PANEL && span->panel * PANEL + lane < step->output.channels; lane++) {
            const size_t channel = source_channel(step, span->panel * PANEL + lane, span->y % factor, column);
            load_source(&source, run, step, span, channel / PANEL);
            copy_lane(out + lane, &source, step, span, first, channel);
        }
    }
    span_store(run, step, span, out);
}

static void channels_to_space_run(const struct run *run, const struct step *step) {
    const struct span_rows rows = spans_rows_of_image(step);
    spans_run(run, step, &rows, channels_to_space_span);
}

const struct step_type step_channels_to_space = {
    .kernel = "channels_to_space", .residual_inside = true, .run = channels_to_space_run};
