/* The graph's inputs held against the tensors that are given. */
#ifndef REFERENCE_GRAPH_INPUTS_H
#define REFERENCE_GRAPH_INPUTS_H

#include "reference/graph.h"

/* A value of more elements than that could not be addressed in double precision. */
#define MAX_VALUE_ELEMENTS (INT64_MAX / 16)

/* Checks every tensor and fills in the shapes of the inputs' values; rank 0 for those of optional ones that are absent.
 */
enum vaemark_status graph_infer_inputs(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                       struct shape *shapes, struct error *error);

#endif
