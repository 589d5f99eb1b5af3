/* Fuse-QKV, proven where it must work (refused.c: where it must be refused). What a decoder says of itself is marked as
 * such; images, hashes of images and bytes at the host's allocator are what the harness sees. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks/checks.h"
#include "harness/checks/observe.h"

/* The least bytes of the joined weights of all attentions: (3C x C + 3C) elements each. */
static uint64_t joined_weights_bytes(const struct judgement *j) {
    const struct vaemark_graph *graph = j->item->model->model->graph;
    uint64_t elements = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct graph_node *node = &graph->nodes[i];
        size_t length = strlen(node->module);
        if (node->op == OP_LINEAR && length > 5 && strcmp(node->module + length - 5, ".to_q") == 0) {
            for (int32_t p = 0; p < node->parameter_count; p++) {
                elements += 3 * (uint64_t)shape_element_count(&graph->parameters[node->parameters[p]].shape);
            }
        }
    }
    bool half = strcmp(j->item->precision, "bf16") == 0 || strcmp(j->item->precision, "fp16") == 0;
    return elements * (half ? 2 : 4);
}

/* Launches of the trace that project q, k or v, and its FLOPs. */
struct projections {
    int64_t separate, joined;
    uint64_t flops;
};

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static enum vaemark_status count_projections(struct judgement *j, struct projections *p, struct error *error) {
    struct worker_trace trace = {0};
    *p = (struct projections){0};
    enum vaemark_status status = worker_trace(j->session.worker, &trace, error);
    for (size_t i = 0; status == VAEMARK_OK && i < trace.count; i++) {
        const struct worker_trace_entry *entry = &trace.entries[i];
        bool linear = strcmp(entry->op, "linear") == 0;
        p->separate += linear && (ends_with(entry->module, ".to_q") || ends_with(entry->module, ".to_k") ||
                                  ends_with(entry->module, ".to_v"));
        p->joined += linear && ends_with(entry->module, ".to_qkv");
        p->flops += entry->flops;
    }
    worker_trace_free(&trace);
    return status;
}

static void judge_projections(struct judgement *j, const struct projections *plain, const struct projections *fused) {
    int64_t attentions = j->item->model->attention_count * tiling_pass_count(&j->tiling); /* each tile's count */
    bool counts =
        plain->separate == 3 * attentions && plain->joined == 0 && fused->separate == 0 && fused->joined == attentions;
    bool flops = plain->flops == j->graph_flops && fused->flops == j->graph_flops;
    struct finding finding = plain_finding("fuse-qkv/projections", counts && flops,
                                           "one joined projection an attention; the arithmetic is the same");
    finding.value = (double)(fused->separate + fused->joined);
    finding.bound = (double)attentions;
    finding.decoders_word = true;
    check_record(j, &finding,
                 "trace: %lld projections unfused, %lld fused (%lld attentions); FLOPs %llu and %llu, the graph's %llu",
                 (long long)(plain->separate + plain->joined), (long long)(fused->separate + fused->joined),
                 (long long)attentions, (unsigned long long)plain->flops, (unsigned long long)fused->flops,
                 (unsigned long long)j->graph_flops);
}

