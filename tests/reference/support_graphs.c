#include "tests/reference/support_graphs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "reference/builder.h"

struct vaemark_graph *graphs_attention(void) {
    struct builder b;
    struct vaemark_graph *graph;
    value x, h, q, k, v;

    builder_begin(&b);
    x = builder_input(&b, "latents", 4, 4, 1);
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 4, .out = 8}, "conv_in");
    h = builder_group_norm(&b, x, 8, 4, 1e-6, "mid.attentions.0.group_norm");
    q = builder_linear(&b, h, 8, 8, "mid.attentions.0.to_q");
    k = builder_linear(&b, h, 8, 8, "mid.attentions.0.to_k");
    v = builder_linear(&b, h, 8, 8, "mid.attentions.0.to_v");
    h = builder_attention(&b, q, k, v, "mid.attentions.0");
    h = builder_linear(&b, h, 8, 8, "mid.attentions.0.to_out.0");
    x = builder_silu(&b, builder_add(&b, x, h));
    x = builder_conv2d(&b, x, (struct conv2d_options){.in = 8, .out = 3}, "conv_out");
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    return graph;
}

void graphs_bind(struct vaemark_graph *graph) {
    uint32_t state = 12345;

    for (size_t i = 0; i < graph->parameter_count; i++) {
        struct graph_parameter *parameter = &graph->parameters[i];
        const struct shape stored = parameter_stored_shape(parameter);
        const int64_t count = shape_element_count(&stored);
        float *numbers = malloc((size_t)count * sizeof *numbers);
        cr_assert(numbers != NULL);
        for (int64_t j = 0; j < count; j++) {
            state = state * 1664525u + 1013904223u;
            numbers[j] = (float)(state >> 8) * 0x1p-24f - 0.5f;
        }
        parameter->tensor = tensor_make(parameter->name, VAEMARK_F32, &stored, numbers);
    }
}

void graphs_free(struct vaemark_graph *graph) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        free(graph->parameters[i].tensor.data);
    }
    graph_free(graph);
}

/* In front of each allocation stands what it was for. */
struct header {
    size_t size_bytes;
    enum vaemark_memory_class memory_class;
    uint64_t canary;
};
enum { HEADER_BYTES = 64 };
static const uint64_t CANARY = 0x5afe5afe5afe5afeu;

static void *host_allocate(void *user, size_t size_bytes, size_t alignment_bytes,
                           enum vaemark_memory_class memory_class) {
    struct graphs_host *host = user;
    unsigned char *memory;
    const struct header header = {size_bytes, memory_class, CANARY};

    cr_assert(alignment_bytes <= HEADER_BYTES && size_bytes > 0);
    if (host->requests++ == host->fail_at) {
        return NULL;
    }
    memory = aligned_alloc(HEADER_BYTES, HEADER_BYTES + (size_bytes + sizeof CANARY + 63) / 64 * 64);
    cr_assert(memory != NULL);
    memset(memory, 0xff, HEADER_BYTES + size_bytes); /* NaN, until written */
    memcpy(memory, &header, sizeof header);
    memcpy(memory + HEADER_BYTES + size_bytes, &CANARY, sizeof CANARY);
    host->current[memory_class] += size_bytes;
    if (host->current[memory_class] > host->peak[memory_class]) {
        host->peak[memory_class] = host->current[memory_class];
    }
    return memory + HEADER_BYTES;
}

static void host_release(void *user, void *memory) {
    struct graphs_host *host = user;
    struct header header;

    if (memory == NULL) {
        return;
    }
    memcpy(&header, (unsigned char *)memory - HEADER_BYTES, sizeof header);
    cr_assert_eq(header.canary, CANARY, "wrote before its memory");
    cr_assert_eq(memcmp((unsigned char *)memory + header.size_bytes, &CANARY, sizeof CANARY), 0,
                 "wrote behind its memory");
    host->current[header.memory_class] -= header.size_bytes;
    free((unsigned char *)memory - HEADER_BYTES);
}

void graphs_host_make(struct graphs_host *host) {
    *host = (struct graphs_host){
        .host = {.struct_size = sizeof host->host, .user = host, .allocate = host_allocate, .release = host_release},
        .fail_at = -1};
}

void graphs_host_reset(struct graphs_host *host, int64_t fail_at) {
    memcpy(host->peak, host->current, sizeof host->peak);
    host->requests = 0;
    host->fail_at = fail_at;
}

uint64_t graphs_host_balance(const struct graphs_host *host) {
    uint64_t sum = 0;

    for (int i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++) {
        sum += host->current[i];
    }
    return sum;
}
