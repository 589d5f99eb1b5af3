/* Rows of a codebook by their numbers: van den Oord et al. 2017, Neural Discrete Representation Learning; diffusers'
 * VectorQuantizer.get_codebook_entry.
 *
 * y[n,:,i,j] = table[codes[n,i,j]]; the caller has checked that every code is a row (graph_check_codes()).
 */
#include "reference/ops/real.h"

void REAL_NAME(lookup)(const struct op_call *call) {
    const int64_t channels = call->out_shape.dims[1], pixels = plane_size(&call->out_shape);
    const real *table = call->parameters[0]; /* (rows, C) */

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t n = 0; n < call->out_shape.dims[0]; n++) {
        const real *codes = (const real *)call->in[0] + n * pixels; /* (H,W), whole numbers */
        real *y = (real *)call->out + n * channels * pixels;
        for (int64_t i = 0; i < pixels; i++) {
            const real *row = table + (int64_t)codes[i] * channels;
            for (int64_t c = 0; c < channels; c++) {
                y[c * pixels + i] = row[c];
            }
        }
    }
}
