#include <criterion/criterion.h>
#include <string.h>

#include "reference/builder.h"
#include "reference/fuse_qkv.h"
#include "reference/graph_edit.h"
#include "tests/reference/support_graphs.h"

static size_t count_ops(const struct vaemark_graph *graph, enum op op) {
    size_t count = 0;

    for (size_t i = 0; i < graph->node_count; i++) {
        count += graph->nodes[i].op == op;
    }
    return count;
}

/* Three linears become one; shapes, order of the rows and the name are the specification's; costs stay. */
Test(fuse_qkv, joins_three_projections) {
    struct vaemark_graph *graph = graphs_attention(), *fused;
    struct vaemark_tensor latents = tensor_make("latents", VAEMARK_F32, &(struct shape){4, {2, 4, 3, 5}}, NULL);
    const struct vaemark_tensors inputs = {.items = &latents, .count = 1};
    struct shape shapes[64], fused_shapes[64];
    const struct graph_parameter *weight, *bias;
    int64_t modules;

    cr_assert_eq(fuse_qkv(graph, &fused, &modules, NULL), VAEMARK_OK);
    cr_expect_eq(modules, 1);
    cr_expect_eq(count_ops(graph, OP_LINEAR), 4, "the original is left alone");
    cr_expect_eq(count_ops(fused, OP_LINEAR), 2);
    cr_expect_eq(fused->node_count, graph->node_count - 2);
    cr_expect_eq(fused->value_count, graph->value_count - 2, "no value without a maker");
    weight = &fused->parameters[graph_find_parameter(fused, "mid.attentions.0.to_qkv.weight")];
    bias = &fused->parameters[graph_find_parameter(fused, "mid.attentions.0.to_qkv.bias")];
    cr_expect(shape_equal(&weight->shape, &(struct shape){2, {24, 8}}));
    cr_expect(shape_equal(&bias->shape, &(struct shape){1, {24}}));
    cr_expect_eq((int)weight->origin, PARAMETER_JOINED);
    cr_expect_str_eq(fused->parameters[weight->sources[0]].name, "mid.attentions.0.to_q.weight");
    cr_expect_str_eq(fused->parameters[weight->sources[1]].name, "mid.attentions.0.to_k.weight");
    cr_expect_str_eq(fused->parameters[weight->sources[2]].name, "mid.attentions.0.to_v.weight");
    cr_expect_str_eq(fused->parameters[bias->sources[2]].name, "mid.attentions.0.to_v.bias");
    cr_expect_eq(graph_parameter_elements(fused), graph_parameter_elements(graph), "stored parameters are conserved");
    cr_assert_eq(graph_infer_shapes(graph, &inputs, shapes, NULL), VAEMARK_OK);
    cr_assert_eq(graph_infer_shapes(fused, &inputs, fused_shapes, NULL), VAEMARK_OK);
    cr_expect_eq(graph_flops(fused, fused_shapes), graph_flops(graph, shapes));
    cr_expect(shape_equal(&fused_shapes[fused->output], &shapes[graph->output]));
    graph_free(graph);
    graph_free(fused);
}

/* No attention: no modules, no error, an equal graph. */
Test(fuse_qkv, finds_nothing_where_there_is_no_attention) {
    struct builder b;
    struct vaemark_graph *graph, *fused;
    int64_t modules = -1;
    value x;

    builder_begin(&b);
    x = builder_linear(&b, builder_input(&b, "latents", 4, 4, 1), 4, 4, "m");
    cr_assert_eq(builder_finish(&b, x, &graph, NULL), VAEMARK_OK);
    cr_assert_eq(fuse_qkv(graph, &fused, &modules, NULL), VAEMARK_OK);
    cr_expect_eq(modules, 0);
    cr_expect_eq(fused->node_count, 1);
    cr_expect_eq(fused->output, graph->output);
    graph_free(graph);
    graph_free(fused);
}

/* Projections that must stay apart: read by somebody else, of another input, or with unequal biases. */
static value attention_of(struct builder *b, value x, value other, bool shared, bool bias) {
    value q = builder_linear(b, x, 4, 4, "a.to_q"), k = builder_linear(b, other, 4, 4, "a.to_k");
    value v = bias ? builder_linear(b, x, 4, 4, "a.to_v") : builder_linear_no_bias(b, x, 4, 4, "a.to_v");
    value o = builder_attention(b, q, k, v, "a");

    return shared ? builder_add(b, o, q) : o;
}

static int64_t modules_fused(bool other_input, bool shared, bool bias) {
    struct builder b;
    struct vaemark_graph *graph, *fused;
    int64_t modules;
    value x, other;

    builder_begin(&b);
    x = builder_input(&b, "latents", 4, 4, 1);
    other = other_input ? builder_silu(&b, x) : x;
    cr_assert_eq(builder_finish(&b, attention_of(&b, x, other, shared, bias), &graph, NULL), VAEMARK_OK);
    cr_assert_eq(fuse_qkv(graph, &fused, &modules, NULL), VAEMARK_OK);
    graph_free(graph);
    graph_free(fused);
    return modules;
}

Test(fuse_qkv, leaves_alone_what_is_not_three_projections_of_one_input) {
    cr_expect_eq(modules_fused(false, false, true), 1);
    cr_expect_eq(modules_fused(true, false, true), 0);
    cr_expect_eq(modules_fused(false, true, true), 0);
    cr_expect_eq(modules_fused(false, false, false), 0);
}

/* A fused graph has nothing left to fuse. */
Test(fuse_qkv, is_done_after_once) {
    struct vaemark_graph *graph = graphs_attention(), *fused, *twice;
    int64_t modules;

    cr_assert_eq(fuse_qkv(graph, &fused, &modules, NULL), VAEMARK_OK);
    cr_assert_eq(fuse_qkv(fused, &twice, &modules, NULL), VAEMARK_OK);
    cr_expect_eq(modules, 0);
    cr_expect_eq(twice->node_count, fused->node_count);
    graph_free(graph);
    graph_free(fused);
    graph_free(twice);
}
