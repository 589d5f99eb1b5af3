/* What the checks on fuse-QKV share: the switch, and what is seen of a decoder before and after. */
#ifndef HARNESS_CHECKS_FUSE_QKV_H
#define HARNESS_CHECKS_FUSE_QKV_H

#include "harness/checks/checks.h"
#include "harness/checks/observe.h"

/* Launches of the trace that project q, k or v, and its FLOPs. */
struct projections {
    int64_t separate, joined;
    uint64_t flops;
};

struct fuse_qkv_sight {
    struct observation seen;
    struct projections projections;
    struct vaemark_tensor image; /* owned by whoever fills it in */
};

enum vaemark_status fuse_qkv_count_projections(struct judgement *j, struct projections *p, struct error *error);
/* As the decoder tells; -1 where it does not. */
enum vaemark_status fuse_qkv_count_modules(struct judgement *j, int64_t *modules, struct error *error);
/* Sets fuse_qkv; a refusal is recorded as the failure of check `name` and is no error: only a worker's death is. */
enum vaemark_status fuse_qkv_set(struct judgement *j, const char *name, const char *value, const char *when,
                                 bool *accepted, struct error *error);
/* Fuses where nothing makes sense without: a refusal is recorded and is an error. */
enum vaemark_status fuse_qkv_fuse(struct judgement *j, const char *when, struct error *error);

/* Unfuse before any fuse: accepted, and changes nothing. */
enum vaemark_status check_unfuse_unfused(struct judgement *j, const struct fuse_qkv_sight *plain, struct error *error);
/* Of a decoder that was fused once: unfuse, unfuse again, fuse, fuse again, unfuse; leaves it fused. */
enum vaemark_status check_unfuse(struct judgement *j, const struct fuse_qkv_sight *plain,
                                 const struct fuse_qkv_sight *fused, struct error *error);

#endif
