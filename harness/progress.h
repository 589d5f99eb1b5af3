/* Progress of a run on stderr: a rewritten line with time left on a terminal, plain lines when not. */
#ifndef HARNESS_PROGRESS_H
#define HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool terminal;
    size_t total, done;
    int64_t start_ns;
    double cost_total, cost_done; /* in any unit that grows with time */
};

void progress_begin(struct progress *progress, size_t total, double cost_total);
/* A case that an earlier process finished: counts as done, and for nothing in how fast we are. */
void progress_resumed(struct progress *progress, double cost);
/* A case starts. */
void progress_case(struct progress *progress, const char *id);
/* It ended. */
void progress_outcome(struct progress *progress, const char *id, const char *outcome, const char *reason, double cost);
/* A remark between cases. */
void progress_note(const char *text);
void progress_end(struct progress *progress);

#endif
