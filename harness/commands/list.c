/* vaemark list: backends, models, suites, cases, checks. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "harness/checks/checks.h"
#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "harness/list_json.h"
#include "harness/model_facts.h"
#include "harness/selection.h"
#include "harness/worker/serve.h"
#include "reference/latent_space.h"

struct list_options {
    struct selection selection;
    const char *what;
    bool json;
    json_t *document; /* with --json: what is printed in the end */
};

static const struct cli_option options[] = {
    SELECTION_OPTIONS, {"json", NULL, "print JSON (docs/list-json.md)"}, {NULL, NULL, NULL}};

static const struct cli_usage usage = {
    .synopsis = "vaemark list backends | models | suites | cases | checks [--json]",
    .description = "Lists what there is. 'cases' takes the options of 'run' and shows what they select.",
    .options = options,
    .epilogue = "Examples:\n"
                "  vaemark list models\n"
                "  vaemark list cases --suite conformance --model taesd-mini\n"
                "Exit codes: 0 listed, 2 usage or bad input, 4 writing failed.",
};

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct list_options *list = context;
    bool taken = false;
    if (option && strcmp(option, "json") == 0) {
        list->json = true;
        return VAEMARK_OK;
    }
    if (option) {
        return selection_take(&list->selection, option, value, &taken, error);
    }
    if (list->what) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "one list at a time: '%s' or '%s'", list->what, value);
    }
    list->what = value;
    return VAEMARK_OK;
}

/* With --json: puts a row into the document's array of that name. */
static void append_json(struct list_options *list, const char *array, json_t *row) {
    json_array_append_new(json_object_get(list->document, array), row);
}

/* ---- Backends ---- */

static enum vaemark_status list_backends(struct list_options *list, struct error *error) {
    (void)error;
    for (size_t i = 0; list->json && builtin_backends[i]; i++) {
        append_json(list, "backends", list_json_backend(builtin_backends[i]));
    }
    if (list->json) {
        return VAEMARK_OK;
    }
    printf("%-10s %-13s %s\n", "backend", "available", "what");
    for (size_t i = 0; builtin_backends[i]; i++) {
        const struct vaemark_backend *backend = builtin_backends[i];
        struct vaemark_probe probe = {.struct_size = sizeof probe};
        struct vaemark_message message = {{0}};
        bool probed = backend->probe(&probe, &message) == VAEMARK_OK;
        bool available = probed && probe.available;
        printf("%-10s %-13s %s\n", backend->name, available ? "yes" : "no", backend->description);
        if (!available) {
            printf("%-24s because: %s\n", "", probed ? probe.reason : message.text);
        }
        for (size_t f = 0; probed && f < probe.fact_count; f++) {
            printf("%-24s %s: %s\n", "", probe.facts[f].key, probe.facts[f].value);
        }
        for (size_t u = 0; probed && u < probe.unsupported_count; u++) {
            const struct vaemark_unsupported *row = &probe.unsupported[u];
            printf("%-24s not: %s%s%s (%s)\n", "", row->option ? row->option : "anything", row->vae_type ? " on " : "",
                   row->vae_type ? row->vae_type : "", row->reason);
        }
    }
    printf("Others: plugin:FILE.so (docs/writing-a-plugin.md), exec:'COMMAND' (docs/worker-protocol.md).\n");
    return VAEMARK_OK;
}

/* ---- Models ---- */

static void print_model(const struct run_model *model) {
    const struct model *opened = model->model;
    char space[LATENT_SPACE_TEXT_BYTES];
    double flops_512 = model_flops_at(opened, 512), flops_1024 = model_flops_at(opened, 1024);
    printf("%-18s %-22s %13llu %7lld %12.3f %12.3f %-9s %s\n", model->name, opened->type->name,
           (unsigned long long)graph_parameter_elements(opened->graph), (long long)model_parameter_tensors(opened),
           flops_512 * 1e-9, flops_1024 * 1e-9, model->weights_path ? "trained" : "synthetic",
           latent_space_describe(opened, space));
}

static void print_capabilities(void) {
    printf("\nCapability table: what a decoder must do with an option, by VAE type (own backends / others)\n%-24s", "");
    for (size_t o = 0; capability_options[o]; o++) {
        printf(" %-26s", capability_options[o]);
    }
    printf("\n");
    for (size_t t = 0; t < model_type_count; t++) {
        printf("%-24s", model_types[t].name);
        for (size_t o = 0; capability_options[o]; o++) {
            char cell[64];
            snprintf(cell, sizeof cell, "%s / %s",
                     capability_name(capability_of(model_types[t].name, capability_options[o], true)),
                     capability_name(capability_of(model_types[t].name, capability_options[o], false)));
            printf(" %-26s", cell);
        }
        printf("\n");
    }
    for (size_t t = 0; t < model_type_count; t++) {
        for (size_t o = 0; capability_options[o]; o++) {
            const char *note = capability_note(model_types[t].name, capability_options[o]);
            if (note) {
                printf("%s, %s: %s.\n", model_types[t].name, capability_options[o], note);
            }
        }
    }
}

