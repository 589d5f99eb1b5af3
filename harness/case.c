#include "harness/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/inputs.h"

/* The values of one case while a block is being multiplied out. */
struct choice {
    const struct suite_block *block;
    const struct decoder_spec *decoder;
    struct run_model *model;
    const char *latents, *precision, *options;
    unsigned batch;
};

void cases_free(struct case_list *cases) {
    free(cases->items);
    *cases = (struct case_list){0};
}

const char *case_must_refuse(const struct run_case *item, size_t index) {
    const char *vae_type = item->model->model->type->name;
    for (size_t i = 0; capability_options[i]; i++) {
        const char *option = capability_options[i];
        if (option_is_asked(option_list_find(&item->options, option)) &&
            capability_of(vae_type, option, item->decoder->own) == CAPABILITY_MUST_REFUSE && index-- == 0) {
            return option;
        }
    }
    return NULL;
}

/* "fuse_qkv+threads=1" into the list; "plain" is nothing. */
static enum vaemark_status parse_options(const char *text, struct option_list *list, struct error *error) {
    char copy[256];
    if (strcmp(text, "plain") == 0) {
        return VAEMARK_OK;
    }
    if (strlen(text) >= sizeof copy) {
        return error_set(error, VAEMARK_BAD_INPUT, "options '%.80s…' are too long", text);
    }
    strcpy(copy, text);
    char *rest = NULL;
    enum vaemark_status status = VAEMARK_OK;
    for (char *word = strtok_r(copy, "+", &rest); word && status == VAEMARK_OK; word = strtok_r(NULL, "+", &rest)) {
        char *equals = strchr(word, '=');
        if (equals) {
            *equals = '\0';
        }
        status = option_list_set(list, word, equals ? equals + 1 : "on", error);
    }
    return status;
}

/* Options that are off, and `threads=0`, are defaults. */
static bool is_default(const struct option_text *option) {
    return strcmp(option->value, "off") == 0 || strcmp(option->value, "false") == 0 ||
           strcmp(option->value, "no") == 0 || strcmp(option->value, "0") == 0;
}

static void format_options(struct run_case *item) {
    size_t used = 0;
    item->options_text[0] = '\0';
    for (size_t i = 0; i < item->options.count; i++) {
        const struct option_text *option = &item->options.items[i];
        if (is_default(option) || used >= sizeof item->options_text) {
            continue;
        }
        bool on = option_is_on(option->value) && strcmp(option->key, "threads") != 0;
        int written = snprintf(item->options_text + used, sizeof item->options_text - used, "%s%s%s%s", used ? "+" : "",
                               option->key, on ? "" : "=", on ? "" : option->value);
        used += written > 0 ? (size_t)written : 0;
    }
    if (!item->options_text[0]) {
        strcpy(item->options_text, "plain");
    }
}

/* "8x8", or the name of a file in the model's folder, which then tells the shape. */
static enum vaemark_status set_latents(struct run_case *item, const char *latents, unsigned batch,
                                       struct error *error) {
    long long height = 0, width = 0;
    char rest = '\0';
    if (sscanf(latents, "%lldx%lld%c", &height, &width, &rest) == 2) {
        if (height < 1 || width < 1 || height > 65536 || width > 65536) {
            return error_set(error, VAEMARK_BAD_INPUT, "latents '%s': 1x1 to 65536x65536", latents);
        }
        item->batch = batch;
        item->height = height;
        item->width = width;
        snprintf(item->shape, sizeof item->shape, "%lldx%lldx%lldx%lld", (long long)batch,
                 (long long)item->model->model->graph->inputs[0].channels, height, width);
        return VAEMARK_OK;
    }
    item->from_file = true;
    int written =
        snprintf(item->latents_path, sizeof item->latents_path, "%s/%s.safetensors", item->model->folder, latents);
    if (written < 0 || (size_t)written >= sizeof item->latents_path) {
        return error_set(error, VAEMARK_BAD_INPUT, "latents '%s': the path is too long", latents);
    }
    struct input_set set;
    enum vaemark_status status = inputs_read(item->model->model->graph, item->latents_path, 0, false, &set, error);
    if (status == VAEMARK_OK) {
        struct shape shape = tensor_shape(&set.tensors[0]);
        item->batch = shape.dims[0];
        item->height = shape.dims[shape.rank - 2];
        item->width = shape.dims[shape.rank - 1];
        shape_format(&shape, item->shape, sizeof item->shape);
        inputs_free(&set);
    }
    return status;
}

