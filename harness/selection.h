/* What `run` and `list cases` select: a suite, decoders, and what narrows them down. */
#ifndef HARNESS_SELECTION_H
#define HARNESS_SELECTION_H

#include "harness/case.h"
#include "harness/text_list.h"

struct selection {
    char *suite_name;
    struct text_list decoders, backends, model_names, case_globs;
    struct text_list weights; /* as given, for repro lines */
    const char *memory_limit; /* as given, for repro lines; NULL: not */
    const char *isa;          /* of the decoders of backend cpu that name none; NULL: theirs to choose */
    int64_t shard, shard_count;
    struct models models;
    struct suite *suite;
    struct decoder_spec *specs;
    size_t spec_count;
    struct case_list cases;
};

/* The options of a selection, to be spliced into a command's table. */
#define SELECTION_OPTIONS                                                                                \
    {"suite", "NAME|FILE", "a suite's name, or its file (default smoke)"},                               \
        {"decoder", "DECODER", "a decoder under test, as cpu,threads=1 or exec:'CMD'; may be repeated"}, \
        {"backend", "LIST", "short for plain decoders: reference,cpu"},                                  \
        {"isa", "NAME", "instructions of backend cpu: auto, amx, avx512, avx2, portable"},               \
        {"model", "LIST", "only these models of the suite"},                                             \
        {"case", "GLOB", "only cases whose id matches (* and ?); may be repeated"},                      \
        {"shard", "I/N", "only the I-th of N parts, balanced by cost"},                                  \
        {"weights", "MODEL=DIR|FILE", "weights for a model; may be repeated"}, {                         \
        "seed", "N", "seed of synthetic weights and latents (default 0)"                                 \
    }

/* Takes one of SELECTION_OPTIONS; *taken tells whether it was one. */
enum vaemark_status selection_take(struct selection *selection, const char *option, const char *value, bool *taken,
                                   struct error *error);
/* Loads the suite and expands it. */
enum vaemark_status selection_expand(struct selection *selection, struct error *error);
/* The command line that repeats one case. Allocated; NULL when memory is short. */
char *selection_repro(const struct selection *selection, const struct run_case *item, int64_t threads);
void selection_free(struct selection *selection);

#endif
