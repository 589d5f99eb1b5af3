/* What `list models` prints and a run records of a model, from its graph alone. */
#ifndef HARNESS_MODEL_FACTS_H
#define HARNESS_MODEL_FACTS_H

#include "harness/models.h"
#include "results/record.h"

/* FLOPs of decoding one image of size x size pixels; NaN where its inputs cannot be that size. */
double model_flops_at(const struct model *model, int64_t size);
int64_t model_parameter_tensors(const struct model *model);
/* Adds the model's row. */
void model_record(struct record *record, const struct run_model *model);

#endif
