/* Unfuse, each way of failing a check of its own: a decoder that keeps memory must not hide that it stays fused. */
#include <string.h>

#include "harness/checks/fuse_qkv.h"

/* What a decoder is seen to be after a step. */
struct step {
    struct fuse_qkv_sight sight;
    int64_t modules;
    bool accepted;
};

static enum vaemark_status look(struct judgement *j, struct step *step, struct error *error) {
    enum vaemark_status status = observe_decoder(j, &step->sight.seen, error);
    if (status == VAEMARK_OK) {
        status = fuse_qkv_count_modules(j, &step->modules, error);
    }
    return status == VAEMARK_OK ? fuse_qkv_count_projections(j, &step->sight.projections, error) : status;
}

/* Unfuses and looks; a refusal fails check `name`. */
static enum vaemark_status unfuse(struct judgement *j, const char *name, const char *when, struct step *step,
                                  struct error *error) {
    *step = (struct step){.modules = -1};
    enum vaemark_status status = fuse_qkv_set(j, name, "off", when, &step->accepted, error);
    return status == VAEMARK_OK ? look(j, step, error) : status;
}

static bool same_image(const struct judgement *j, const struct fuse_qkv_sight *a, const struct fuse_qkv_sight *b) {
    return observe_same_image(&a->seen, &b->seen) || !j->deterministic;
}

/* The check `name`: is the decoder the unfused one again? Its memory is for another check. */
static void judge_unfused(struct judgement *j, const char *name, const char *after, const struct fuse_qkv_sight *plain,
                          const struct step *step) {
    bool image = same_image(j, plain, &step->sight);
    const struct projections *found = &step->sight.projections, *wanted = &plain->projections;
    bool separate = found->joined == wanted->joined && found->separate == wanted->separate;
    struct finding finding =
        plain_finding(name, image && separate && step->modules == 0, "unfuse restores the unfused decoder exactly");
    finding.decoders_word = image && !finding.passed;
    check_record(j, &finding,
                 "after %s the image is %s, %lld modules are fused, the trace shows %lld joined and %lld separate "
                 "projections (%lld and %lld before)",
                 after, image ? "the unfused one" : "not the unfused one", (long long)step->modules,
                 (long long)found->joined, (long long)found->separate, (long long)wanted->joined,
                 (long long)wanted->separate);
}

static void judge_memory(struct judgement *j, const struct fuse_qkv_sight *plain, const struct step *step) {
    const struct worker_memory *memory = &step->sight.seen.memory;
    uint64_t before = plain->seen.memory.current_bytes[VAEMARK_MEMORY_WEIGHTS];
    uint64_t after = memory->current_bytes[VAEMARK_MEMORY_WEIGHTS];
    struct finding finding =
        plain_finding("fuse-qkv/unfuse-memory", before == after, "unfuse gives the joined weights back");
    finding.value = (double)after;
    finding.bound = (double)before;
    finding.decoders_word = !memory->host_allocator;
    check_record(j, &finding, "after fuse and unfuse weights take %llu bytes, %llu before", (unsigned long long)after,
                 (unsigned long long)before);
}

/* The check `name`: a step that must not change anything. */
static void judge_nothing_changed(struct judgement *j, const char *name, const char *after, const char *derivation,
                                  const struct step *before, const struct step *now) {
    bool image = same_image(j, &before->sight, &now->sight);
    bool memory = observe_same_memory(&before->sight.seen.memory, &now->sight.seen.memory);
    struct finding finding = plain_finding(name, image && memory && now->modules == before->modules, derivation);
    finding.decoders_word = image && !finding.passed && !now->sight.seen.memory.host_allocator;
    check_record(j, &finding, "after %s the image is %s, memory %s, %lld modules are fused", after,
                 image ? "the same" : "another", memory ? "the same" : "changed", (long long)now->modules);
}

enum vaemark_status check_unfuse_unfused(struct judgement *j, const struct fuse_qkv_sight *plain, struct error *error) {
    static const char name[] = "fuse-qkv/unfuse-unfused";
    struct step before = {.sight = *plain}, now;
    enum vaemark_status status = unfuse(j, name, "unfuse before any fuse", &now, error);
    before.modules = 0;
    if (status == VAEMARK_OK && now.accepted) {
        judge_nothing_changed(j, name, "unfuse before any fuse", "what is off already stays off", &before, &now);
    }
    return status;
}

/* Fuse, unfuse and unfuse again, of which the fuse is done. */
static enum vaemark_status judge_once(struct judgement *j, const struct fuse_qkv_sight *plain, struct error *error) {
    static const char again[] = "fuse-qkv/second-unfuse";
    struct step first, second;
    enum vaemark_status status = unfuse(j, "fuse-qkv/unfuse", "unfuse", &first, error);
    if (status != VAEMARK_OK || !first.accepted) {
        return status;
    }
    judge_unfused(j, "fuse-qkv/unfuse", "fuse and unfuse", plain, &first);
    judge_memory(j, plain, &first);
    status = unfuse(j, again, "a second unfuse", &second, error);
    if (status == VAEMARK_OK && second.accepted) {
        judge_nothing_changed(j, again, "a second unfuse", "unfuse is idempotent", &first, &second);
    }
    return status;
}

/* Fuse again after the unfuse, and once more: leaves the decoder fused. */
static enum vaemark_status judge_twice(struct judgement *j, const struct fuse_qkv_sight *fused, struct error *error) {
    struct step first = {.modules = -1}, second = {.modules = -1};
    enum vaemark_status status = fuse_qkv_fuse(j, "fuse after unfuse", error);
    if (status == VAEMARK_OK) {
        status = look(j, &first, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    bool same = same_image(j, fused, &first.sight);
    struct finding finding =
        plain_finding("fuse-qkv/accepted", same, "capability table: fuse_qkv=on and off work on AutoencoderKL");
    check_record(j, &finding, "fuse, unfuse, fuse: %s, the image of the last is %s",
                 j->failed_checks ? "each fuse accepted" : "each accepted",
                 same ? "that of the first" : "not that of the first");
    status = fuse_qkv_set(j, "fuse-qkv/second-fuse", "on", "the second fuse", &second.accepted, error);
    if (status == VAEMARK_OK) {
        status = look(j, &second, error);
    }
    if (status == VAEMARK_OK && second.accepted) {
        judge_nothing_changed(j, "fuse-qkv/second-fuse", "a second fuse", "fuse is idempotent", &first, &second);
    }
    return status;
}

enum vaemark_status check_unfuse(struct judgement *j, const struct fuse_qkv_sight *plain,
                                 const struct fuse_qkv_sight *fused, struct error *error) {
    static const char name[] = "fuse-qkv/unfuse-after-two";
    struct step step;
    enum vaemark_status status = judge_once(j, plain, error);
    if (status == VAEMARK_OK) {
        status = judge_twice(j, fused, error);
    }
    if (status == VAEMARK_OK) {
        status = unfuse(j, name, "unfuse after two fuses", &step, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    if (step.accepted) {
        judge_unfused(j, name, "fuse, fuse and unfuse", plain, &step);
    }
    return fuse_qkv_fuse(j, "the last fuse", error); /* what is measured is a fused decoder */
}
