/* What the checks of a run found about fuse-QKV: claimed from checks, never from an outcome's name. */
#ifndef RESULTS_FUSE_QKV_H
#define RESULTS_FUSE_QKV_H

#include "results/record.h"

enum fuse_qkv_verdict { FUSE_QKV_NOT_ASKED, FUSE_QKV_RAN, FUSE_QKV_REFUSED, FUSE_QKV_WENT_WRONG, FUSE_QKV_UNDECIDED };

enum fuse_qkv_verdict fuse_qkv_judge(const struct record *record, const struct case_row *row);
/* The first check on fuse-QKV of this case that failed, or NULL. */
const struct check_row *fuse_qkv_find_failure(const struct record *record, const char *case_id);
/* The case that differs from this one in that fuse-QKV is off, or NULL. */
const struct case_row *fuse_qkv_find_plain(const struct record *record, const struct case_row *row);

#endif