static enum vaemark_status judge_modules(struct judgement *j, struct error *error) {
    int64_t modules = -1;
    enum vaemark_status status = worker_property(j->session.worker, "fuse_qkv.modules", &modules, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    j->row->fused_modules = modules;
    struct finding finding = plain_finding("fuse-qkv/modules", modules == j->item->model->attention_count,
                                           "the graph's number of attentions with three projections");
    finding.value = (double)modules;
    finding.bound = (double)j->item->model->attention_count;
    finding.decoders_word = true;
    check_record(j, &finding, "%lld modules are reported as fused, the graph has %lld attentions", (long long)modules,
                 (long long)j->item->model->attention_count);
    return VAEMARK_OK;
}

static void judge_weights_shown(struct judgement *j, const struct worker_memory *plain,
                                const struct worker_memory *fused) {
    uint64_t least = joined_weights_bytes(j);
    uint64_t shown = fused->allocated_bytes[VAEMARK_MEMORY_WEIGHTS] - plain->allocated_bytes[VAEMARK_MEMORY_WEIGHTS];
    struct finding finding = plain_finding("fuse-qkv/weights-shown", least ? shown >= least : shown == 0,
                                           "(3C x C + 3C) elements an attention, none where there is no attention");
    finding.value = (double)shown;
    finding.bound = (double)least;
    finding.decoders_word = !plain->host_allocator;
    check_record(j, &finding, "fusing asked the host for %llu bytes of weights, the joined weights take %llu",
                 (unsigned long long)shown, (unsigned long long)least);
}

/* Records a typed failure where acceptance was due; a dead worker is for the caller. */
static enum vaemark_status accept(struct judgement *j, const char *value, const char *when, struct error *error) {
    struct error refusal = {0};
    enum vaemark_status status = session_set_option(&j->session, "fuse_qkv", value, &refusal);
    if (status == VAEMARK_OK || session_fate(&j->session)->kind != WORKER_ALIVE) {
        if (status != VAEMARK_OK) {
            *error = refusal;
        }
        return status;
    }
    struct finding finding =
        plain_finding("fuse-qkv/accepted", false, "capability table: must on AutoencoderKL for the project's backends");
    check_record(j, &finding, "%s was refused (%s): %.300s", when, status_name(refusal.status), refusal.message);
    *error = refusal;
    return status;
}

static enum vaemark_status judge_second_fuse(struct judgement *j, const struct observation *fused,
                                             struct error *error) {
    struct observation second;
    int64_t modules = -1;
    enum vaemark_status status = accept(j, "on", "the second fuse", error);
    if (status == VAEMARK_OK) {
        status = observe_decoder(j, &second, error);
    }
    if (status == VAEMARK_OK) {
        status = worker_property(j->session.worker, "fuse_qkv.modules", &modules, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    bool image = observe_same_image(fused, &second) || !j->deterministic;
    bool memory = observe_same_memory(&fused->memory, &second.memory);
    struct finding finding = plain_finding("fuse-qkv/second-fuse", image && memory && modules == j->row->fused_modules,
                                           "fuse is idempotent");
    check_record(j, &finding, "after a second fuse the image is %s, memory %s, %lld modules are fused",
                 image ? "the same" : "another", memory ? "the same" : "changed", (long long)modules);
    return VAEMARK_OK;
}

static enum vaemark_status judge_unfuse(struct judgement *j, const struct observation *plain, struct error *error) {
    struct observation unfused;
    int64_t modules = -1;
    enum vaemark_status status = accept(j, "off", "unfuse", error);
    if (status == VAEMARK_OK) {
        status = observe_decoder(j, &unfused, error);
    }
    if (status == VAEMARK_OK) {
        status = worker_property(j->session.worker, "fuse_qkv.modules", &modules, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    bool image = observe_same_image(plain, &unfused) || !j->deterministic;
    uint64_t before = plain->memory.current_bytes[VAEMARK_MEMORY_WEIGHTS];
    uint64_t after = unfused.memory.current_bytes[VAEMARK_MEMORY_WEIGHTS];
    struct finding finding = plain_finding("fuse-qkv/unfuse", image && before == after && modules == 0,
                                           "unfuse is exact and gives the memory back");
    finding.value = (double)after;
    finding.bound = (double)before;
    check_record(j, &finding,
                 "after unfuse the image is %s, weights take %llu bytes (%llu before), %lld modules are fused",
                 image ? "bit-identical" : "not the unfused one", (unsigned long long)after, (unsigned long long)before,
                 (long long)modules);
    return VAEMARK_OK;
}

/* Fuse once more, after the unfuse: the decoder that is measured is a fused one. */
static enum vaemark_status judge_fuse_again(struct judgement *j, const struct observation *fused, struct error *error) {
    struct observation again;
    enum vaemark_status status = accept(j, "on", "fuse after unfuse", error);
    if (status == VAEMARK_OK) {
        status = observe_decoder(j, &again, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    bool same = observe_same_image(fused, &again) || !j->deterministic;
    struct finding finding =
        plain_finding("fuse-qkv/accepted", same, "capability table: must on AutoencoderKL for the project's backends");
    check_record(j, &finding, "fuse, unfuse, fuse: each accepted, the image of the last is %s",
                 same ? "that of the first" : "not that of the first");
    return VAEMARK_OK;
}

enum vaemark_status check_fuse_qkv_works(struct judgement *j, struct error *error) {
    struct observation plain, fused;
    struct projections plain_projections = {0}, fused_projections = {0};
    enum vaemark_status status = observe_decoder(j, &plain, error);
    struct vaemark_tensor plain_image = {0};
    if (status == VAEMARK_OK) {
        plain_image = session_copy_image(&j->session);
        status = plain_image.data ? count_projections(j, &plain_projections, error)
                                  : error_set(error, VAEMARK_INTERNAL, "no memory for a copy of the image");
    }
    if (status == VAEMARK_OK) {
        status = accept(j, "on", "fuse_qkv", error);
    }
    if (status == VAEMARK_OK) {
        status = observe_decoder(j, &fused, error);
    }
    if (status == VAEMARK_OK) {
        status = judge_modules(j, error);
    }
    if (status == VAEMARK_OK) {
        status = count_projections(j, &fused_projections, error);
    }
    if (status == VAEMARK_OK) {
        judge_projections(j, &plain_projections, &fused_projections);
        judge_weights_shown(j, &plain.memory, &fused.memory);
        struct vaemark_tensor image = session_image(&j->session);
        status = check_same_within_bound(j, "fuse-qkv/output", &image, &plain_image, "the unfused image", error);
    }
    if (status == VAEMARK_OK) {
        status = judge_second_fuse(j, &fused, error);
    }
    if (status == VAEMARK_OK) {
        status = judge_unfuse(j, &plain, error);
    }
    if (status == VAEMARK_OK) {
        status = judge_fuse_again(j, &fused, error);
    }
    free(plain_image.data);
    return status;
}