static enum vaemark_status list_models(struct list_options *list, struct error *error) {
    char **names = models_preset_names(error);
    if (!names) {
        return VAEMARK_IO_ERROR;
    }
    enum vaemark_status status = VAEMARK_OK;
    if (!list->json) {
        printf("%-18s %-22s %13s %7s %12s %12s %-9s %s\n", "model", "VAE type", "parameters", "tensors", "GFLOP 512^2",
               "GFLOP 1024^2", "weights", "diffusion space");
    }
    for (size_t i = 0; status == VAEMARK_OK && names[i]; i++) {
        struct run_model *model = NULL;
        status = models_find(&list->selection.models, names[i], &model, error);
        if (status == VAEMARK_OK && list->json) {
            append_json(list, "models", list_json_model(model));
        } else if (status == VAEMARK_OK) {
            print_model(model);
        }
    }
    models_free_names(names);
    if (status == VAEMARK_OK && list->json) {
        json_object_set_new(list->document, "capabilities", list_json_capabilities());
    } else if (status == VAEMARK_OK) {
        printf("Parameters and FLOPs (2 x multiply-adds of convolutions, linears and attention products) are the "
               "decoder's.\nDiffusion space: what 'decode --from diffusion-space' makes of latents x before it decodes "
               "them "
               "(docs/latents.md).\n");
        print_capabilities();
    }
    return status;
}

/* ---- Suites, cases, checks ---- */

static int compare_suites(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_suite(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0;
}

static enum vaemark_status list_suites(struct list_options *list, struct error *error) {
    char *data = NULL;
    enum vaemark_status status = data_folder(&data, error);
    char *folder = status == VAEMARK_OK ? path_join(data, "suites") : NULL;
    struct dirent **entries = NULL;
    int count = folder ? scandir(folder, &entries, is_suite, compare_suites) : -1;
    for (int i = 0; i < count; i++) {
        char *path = path_join(folder, entries[i]->d_name);
        struct suite *suite = NULL;
        if (status == VAEMARK_OK && path && (status = suite_load(path, &suite, error)) == VAEMARK_OK) {
            if (list->json) {
                append_json(list, "suites", list_json_suite(suite));
            } else {
                printf("%-14s %s\n", suite->name, suite->description);
            }
        }
        suite_free(suite);
        free(path);
        free(entries[i]);
    }
    if (status == VAEMARK_OK && count < 0) {
        status = error_set_at(error, VAEMARK_IO_ERROR, folder ? folder : "", "cannot be listed");
    }
    free(entries);
    free(folder);
    free(data);
    return status;
}

static enum vaemark_status list_cases(struct list_options *list, struct error *error) {
    enum vaemark_status status = selection_expand(&list->selection, error);
    for (size_t i = 0; status == VAEMARK_OK && i < list->selection.cases.count; i++) {
        if (list->json) {
            append_json(list, "cases", list_json_case(&list->selection.cases.items[i]));
        } else {
            printf("%s\n", list->selection.cases.items[i].id);
        }
    }
    return status;
}

static enum vaemark_status list_checks(struct list_options *list, struct error *error) {
    (void)error;
    if (list->json) {
        json_object_set_new(list->document, "checks", list_json_checks());
        return VAEMARK_OK;
    }
    for (size_t i = 0; i < check_description_count; i++) {
        printf("%-26s %s\n", check_descriptions[i].name, check_descriptions[i].holds_when);
    }
    return VAEMARK_OK;
}

static const struct topic {
    const char *name;
    enum vaemark_status (*print)(struct list_options *list, struct error *error);
} topics[] = {
    {"backends", list_backends}, {"models", list_models}, {"suites", list_suites},
    {"cases", list_cases},       {"checks", list_checks},
};
enum { TOPIC_COUNT = sizeof topics / sizeof *topics };

static int print_topic(struct list_options *list) {
    const char *names[TOPIC_COUNT + 1] = {NULL};
    struct error error = {0};
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        names[i] = topics[i].name;
        if (list->what && strcmp(list->what, topics[i].name) == 0) {
            list->document = json_pack("{s:[]}", topics[i].name);
            enum vaemark_status status = topics[i].print(list, &error);
            if (list->json && status == VAEMARK_OK) {
                json_dumpf(list->document, stdout, JSON_INDENT(2));
                printf("\n");
            }
            json_decref(list->document);
            if (status != VAEMARK_OK) {
                cli_print_error(&error);
                return status == VAEMARK_OUT_OF_MEMORY ? EXIT_CODE_HARNESS : EXIT_CODE_USAGE;
            }
            return EXIT_CODE_PASSED;
        }
    }
    const char *nearest = list->what ? text_nearest(list->what, names) : NULL;
    fprintf(stderr, "vaemark: list what? backends, models, suites, cases or checks%s%s%s\n",
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_CODE_USAGE;
}

int command_list(int argc, char **argv) {
    struct list_options list = {0};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &list);
    int code = parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    if (parsed == CLI_PARSED) {
        code = print_topic(&list);
    }
    selection_free(&list.selection);
    return code;
}
