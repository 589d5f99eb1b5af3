#include "harness/selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/cli.h"
#include "kernels/cpu/kernels.h"

static enum vaemark_status take_shard(struct selection *selection, const char *value, struct error *error) {
    long long shard = 0, count = 0;
    char rest = '\0';
    if (sscanf(value, "%lld/%lld%c", &shard, &count, &rest) != 2 || count < 1 || count > 100000 || shard < 1 ||
        shard > count) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--shard wants I/N with 1 <= I <= N, not '%s'", value);
    }
    selection->shard = shard;
    selection->shard_count = count;
    return VAEMARK_OK;
}

/* Refused here once, not by a worker in each case. */
static enum vaemark_status take_isa(struct selection *selection, const char *value, struct error *error) {
    size_t count;
    const struct kernel_set *const *sets = kernel_sets(&count);
    char known[128] = "auto";
    bool found = strcmp(value, "auto") == 0;
    for (size_t i = 0; i < count; i++) {
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, ", %s", sets[i]->name);
        found = found || strcmp(value, sets[i]->name) == 0;
    }
    if (!found) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--isa wants one of %s, not '%s'", known, value);
    }
    selection->isa = value;
    return kernel_set_choose(value)
               ? VAEMARK_OK
               : error_set(error, VAEMARK_INVALID_ARGUMENT,
                           "--isa %s: this processor lacks it; 'vaemark list backends' tells", value);
}

static enum vaemark_status keep(int added, struct error *error) {
    return added ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the command line");
}

enum vaemark_status selection_take(struct selection *selection, const char *option, const char *value, bool *taken,
                                   struct error *error) {
    *taken = true;
    if (strcmp(option, "suite") == 0) {
        free(selection->suite_name);
        selection->suite_name = strdup(value);
        return keep(selection->suite_name != NULL, error);
    }
    if (strcmp(option, "decoder") == 0) {
        return keep(text_list_add(&selection->decoders, value), error);
    }
    if (strcmp(option, "backend") == 0) {
        return keep(text_list_add_commas(&selection->backends, value), error);
    }
    if (strcmp(option, "model") == 0) {
        return keep(text_list_add_commas(&selection->model_names, value), error);
    }
    if (strcmp(option, "case") == 0) {
        return keep(text_list_add(&selection->case_globs, value), error);
    }
    if (strcmp(option, "isa") == 0) {
        return take_isa(selection, value, error);
    }
    if (strcmp(option, "shard") == 0) {
        return take_shard(selection, value, error);
    }
    if (strcmp(option, "weights") == 0) {
        enum vaemark_status status = keep(text_list_add(&selection->weights, value), error);
        return status == VAEMARK_OK ? models_add_override(&selection->models, value, error) : status;
    }
    if (strcmp(option, "seed") == 0) {
        long long seed = 0;
        enum vaemark_status status = cli_parse_integer(option, value, 0, INT64_MAX, &seed, error);
        selection->models.seed = (uint64_t)seed;
        return status;
    }
    *taken = false;
    return VAEMARK_OK;
}

/* As if it had been given with the decoder, so that ids and the result file tell. */
static enum vaemark_status add_isa(const char *isa, struct decoder_spec *spec, struct error *error) {
    char text[sizeof spec->text + 32];
    if (strcmp(spec->backend, "cpu") != 0 || option_list_find(&spec->options, "isa")) {
        return VAEMARK_OK;
    }
    snprintf(text, sizeof text, "%s,isa=%s", spec->text, isa);
    return decoder_spec_parse(text, spec, error);
}

static bool has_backend(const struct selection *selection, const char *backend) {
    bool found = false;
    for (size_t i = 0; i < selection->spec_count; i++) {
        found = found || strcmp(selection->specs[i].backend, backend) == 0;
    }
    return found;
}

/* The decoders of the command line, or else the suite's. */
static enum vaemark_status parse_decoders(struct selection *selection, struct error *error) {
    struct text_list all = {0};
    int added = 1;
    for (size_t i = 0; added && i < selection->decoders.count; i++) {
        added = text_list_add(&all, selection->decoders.items[i]);
    }
    for (size_t i = 0; added && i < selection->backends.count; i++) {
        added = text_list_add(&all, selection->backends.items[i]);
    }
    for (unsigned i = 0;
         added && selection->decoders.count + selection->backends.count == 0 && i < selection->suite->decoders_count;
         i++) {
        added = text_list_add(&all, selection->suite->decoders[i]);
    }
    enum vaemark_status status = keep(added, error);
    selection->specs = calloc(all.count + 1, sizeof *selection->specs);
    if (!selection->specs) {
        status = keep(0, error);
    }
    for (size_t i = 0; status == VAEMARK_OK && i < all.count; i++) {
        status = decoder_spec_parse(all.items[i], &selection->specs[i], error);
        if (status == VAEMARK_OK && selection->isa) {
            status = add_isa(selection->isa, &selection->specs[i], error);
        }
        selection->spec_count++;
    }
    text_list_free(&all);
    if (status == VAEMARK_OK && selection->isa && !has_backend(selection, "cpu")) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--isa is for backend cpu, and no decoder here is of it");
    }
    return status;
}

