/* Figures of bench_conv for people and for programs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "kernels/cpu/bench/conv.h"

#define MIB 1048576.0

void conv_print_header(FILE *stream) {
    fprintf(stream, "\n"
                    "ms       median over the rounds; `none`: oneDNN has no such primitive, `=`: it is the direct one\n"
                    "GFLOP/s  of the direct form, whatever was computed; 1DNN: oneDNN's best\n"
                    "ratio    time of cpu by that of oneDNN's best, median of the rounds' ratios\n"
                    "MiB      source, destination and scratch + weights, of cpu fp32 and of oneDNN's best\n"
                    "differs  from oneDNN's direct form, of the largest value\n\n");
    fprintf(stream, "%-39s | %-17s %-26s | %-20s | %-12s | %-29s | %s\n", "", "     cpu, ms", "  oneDNN, ms",
            "   GFLOP/s", "   ratio", "    MiB", "    differs");
    fprintf(stream, "%-30s %8s | %8s %8s %8s %8s %8s | %6s %6s %6s | %5s %6s | %14s %14s | %7s %7s\n", "layer", "GFLOP",
            "fp32", "strict", "direct", "auto", "winograd", "fp32", "strict", "1DNN", "fp32", "strict", "cpu fp32",
            "1DNN", "fp32", "strict");
}

static void print_times(FILE *stream, const struct conv_result *r) {
    static const char *const STATES[] = {[CONV_NONE] = "none", [CONV_AS_DIRECT] = "="};
    for (size_t i = 0; i < CONV_FORM_COUNT; i++) {
        if (r->forms[i].state == CONV_MEASURED) {
            fprintf(stream, " %8.3f", r->forms[i].median_ns * 1e-6);
        } else {
            fprintf(stream, " %8s", STATES[r->forms[i].state]);
        }
    }
}

static void print_memory(FILE *stream, const struct conv_facts *facts) {
    fprintf(stream, " %7.1f + %4.1f", (double)facts->activation_bytes / MIB, (double)facts->weight_bytes / MIB);
}

void conv_print_result(FILE *stream, const struct conv_result *r) {
    const struct conv_form_result *fp32 = &r->forms[CPU_FP32], *strict = &r->forms[CPU_STRICT];
    const struct conv_form_result *best = &r->forms[r->best];
    fprintf(stream, "%-30s %8.3f |", r->name, r->flops * 1e-9);
    print_times(stream, r);
    fprintf(stream, " | %6.1f %6.1f %6.1f | %5.2f %6.2f |", r->flops / fp32->median_ns, r->flops / strict->median_ns,
            r->flops / best->median_ns, r->ratios[CPU_FP32], r->ratios[CPU_STRICT]);
    print_memory(stream, &fp32->facts);
    print_memory(stream, &best->facts);
    fprintf(stream, " | %7.1e %7.1e", fp32->difference, strict->difference);
    for (size_t i = 0; i < CONV_FORM_COUNT; i++) {
        if (r->forms[i].state == CONV_MEASURED && !r->forms[i].agrees) {
            fprintf(stream, "  %s DISAGREES by %.1e", conv_forms[i].name, r->forms[i].difference);
        }
    }
    fprintf(stream, "\n");
}

/* Layers count alike, whatever they cost, in the geometric mean; in the sums they count by their time. */
void conv_print_summary(FILE *stream, const struct conv_result *results, size_t count) {
    fprintf(stream, "\n");
    for (size_t form = 0; form < ONEDNN_DIRECT && count > 0; form++) {
        double logarithms = 0.0, own_ns = 0.0, best_ns = 0.0;
        size_t faster = 0;
        for (size_t i = 0; i < count; i++) {
            logarithms += log(results[i].ratios[form]);
            own_ns += results[i].forms[form].median_ns;
            best_ns += results[i].forms[results[i].best].median_ns;
            faster += results[i].ratios[form] < 1.0 ? 1 : 0;
        }
        fprintf(stream, "%s: ratio %.2f (geometric mean), faster in %zu of %zu layers, %.3f s in all; oneDNN %.3f s\n",
                conv_forms[form].name, exp(logarithms / (double)count), faster, count, own_ns * 1e-9, best_ns * 1e-9);
    }
}

static json_t *form_json(const struct conv_form_result *form, int rounds) {
    static const char *const STATES[] = {
        [CONV_MEASURED] = "measured", [CONV_NONE] = "none", [CONV_AS_DIRECT] = "as_direct"};
    if (form->state != CONV_MEASURED) {
        return json_pack("{s:s}", "state", STATES[form->state]);
    }
    json_t *samples = json_array();
    for (int i = 0; i < rounds; i++) {
        json_array_append_new(samples, json_real(form->samples_ns[i]));
    }
    json_t *difference = isfinite(form->difference) ? json_real(form->difference) : json_null(); /* JSON has no NaN */
    return json_pack("{s:s, s:s, s:f, s:o, s:o, s:b, s:I, s:I}", "state", STATES[form->state], "kernel",
                     form->facts.kernel, "median_ns", form->median_ns, "samples_ns", samples, "difference", difference,
                     "agrees", (int)form->agrees, "activation_bytes", (json_int_t)form->facts.activation_bytes,
                     "weight_bytes", (json_int_t)form->facts.weight_bytes);
}

static json_t *result_json(const struct conv_result *r) {
    json_t *forms = json_object();
    for (size_t i = 0; i < CONV_FORM_COUNT; i++) {
        json_object_set_new(forms, conv_forms[i].key, form_json(&r->forms[i], r->rounds));
    }
    return json_pack("{s:s, s:s, s:f, s:s, s:f, s:f, s:o}", "layer", r->name, "place", r->place, "flops", r->flops,
                     "onednn_best", conv_forms[r->best].key, "ratio_fp32", r->ratios[CPU_FP32], "ratio_fp32_strict",
                     r->ratios[CPU_STRICT], "forms", forms);
}

enum vaemark_status conv_write_json(const char *path, const struct conv_result *results, size_t count, int threads,
                                    struct error *error) {
    json_t *layers = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(layers, result_json(&results[i]));
    }
    json_t *document = json_pack("{s:i, s:o}", "threads", threads, "layers", layers);
    struct atomic_file file = {0};
    enum vaemark_status status = document != NULL
                                     ? atomic_file_open(&file, path, error)
                                     : error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "no memory for JSON");
    if (status == VAEMARK_OK) {
        (void)json_dumpf(document, file.stream, JSON_INDENT(1)); /* commit finds what could not be written */
        fputc('\n', file.stream);
        status = atomic_file_commit(&file, error);
    }
    json_decref(document);
    return status;
}
