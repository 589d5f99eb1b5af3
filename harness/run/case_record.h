/* What a case leaves in the result file besides its checks and times. */
#ifndef HARNESS_RUN_CASE_RECORD_H
#define HARNESS_RUN_CASE_RECORD_H

#include "harness/checks/checks.h"

/* Who decodes what, and the command that repeats it. */
void case_record_identity(struct judgement *j, int64_t threads, const char *repro);
/* What the worker told of itself (a framework's version, say) as facts of the run. */
void case_record_facts(struct judgement *j, const struct worker_hello *hello);
/* The first image and its error map, where the suite wants pictures. */
void case_record_pictures(struct judgement *j);
/* Which oracle the case was held to, and how far FP32 is from FP64 there. */
void case_record_oracle(struct judgement *j);

#endif
