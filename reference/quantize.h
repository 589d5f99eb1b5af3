/* Quantised latents as a transformation of the graph: option quantize of VQModel. What is read as latents becomes the
 * nearest row of the codebook (op quantize), for the decoder and for norms that the latents modulate alike, as
 * VQModel's decode() does unless it is told force_not_quantize. */
#ifndef REFERENCE_QUANTIZE_H
#define REFERENCE_QUANTIZE_H

#include "reference/graph.h"

/* Makes a graph with the node. VAEMARK_UNSUPPORTED_OPTION where there is no codebook, or latents are codes already. */
enum vaemark_status quantize_latents(const struct vaemark_graph *graph, struct vaemark_graph **quantized,
                                     struct error *error);
/* The same verdict without the work. */
enum vaemark_status quantize_check(const struct vaemark_graph *graph, struct error *error);

#endif
