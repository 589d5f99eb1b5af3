/* Option quantize as a transformation: the codebook's node stands first, and everybody reads behind it. */
#include <criterion/criterion.h>
#include <string.h>

#include "reference/builder.h"
#include "reference/quantize.h"

/* Latents that two nodes read, as in MoVQ; a codebook that no node reads. */
static struct vaemark_graph *make_graph(bool with_codebook) {
    struct builder b;
    struct vaemark_graph *graph = NULL;
    builder_begin(&b);
    value z = builder_input(&b, "latents", 4, 2, 1);
    if (with_codebook) {
        builder_declare(&b, "quantize.embedding", "weight", (struct shape){.rank = 2, .dims = {5, 2}}, PARAMETER_TABLE);
    }
    value x = builder_silu(&b, z);
    cr_assert_eq(builder_finish(&b, builder_add(&b, x, z), &graph, NULL), VAEMARK_OK);
    return graph;
}

Test(quantize_latents, are_read_by_everybody_behind_the_codebook) {
    struct vaemark_graph *graph = make_graph(true), *quantized = NULL;
    struct error error = {.status = VAEMARK_OK};
    char before[65], after[65];
    cr_assert_eq(quantize_latents(graph, &quantized, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(quantized->node_count, 3);
    const struct graph_node *node = &quantized->nodes[0];
    cr_expect_eq(node->op, OP_QUANTIZE);
    cr_expect_eq(node->inputs[0], quantized->inputs[0].value);
    cr_expect_str_eq(quantized->parameters[node->parameters[0]].name, "quantize.embedding.weight");
    cr_expect_eq(quantized->nodes[1].inputs[0], node->output);
    cr_expect_eq(quantized->nodes[2].inputs[0], quantized->nodes[1].output);
    cr_expect_eq(quantized->nodes[2].inputs[1], node->output);
    cr_assert_eq(graph_digest(graph, before, NULL), VAEMARK_OK);
    cr_assert_eq(graph_digest(quantized, after, NULL), VAEMARK_OK);
    cr_expect_str_neq(before, after);
    graph_free(quantized);
    graph_free(graph);
}

Test(quantize_latents, need_a_codebook_and_vectors) {
    struct vaemark_graph *graph = make_graph(false), *quantized = NULL;
    struct error error = {.status = VAEMARK_OK};
    struct builder b;
    cr_expect_eq(quantize_latents(graph, &quantized, &error), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect(strstr(error.message, "no codebook") != NULL && quantized == NULL, "%s", error.message);
    graph_free(graph);
    builder_begin(&b);
    value z = builder_lookup(&b, builder_codes(&b, "latents", 5), 5, 2, "quantize.embedding");
    cr_assert_eq(builder_finish(&b, z, &graph, NULL), VAEMARK_OK);
    cr_expect_eq(quantize_latents(graph, &quantized, &error), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect(strstr(error.message, "rows of the codebook already") != NULL, "%s", error.message);
    graph_free(graph);
}