static enum vaemark_status make_case(const struct choice *choice, struct run_case *item, struct error *error) {
    *item = (struct run_case){.block = choice->block, .decoder = choice->decoder, .model = choice->model};
    enum vaemark_status status = parse_options(choice->options, &item->options, error);
    const struct option_list *own = &choice->decoder->options;
    const char *precision = option_list_find(own, "precision");
    snprintf(item->precision, sizeof item->precision, "%.15s", precision ? precision : choice->precision);
    for (size_t i = 0; status == VAEMARK_OK && i < own->count; i++) {
        if (strcmp(own->items[i].key, "precision") != 0) {
            status = option_list_set(&item->options, own->items[i].key, own->items[i].value, error);
        }
    }
    if (status == VAEMARK_OK) {
        status = set_latents(item, choice->latents, choice->batch, error);
    }
    format_options(item);
    item->fuse_qkv = option_is_on(option_list_find(&item->options, "fuse_qkv"));
    int written = snprintf(item->id, sizeof item->id, "%s/%s/%s/%s/%s", item->model->name, item->decoder->name,
                           item->precision, item->options_text, item->shape);
    if (status == VAEMARK_OK && (written < 0 || (size_t)written >= sizeof item->id)) {
        return error_set(error, VAEMARK_BAD_INPUT, "the id of a case is too long: '%.80s…'", item->id);
    }
    return status;
}

static bool matches(const struct run_case *item, const struct case_filter *filter) {
    bool matched = !filter->case_globs || !filter->case_globs[0];
    for (size_t i = 0; !matched && filter->case_globs[i]; i++) {
        matched = text_glob_match(filter->case_globs[i], item->id);
    }
    return matched;
}

/* Appends unless it is there: options that a decoder fixes make several choices the same case. */
static enum vaemark_status append(struct case_list *cases, const struct run_case *item, struct error *error) {
    for (size_t i = 0; i < cases->count; i++) {
        if (strcmp(cases->items[i].id, item->id) != 0) {
            continue;
        }
        if (cases->items[i].decoder == item->decoder && cases->items[i].from_file == item->from_file) {
            return VAEMARK_OK;
        }
        return error_set(error, VAEMARK_BAD_INPUT,
                         "two cases have the id '%s'; tell their decoders apart with name=", item->id);
    }
    if (cases->count == cases->capacity) {
        size_t capacity = cases->capacity ? 2 * cases->capacity : 64;
        struct run_case *grown = realloc(cases->items, capacity * sizeof *grown);
        if (!grown) {
            return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the list of cases");
        }
        cases->items = grown;
        cases->capacity = capacity;
    }
    cases->items[cases->count++] = *item;
    return VAEMARK_OK;
}

static enum vaemark_status add_choice(const struct choice *choice, const struct case_filter *filter,
                                      struct case_list *cases, struct error *error) {
    struct run_case item;
    enum vaemark_status status = make_case(choice, &item, error);
    return status == VAEMARK_OK && matches(&item, filter) ? append(cases, &item, error) : status;
}

