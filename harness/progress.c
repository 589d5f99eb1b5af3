#include "harness/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

void progress_begin(struct progress *progress, size_t total, double cost_total) {
    *progress = (struct progress){.terminal = isatty(STDERR_FILENO) != 0,
                                  .total = total,
                                  .start_ns = clock_monotonic_ns(),
                                  .cost_total = cost_total};
}

static void format_left(const struct progress *progress, char *text, size_t capacity) {
    double spent_s = (double)(clock_monotonic_ns() - progress->start_ns) * 1e-9;
    text[0] = '\0';
    if (progress->cost_done > 0 && progress->cost_done < progress->cost_total) {
        double left_s = spent_s * (progress->cost_total - progress->cost_done) / progress->cost_done;
        snprintf(text, capacity, ", about %d:%02d left", (int)left_s / 60, (int)left_s % 60);
    }
}

void progress_resumed(struct progress *progress, double cost) {
    progress->done++;
    progress->cost_total -= cost;
}

void progress_case(struct progress *progress, const char *id) {
    if (progress->terminal) {
        char left[64];
        format_left(progress, left, sizeof left);
        fprintf(stderr, "\r\033[K[%zu/%zu] %.80s%s", progress->done + 1, progress->total, id, left);
        fflush(stderr);
    }
}

void progress_outcome(struct progress *progress, const char *id, const char *outcome, const char *reason, double cost) {
    progress->done++;
    progress->cost_done += cost;
    bool plain = strcmp(outcome, "passed") == 0 || strcmp(outcome, "refused") == 0;
    char left[64];
    format_left(progress, left, sizeof left);
    if (progress->terminal && plain) {
        return;
    }
    fprintf(stderr, "%s[%zu/%zu] %-11s %s%s%s%s\n", progress->terminal ? "\r\033[K" : "", progress->done,
            progress->total, outcome, id, plain || !*reason ? "" : ": ", plain ? "" : reason,
            progress->terminal ? "" : left);
}

void progress_note(const char *text) {
    fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", text);
}

void progress_end(struct progress *progress) {
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K");
    }
}