/* A --model that the suite does not have selects nothing by a slip of the finger. */
static enum vaemark_status check_model_name(const struct suite *suite, const char *wanted, struct error *error) {
    const char *names[257] = {NULL};
    size_t count = 0;
    bool found = false;
    for (unsigned b = 0; b < suite->blocks_count; b++) {
        for (unsigned m = 0; m < suite->blocks[b].models_count && count < 256; m++) {
            names[count++] = suite->blocks[b].models[m];
            found |= strcmp(names[count - 1], wanted) == 0;
        }
    }
    const char *nearest = found ? NULL : text_nearest(wanted, names);
    return found ? VAEMARK_OK
                 : error_set(error, VAEMARK_INVALID_ARGUMENT, "suite '%s' has no model '%s'%s%s%s", suite->name, wanted,
                             nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* Also those of --weights: a checkpoint that nothing uses would leave its giver believing that it was tested. */
static enum vaemark_status check_model_names(const struct selection *selection, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < selection->model_names.count; i++) {
        status = check_model_name(selection->suite, selection->model_names.items[i], error);
    }
    for (size_t i = 0; status == VAEMARK_OK && i < selection->models.override_count; i++) {
        status = check_model_name(selection->suite, selection->models.overrides[i].model, error);
    }
    return status;
}

enum vaemark_status selection_expand(struct selection *selection, struct error *error) {
    enum vaemark_status status =
        suite_load(selection->suite_name ? selection->suite_name : "smoke", &selection->suite, error);
    if (status == VAEMARK_OK) {
        status = parse_decoders(selection, error);
    }
    if (status == VAEMARK_OK) {
        status = check_model_names(selection, error);
    }
    struct case_filter filter = {.case_globs = (const char *const *)selection->case_globs.items,
                                 .models = (const char *const *)selection->model_names.items,
                                 .shard = selection->shard,
                                 .shard_count = selection->shard_count};
    if (status == VAEMARK_OK) {
        status = cases_expand(selection->suite, selection->specs, selection->spec_count, &selection->models, &filter,
                              &selection->cases, error);
    }
    return status;
}

/* Appends " --option 'value'", quoted for a shell. */
static void append_option(FILE *out, const char *option, const char *value) {
    fprintf(out, " --%s '", option);
    for (; *value; value++) {
        if (*value == '\'') {
            fputs("'\\''", out);
        } else {
            fputc(*value, out);
        }
    }
    fputc('\'', out);
}

char *selection_repro(const struct selection *selection, const struct run_case *item, int64_t threads) {
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    if (!out) {
        return NULL;
    }
    fputs("vaemark run", out);
    append_option(out, "suite", selection->suite_name ? selection->suite_name : "smoke");
    append_option(out, "case", item->id);
    if (selection->decoders.count + selection->backends.count > 0) {
        append_option(out, "decoder", item->decoder->text);
    } else if (selection->isa) {
        append_option(out, "isa", selection->isa);
    }
    for (size_t i = 0; i < selection->weights.count; i++) {
        append_option(out, "weights", selection->weights.items[i]);
    }
    if (selection->models.seed) {
        fprintf(out, " --seed %llu", (unsigned long long)selection->models.seed);
    }
    if (threads) {
        fprintf(out, " --threads %lld", (long long)threads);
    }
    if (selection->memory_limit) {
        append_option(out, "memory-limit", selection->memory_limit);
    }
    fclose(out);
    return text;
}

void selection_free(struct selection *selection) {
    cases_free(&selection->cases);
    models_free(&selection->models);
    suite_free(selection->suite);
    text_list_free(&selection->decoders);
    text_list_free(&selection->backends);
    text_list_free(&selection->model_names);
    text_list_free(&selection->case_globs);
    text_list_free(&selection->weights);
    free(selection->specs);
    free(selection->suite_name);
}
