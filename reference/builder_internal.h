/* What the files of the builder share. */
#ifndef REFERENCE_BUILDER_INTERNAL_H
#define REFERENCE_BUILDER_INTERNAL_H

#include "reference/builder.h"

bool builder_failed(const struct builder *b);
/* Sets the sticky error; -1. */
value builder_out_of_memory(struct builder *b);
/* Appends a node; its inputs must be values made before. */
value builder_node(struct builder *b, struct graph_node node, const char *module);
/* The parameter MODULE.LEAF, made at first use: a module that runs twice (a UNet of two steps) has one set of weights.
 */
int32_t builder_parameter(struct builder *b, const char *module, const char *leaf, struct shape shape,
                          enum parameter_role role, double gain);

#endif
