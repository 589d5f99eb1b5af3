/* Fuse-QKV, proven where it must work (refused.c: where it must be refused). What a decoder says of itself is marked as
 * such; images, hashes of images and bytes at the host's allocator are what the harness sees. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/checks/fuse_qkv.h"

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

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

enum vaemark_status fuse_qkv_count_projections(struct judgement *j, struct projections *p, struct error *error) {
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

enum vaemark_status fuse_qkv_count_modules(struct judgement *j, int64_t *modules, struct error *error) {
    enum vaemark_status status = worker_property(j->session.worker, "fuse_qkv.modules", modules, error);
    if (status != VAEMARK_OK && session_fate(&j->session)->kind == WORKER_ALIVE) {
        *modules = -1; /* a decoder that does not tell */
        return VAEMARK_OK;
    }
    return status;
}

static enum vaemark_status judge_modules(struct judgement *j, struct error *error) {
    int64_t modules = -1;
    enum vaemark_status status = fuse_qkv_count_modules(j, &modules, error);
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

enum vaemark_status fuse_qkv_set(struct judgement *j, const char *name, const char *value, const char *when,
                                 bool *accepted, struct error *error) {
    struct error refusal = {0};
    enum vaemark_status status = session_set_option(&j->session, "fuse_qkv", value, &refusal);
    *accepted = status == VAEMARK_OK;
    if (*accepted) {
        return VAEMARK_OK;
    }
    if (session_fate(&j->session)->kind != WORKER_ALIVE) {
        *error = refusal;
        return status;
    }
    struct finding finding = plain_finding(name, false, "capability table: fuse_qkv=on and off work on AutoencoderKL");
    check_record(j, &finding, "%s was refused (%s): %.300s", when, status_name(refusal.status), refusal.message);
    return VAEMARK_OK;
}

static const char accepted_name[] = "fuse-qkv/accepted";

enum vaemark_status fuse_qkv_fuse(struct judgement *j, const char *when, struct error *error) {
    bool accepted = false;
    enum vaemark_status status = fuse_qkv_set(j, accepted_name, "on", when, &accepted, error);
    if (status == VAEMARK_OK && !accepted) {
        return error_set(error, VAEMARK_UNSUPPORTED_OPTION, "%s was refused", when);
    }
    return status;
}

/* What came of the first fuse, against the decoder before it. */
static enum vaemark_status judge_fused(struct judgement *j, const struct fuse_qkv_sight *plain,
                                       struct fuse_qkv_sight *fused, struct error *error) {
    enum vaemark_status status = fuse_qkv_fuse(j, "fuse_qkv", error);
    if (status == VAEMARK_OK) {
        status = observe_decoder(j, &fused->seen, error);
    }
    if (status == VAEMARK_OK) {
        status = judge_modules(j, error);
    }
    if (status == VAEMARK_OK) {
        status = fuse_qkv_count_projections(j, &fused->projections, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    judge_projections(j, &plain->projections, &fused->projections);
    judge_weights_shown(j, &plain->seen.memory, &fused->seen.memory);
    struct vaemark_tensor image = session_image(&j->session);
    return check_same_within_bound(j, "fuse-qkv/output", &image, &plain->image, "the unfused image", error);
}

enum vaemark_status check_fuse_qkv_works(struct judgement *j, struct error *error) {
    struct fuse_qkv_sight plain = {0}, fused = {0};
    enum vaemark_status status = observe_decoder(j, &plain.seen, error);
    if (status == VAEMARK_OK) {
        plain.image = session_copy_image(&j->session);
        status = plain.image.data ? fuse_qkv_count_projections(j, &plain.projections, error)
                                  : error_set(error, VAEMARK_INTERNAL, "no memory for a copy of the image");
    }
    if (status == VAEMARK_OK) {
        status = check_unfuse_unfused(j, &plain, error);
    }
    if (status == VAEMARK_OK) {
        status = judge_fused(j, &plain, &fused, error);
    }
    if (status == VAEMARK_OK) {
        status = check_unfuse(j, &plain, &fused, error);
    }
    free(plain.image.data);
    return status;
}
