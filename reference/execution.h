/* One walk over a graph's nodes: planned (bytes counted, nothing allocated) or run. Both are the same code, so that the
 * plan is the run's memory exactly. */
#ifndef REFERENCE_EXECUTION_H
#define REFERENCE_EXECUTION_H

#include "reference/graph.h"

struct execution_settings {
    int bits;    /* 32 or 64: the precision */
    int threads; /* at least 1 */
};

/* Counts what a run of these shapes allocates at most, by memory class. */
enum vaemark_status execution_plan(const struct vaemark_graph *graph, const struct shape *shapes,
                                   const struct execution_settings *settings,
                                   uint64_t peak_bytes[VAEMARK_MEMORY_CLASS_COUNT], struct error *error);

/* Runs the graph into `image` (F32 or F64 after the precision, the output's shape). `entries` has room for every node
 * and is filled in; its strings are the graph's. On failure nothing stays allocated and `image` may be half written. */
enum vaemark_status execution_run(const struct vaemark_graph *graph, const struct shape *shapes,
                                  const struct execution_settings *settings, const struct vaemark_host *host,
                                  const struct vaemark_tensors *inputs, const struct vaemark_tensor *image,
                                  struct vaemark_trace_entry *entries, struct error *error);

#endif
