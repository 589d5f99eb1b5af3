/* One row of a table: torch.nn.Embedding. The executor reads that row alone. */
#include <string.h>

#include "reference/ops/real.h"

void REAL_NAME(embedding)(const struct op_call *call) {
    memcpy(call->out, call->parameters[0], (size_t)shape_element_count(&call->out_shape) * sizeof(real));
}
