#include "harness/list_json.h"

#include <math.h>
#include <string.h>

#include "harness/checks/checks.h"
#include "harness/model_facts.h"
#include "harness/worker/wire.h"
#include "reference/latent_space.h"

json_t *json_number_or_null(double number) {
    return isfinite(number) ? json_real(number) : json_null();
}

json_t *list_json_backend(const struct vaemark_backend *backend) {
    struct vaemark_probe probe = {.struct_size = sizeof probe};
    struct vaemark_message message = {{0}};
    bool probed = backend->probe(&probe, &message) == VAEMARK_OK;
    bool available = probed && probe.available;
    const char *reason = probed ? probe.reason : message.text;
    json_t *facts = json_object(), *unsupported = json_array();
    for (size_t i = 0; probed && i < probe.fact_count; i++) {
        json_object_set_new(facts, probe.facts[i].key, wire_text_write(probe.facts[i].value));
    }
    for (size_t i = 0; probed && i < probe.unsupported_count; i++) {
        const struct vaemark_unsupported *row = &probe.unsupported[i];
        json_array_append_new(unsupported,
                              json_pack("{s:o, s:o, s:o}", "vae_type", wire_text_or_null(row->vae_type), "option",
                                        wire_text_or_null(row->option), "reason", wire_text_or_null(row->reason)));
    }
    return json_pack("{s:s, s:b, s:o, s:s, s:b, s:o, s:o}", "name", backend->name, "available", (int)available,
                     "reason", available ? json_null() : wire_text_or_null(reason), "description", backend->description,
                     "deterministic", (int)(probed && probe.deterministic), "facts", facts, "unsupported", unsupported);
}

/* Every option of the table for one VAE type. */
static json_t *capabilities_of(const char *vae_type, bool own) {
    json_t *options = json_object();
    for (size_t i = 0; capability_options[i]; i++) {
        const char *option = capability_options[i];
        json_object_set_new(options, option, json_string(capability_name(capability_of(vae_type, option, own))));
    }
    return options;
}

json_t *list_json_model(const struct run_model *model) {
    const struct model *opened = model->model;
    const char *vae_type = opened->type->name;
    json_t *flops = json_pack("{s:o, s:o}", "512", json_number_or_null(model_flops_at(opened, 512)), "1024",
                              json_number_or_null(model_flops_at(opened, 1024)));
    char space[LATENT_SPACE_TEXT_BYTES];
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:s, s:o, s:s, s:s, s:o, s:o}", "name", model->name, "vae_type",
                     vae_type, "parameters", (json_int_t)graph_parameter_elements(opened->graph), "parameter_tensors",
                     (json_int_t)model_parameter_tensors(opened), "flops", flops, "weights",
                     model->weights_path ? "trained" : "synthetic", "weights_path",
                     wire_text_or_null(model->weights_path), "config_path", model->config_path, "diffusion_space",
                     latent_space_describe(opened, space), "own_backends", capabilities_of(vae_type, true),
                     "other_backends", capabilities_of(vae_type, false));
}

json_t *list_json_capabilities(void) {
    json_t *rows = json_array();
    for (size_t t = 0; t < model_type_count; t++) {
        const char *vae_type = model_types[t].name;
        for (size_t o = 0; capability_options[o]; o++) {
            const char *option = capability_options[o];
            json_array_append_new(rows,
                                  json_pack("{s:s, s:s, s:s, s:s, s:s?}", "vae_type", vae_type, "option", option,
                                            "own_backends", capability_name(capability_of(vae_type, option, true)),
                                            "other_backends", capability_name(capability_of(vae_type, option, false)),
                                            "note", capability_note(vae_type, option)));
        }
    }
    return rows;
}

json_t *list_json_suite(const struct suite *suite) {
    json_t *decoders = json_array();
    for (unsigned i = 0; i < suite->decoders_count; i++) {
        json_array_append_new(decoders, wire_text_write(suite->decoders[i]));
    }
    return json_pack("{s:o, s:o, s:i, s:o, s:s, s:o, s:f, s:o}", "name", wire_text_write(suite->name), "description",
                     wire_text_write(suite->description), "version", (int)suite->version, "path",
                     wire_text_write(suite->path), "sha256", suite->sha256, "decoders", decoders, "timeout_s",
                     suite->timeout_s, "memory_limit", wire_text_or_null(suite->memory_limit));
}

static bool in_table(const char *option) {
    for (size_t i = 0; capability_options[i]; i++) {
        if (strcmp(option, capability_options[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What the capability table asks of the decoder for all of the case's options: one refusal decides, then one "may". */
static enum capability expectation(const struct run_case *item) {
    enum capability worst = CAPABILITY_MUST;
    for (size_t i = 0; i < item->options.count; i++) {
        const struct option_text *option = &item->options.items[i];
        bool off = strcmp(option->value, "off") == 0 || strcmp(option->value, "false") == 0;
        if (!off && in_table(option->key)) {
            enum capability one = capability_of(item->model->model->type->name, option->key, item->decoder->own);
            worst = one > worst ? one : worst;
        }
    }
    return worst;
}

json_t *list_json_case(const struct run_case *item) {
    json_t *options = json_object();
    for (size_t i = 0; i < item->options.count; i++) {
        const struct option_text *text = &item->options.items[i];
        struct vaemark_option option = option_typed(text);
        json_object_set_new(options, text->key, wire_option_write(&option));
    }
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:s, s:s}", "id", wire_text_write(item->id), "model",
                     item->model->name, "vae_type", item->model->model->type->name, "decoder",
                     wire_text_write(item->decoder->text), "backend", wire_text_write(item->decoder->name), "precision",
                     item->precision, "options_text", item->options_text, "options", options, "shape", item->shape,
                     "expected", capability_name(expectation(item)));
}

json_t *list_json_checks(void) {
    json_t *rows = json_array();
    for (size_t i = 0; i < check_description_count; i++) {
        json_array_append_new(rows, json_pack("{s:s, s:s}", "name", check_descriptions[i].name, "holds_when",
                                              check_descriptions[i].holds_when));
    }
    return rows;
}
