/* What the tests of results/ share: records to write and files to read. */
#ifndef TESTS_RESULTS_SUPPORT_H
#define TESTS_RESULTS_SUPPORT_H

#include "results/record.h"

/* A record with rows in every table: known and unknown values, texts with accents, quotes, line ends. */
struct record *support_make_record(void);
struct case_row *support_add_case(struct record *record, const char *model, const char *vae_type, const char *backend,
                                  const char *options, const char *outcome);
void support_add_check(struct record *record, const char *case_id, const char *name, const char *outcome,
                       const char *message);
/* A profiled step, and the head of its case's profile, under ceilings of 100 GFLOP/s and 10 GB/s. */
void support_add_step(struct record *record, const char *case_id, const char *kernel, int64_t flops, int64_t bytes,
                      double profile_ns);
void support_add_profile(struct record *record, const char *case_id, double steps_ns);
/* A name in a fresh folder of this test, which is removed at its end. */
char *support_path(const char *name);
/* Memory that lives until the test's process ends, without being a leak. Returns it. */
void *support_keep(void *memory);
char *support_read_file(const char *path, size_t *size_bytes); /* allocated; NULL if it cannot be read */
void support_write_file(const char *path, const void *bytes, size_t size_bytes);

#endif