/* Every latents x batch x precision x options of a block for one model and one decoder. */
static enum vaemark_status expand_choices(struct choice choice, const struct case_filter *filter,
                                          struct case_list *cases, struct error *error) {
    char plain_text[] = "plain", fp32_text[] = "fp32", *plain[] = {plain_text}, *fp32[] = {fp32_text};
    const unsigned one[] = {1};
    const struct suite_block *block = choice.block;
    char *const *precisions = block->precisions_count ? block->precisions : fp32;
    char *const *options = block->options_count ? block->options : plain;
    const unsigned *batches = block->batches_count ? block->batches : one;
    const unsigned precision_count = block->precisions_count ? block->precisions_count : 1;
    const unsigned option_count = block->options_count ? block->options_count : 1;
    const unsigned batch_count = block->batches_count ? block->batches_count : 1;
    enum vaemark_status status = VAEMARK_OK;
    for (unsigned l = 0; l < block->latents_count; l++) {
        for (unsigned b = 0; b < batch_count; b++) {
            for (unsigned p = 0; p < precision_count; p++) {
                for (unsigned o = 0; status == VAEMARK_OK && o < option_count; o++) {
                    choice.latents = block->latents[l];
                    choice.batch = batches[b];
                    choice.precision = precisions[p];
                    choice.options = options[o];
                    status = add_choice(&choice, filter, cases, error);
                }
            }
        }
    }
    return status;
}

static bool listed(const char *const *names, const char *name) {
    bool found = !names || !names[0];
    for (size_t i = 0; !found && names[i]; i++) {
        found = strcmp(names[i], name) == 0;
    }
    return found;
}

/* Which shard a case belongs to: cases by falling cost, each to the shard with the least so far. Deterministic. */
static enum vaemark_status keep_shard(struct case_list *cases, int64_t shard, int64_t shard_count,
                                      struct error *error) {
    double *load = calloc((size_t)shard_count, sizeof *load);
    double *cost = calloc(cases->count + 1, sizeof *cost);
    int64_t *owner = calloc(cases->count + 1, sizeof *owner);
    if (!load || !cost || !owner) {
        free(load);
        free(cost);
        free(owner);
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for shards");
    }
    for (size_t i = 0; i < cases->count; i++) {
        const struct run_case *item = &cases->items[i];
        cost[i] = (double)item->batch * (double)item->height * (double)item->width *
                  (double)graph_parameter_elements(item->model->model->graph);
        owner[i] = -1;
    }
    for (size_t round = 0; round < cases->count; round++) {
        size_t heaviest = cases->count;
        for (size_t i = 0; i < cases->count; i++) {
            heaviest = owner[i] < 0 && (heaviest == cases->count || cost[i] > cost[heaviest]) ? i : heaviest;
        }
        int64_t lightest = 0;
        for (int64_t s = 1; s < shard_count; s++) {
            lightest = load[s] < load[lightest] ? s : lightest;
        }
        owner[heaviest] = lightest;
        load[lightest] += cost[heaviest];
    }
    size_t kept = 0;
    for (size_t i = 0; i < cases->count; i++) {
        if (owner[i] == shard - 1) {
            cases->items[kept++] = cases->items[i];
        }
    }
    cases->count = kept;
    free(load);
    free(cost);
    free(owner);
    return VAEMARK_OK;
}

enum vaemark_status cases_expand(const struct suite *suite, const struct decoder_spec *decoders, size_t decoder_count,
                                 struct models *models, const struct case_filter *filter, struct case_list *cases,
                                 struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (unsigned b = 0; status == VAEMARK_OK && b < suite->blocks_count; b++) {
        for (unsigned m = 0; status == VAEMARK_OK && m < suite->blocks[b].models_count; m++) {
            struct choice choice = {.block = &suite->blocks[b]};
            if (!listed(filter->models, suite->blocks[b].models[m])) {
                continue;
            }
            status = models_find(models, suite->blocks[b].models[m], &choice.model, error);
            for (size_t d = 0; status == VAEMARK_OK && d < decoder_count; d++) {
                choice.decoder = &decoders[d];
                if (suite_block_takes(suite, choice.block, decoders[d].name)) {
                    status = expand_choices(choice, filter, cases, error);
                }
            }
        }
    }
    if (status == VAEMARK_OK && filter->shard_count > 0) {
        status = keep_shard(cases, filter->shard, filter->shard_count, error);
    }
    if (status == VAEMARK_OK && cases->count == 0) {
        status =
            error_set(error, VAEMARK_INVALID_ARGUMENT,
                      "no case of suite '%s' is selected, so nothing would be checked; 'vaemark list cases' shows what "
                      "there is",
                      suite->name);
    }
    return status;
}
