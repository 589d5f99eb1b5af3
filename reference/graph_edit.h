/* Changing graphs, for those that make them: the builder and the transformations. Everything that a graph's nodes and
 * parameters point at is kept in its arena. */
#ifndef REFERENCE_GRAPH_EDIT_H
#define REFERENCE_GRAPH_EDIT_H

#include "reference/graph.h"

/* Memory that lives as long as the graph. NULL when memory is short. */
void *graph_keep(struct vaemark_graph *graph, const void *bytes, size_t size_bytes);
const char *graph_keep_text(struct vaemark_graph *graph, const char *text);

/* Appends a copy; strings and constants that it points at must be the arena's. The index, or -1 when memory is short.
 */
int32_t graph_add_parameter(struct vaemark_graph *graph, const struct graph_parameter *parameter);
/* Gives the node a fresh output value and returns that. */
int32_t graph_add_node(struct vaemark_graph *graph, const struct graph_node *node);
/* The parameter of that name, or -1. */
int32_t graph_find_parameter(const struct vaemark_graph *graph, const char *name);

#endif
