#include "harness/oracle/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "harness/session.h"
#include "reference/executor.h"
#include "reference/quantize.h"

/* Unit roundoff and K by precision. K is how many times the plain reference's own rounding error another order of
 * sums may make; docs/bounds.md says how it was found. */
static const struct precision_bound {
    const char *precision;
    double unit_roundoff, k;
} precision_bounds[] = {
    {"fp32", 0x1p-24, 16},
    {"fp64", 0x1p-53, 16},
    {"bf16", 0x1p-8, 4},
    {"fp16", 0x1p-11, 4},
};

/* What an algorithm errs more than sums in another order do; docs/bounds.md has the measurements. */
static const struct algorithm_bound {
    const char *algorithm;
    double factor;
} algorithm_bounds[] = {{"direct", 1}, {"winograd", 5}};

static double factor_of(const char *algorithm) {
    for (size_t i = 0; algorithm && i < sizeof algorithm_bounds / sizeof *algorithm_bounds; i++) {
        if (strcmp(algorithm, algorithm_bounds[i].algorithm) == 0)
            return algorithm_bounds[i].factor;
    }
    return 1;
}

struct bound bound_derive(double reference_error, double oracle_max_abs, const char *precision, const char *algorithm) {
    const struct precision_bound *row = &precision_bounds[0];
    for (size_t i = 0; i < sizeof precision_bounds / sizeof *precision_bounds; i++) {
        row = strcmp(precision, precision_bounds[i].precision) == 0 ? &precision_bounds[i] : row;
    }
    /* The comparison is with the FP32 image, so no precision is held to less than FP32's own error. */
    double ratio = row->unit_roundoff > 0x1p-24 ? row->unit_roundoff / 0x1p-24 : 1;
    double unit = row->unit_roundoff > 0x1p-24 ? row->unit_roundoff : 0x1p-24;
    const double factor = factor_of(algorithm);
    double derived = row->k * reference_error * ratio * factor, least = 16 * unit * oracle_max_abs;
    struct bound bound = {.value = derived > least ? derived : least};
    snprintf(
        bound.derivation, sizeof bound.derivation,
        "%s: K = %g x |FP32 reference - FP64| = %.3g x u/u32 = %g x algorithm %.20s = %g gives %.3g; at least 16 u "
        "max|oracle| = %.3g",
        derived > least ? "reference error" : "least bound", row->k, reference_error, ratio,
        factor > 1 ? algorithm : "direct", factor, derived, least);
    return bound;
}

enum vaemark_status case_make_inputs(const struct run_case *item, uint64_t seed, int64_t ring, struct input_set *set,
                                     struct error *error) {
    const struct vaemark_graph *graph = item->model->model->graph;
    return item->from_file ? inputs_read(graph, item->latents_path, ring, false, set, error)
                           : inputs_make(graph, seed, item->batch, item->height, item->width, ring, set, error);
}

enum vaemark_status case_plan_tiles(const struct run_case *item, const struct input_set *set, struct tiling *tiling,
                                    uint64_t *flops, struct error *error) {
    const struct vaemark_graph *graph = item->model->model->graph;
    const struct tiling_request request = options_tiling(&item->options);
    struct input_set view = *set;
    struct vaemark_tensors inputs = inputs_list(&view);
    enum vaemark_status status = tiling_plan(graph, &inputs, &request, tiling, error);
    return status == VAEMARK_OK && flops ? tiling_flops(graph, tiling, &inputs, flops, error) : status;
}

const char *case_tiling(const struct run_case *item) {
    const char *value = option_list_find(&item->options, "tiling");
    bool corrected = value && strcmp(value, "corrected") == 0;
    return corrected ? "corrected" : option_is_on(value) ? "on" : "off";
}

/* The options of a case that make another image of the same latents: the reference takes them, too. */
static enum vaemark_status take_image_options(struct option_list *options, const struct run_case *item,
                                              struct error *error) {
    static const char *const keys[] = {"tiling", "tile", "tile_stride", "quantize"};
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < sizeof keys / sizeof *keys; i++) {
        const char *value = option_list_find(&item->options, keys[i]);
        if (option_is_asked(value)) {
            status = option_list_set(options, keys[i], value, error);
        }
    }
    return status;
}

/* One reference decode in one precision; the image is a copy that the caller frees. */
static enum vaemark_status decode_reference(const struct oracles *oracles, const struct run_case *item,
                                            const struct input_set *set, const char *precision,
                                            struct vaemark_tensor *image, struct error *error) {
    struct decoder_spec reference;
    struct session session = {0};
    struct option_list options = {0};
    char threads[24];
    snprintf(threads, sizeof threads, "%lld", (long long)oracles->threads);
    enum vaemark_status status = decoder_spec_parse("reference", &reference, error);
    if (status == VAEMARK_OK) {
        status = option_list_set(&options, "threads", threads, error);
    }
    if (status == VAEMARK_OK) {
        status = take_image_options(&options, item, error);
    }
    struct session_start start = {.decoder = &reference,
                                  .model = item->model,
                                  .options = &item->options,
                                  .sets = set,
                                  .set_count = 1,
                                  .timeout_s = oracles->timeout_s};
    if (status == VAEMARK_OK) {
        status = session_start(&session, &start, error);
    }
    if (status == VAEMARK_OK) {
        status = session_open(&session, &options, precision, error);
    }
    if (status == VAEMARK_OK) {
        status = session_prepare(&session, error);
    }
    struct worker_sample sample;
    if (status == VAEMARK_OK) {
        status = session_decode(&session, 0, 1, 1, 1, &sample, NULL, error);
    }
    if (status == VAEMARK_OK) {
        *image = session_copy_image(&session);
        status = image->data ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for an oracle");
    }
    session_stop(&session);
    return status;
}

/* ---- The label ---- */

/* ASCII, and nothing that a terminal obeys: a label goes into files and onto screens. */
static void copy_plain(char *out, size_t capacity, const char *text) {
    snprintf(out, capacity, "%s", text);
    for (char *c = out; *c; c++) {
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    }
}

static enum vaemark_status digest_inputs(const struct input_set *set, char hex[65], struct error *error) {
    struct hash *hash = hash_begin();
    if (!hash) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a digest");
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct vaemark_tensor *tensor = &set->tensors[i];
        struct shape shape = tensor_shape(tensor);
        char text[320], dims[192];
        snprintf(text, sizeof text, "%s %s %s", set->names[i], dtype_name(tensor->dtype),
                 shape_format(&shape, dims, sizeof dims));
        hash_update(hash, text, strlen(text) + 1);
        hash_update(hash, tensor->data, tensor_size_bytes(tensor));
    }
    hash_finish(hash, hex);
    return VAEMARK_OK;
}

/* The digest of what the graph computes: with the codebook's node where latents are quantised, and with its tiles where
 * a tiled decode is asked for; config.json and the case tell their sizes. */
static enum vaemark_status digest_program(const struct run_case *item, char hex[65], struct error *error) {
    const struct vaemark_graph *graph = item->model->model->graph;
    const struct graph_tiling *tiles = &graph->tiling;
    const struct tiling_request request = options_tiling(&item->options);
    struct vaemark_graph *quantized = NULL;
    enum vaemark_status status = VAEMARK_OK;
    char text[320];
    if (option_is_on(option_list_find(&item->options, "quantize"))) {
        status = quantize_latents(graph, &quantized, error);
    }
    if (status == VAEMARK_OK) {
        status = graph_digest(quantized ? quantized : graph, hex, error);
    }
    graph_free(quantized);
    if (status == VAEMARK_OK && request.mode != TILING_OFF) {
        int used = snprintf(text, sizeof text, "%.64s tiles %d %lld %lld %lld", hex, (int)tiles->algorithm,
                            (long long)tiles->factor, (long long)tiles->out_channels, (long long)tiles->sample_size);
        if (tiles->algorithm == GRAPH_TILING_STRIDES) {
            snprintf(text + used, sizeof text - (size_t)used, " %lld %lld %lld %d %d %d",
                     (long long)(request.tile > 0 ? request.tile : tiles->tile),
                     (long long)(request.stride > 0 ? request.stride : tiles->stride), (long long)tiles->patch,
                     tiles->crops, tiles->ends_in_clamp, tiles->clamps);
        }
        hash_bytes(text, strlen(text), hex);
    }
    return status;
}

static void describe_latents(const struct run_case *item, uint64_t seed, int64_t ring, char *out, size_t capacity) {
    const char *slash = strrchr(item->latents_path, '/');
    char text[96];
    if (item->from_file) {
        snprintf(text, sizeof text, "%.50s, ring member %lld", slash ? slash + 1 : item->latents_path, (long long)ring);
    } else {
        snprintf(text, sizeof text, "synthetic, seed %llu, ring member %lld", (unsigned long long)seed,
                 (long long)ring);
    }
    copy_plain(out, capacity, text);
}

enum vaemark_status oracle_label_make(const struct run_case *item, uint64_t seed, int64_t ring,
                                      const struct input_set *set, struct oracle_label *label, struct error *error) {
    char graph[65], inputs[65];
    *label = (struct oracle_label){.key = ""};
    enum vaemark_status status = digest_program(item, graph, error);
    if (status == VAEMARK_OK) {
        status = digest_inputs(set, inputs, error);
    }
    if (status == VAEMARK_OK && !item->model->weights_sha256[0]) {
        status = error_set(error, VAEMARK_INTERNAL, "the weights of %s are not open", item->model->name);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    oracle_label_fill(label, REFERENCE_VERSION, graph, item->model->weights_sha256, inputs, case_tiling(item));
    copy_plain(label->model, sizeof label->model, item->model->name);
    copy_plain(label->shape, sizeof label->shape, item->shape);
    describe_latents(item, seed, ring, label->latents, sizeof label->latents);
    snprintf(label->made_by, sizeof label->made_by, "vaemark %s (%s)", VAEMARK_VERSION, VAEMARK_GIT_COMMIT);
    return VAEMARK_OK;
}

/* ---- In memory ---- */

static void oracle_free(struct oracle *oracle) {
    if (oracle) {
        free(oracle->image_fp32.data);
        free(oracle->image_fp64.data);
        free(oracle);
    }
}

void oracles_forget(struct oracles *oracles) {
    for (size_t i = 0; i < oracles->count; i++) {
        oracle_free(oracles->items[i]);
    }
    oracles->count = 0;
}

void oracles_free(struct oracles *oracles) {
    oracles_forget(oracles);
    free(oracles->items);
    oracle_store_close(&oracles->store);
    oracles->items = NULL;
    oracles->capacity = 0;
}

static enum vaemark_status append(struct oracles *oracles, struct oracle *oracle, struct error *error) {
    if (oracles->count == oracles->capacity) {
        size_t capacity = oracles->capacity ? 2 * oracles->capacity : 16;
        struct oracle **grown = realloc(oracles->items, capacity * sizeof *grown);
        if (!grown) {
            return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for oracles");
        }
        oracles->items = grown;
        oracles->capacity = capacity;
    }
    oracles->items[oracles->count++] = oracle;
    return VAEMARK_OK;
}

/* ---- The store ---- */

static void tell(const struct oracles *oracles, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(const struct oracles *oracles, const char *format, ...) {
    char text[2400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (oracles->note) {
        oracles->note(text);
    }
}

/* Once, and no reason to stop: what is needed is computed. */
static void tell_unkept(struct oracles *oracles, const struct error *reason) {
    char text[1600];
    if (oracles->unkept) {
        return;
    }
    oracles->unkept = true;
    error_text(reason, text, sizeof text);
    tell(oracles, "oracles cannot be kept and are computed for this run only: %s%s", text,
         strstr(text, "VAEMARK_CACHE") ? ""
                                       : "; make room there, or set VAEMARK_CACHE to a folder that can be written");
}

void oracles_use_store(struct oracles *oracles) {
    struct error error = {0};
    if (oracle_store_open(&oracles->store, &error) != VAEMARK_OK) {
        tell_unkept(oracles, &error);
    }
}

static enum vaemark_status check_image_shape(const struct run_case *item, const struct input_set *set,
                                             const struct oracle_entry *entry, struct error *error) {
    struct shape found = tensor_shape(&entry->fp32);
    struct tiling tiling;
    enum vaemark_status status = case_plan_tiles(item, set, &tiling, NULL, error);
    if (status == VAEMARK_OK && !shape_equal(&found, &tiling.image)) {
        char found_text[192], wanted_text[192];
        status = error_set(error, VAEMARK_BAD_INPUT, "its images are %s, those of this case %s",
                           shape_format(&found, found_text, sizeof found_text),
                           shape_format(&tiling.image, wanted_text, sizeof wanted_text));
    }
    return status;
}

/* Fills in the images from the store. False: there are none to be believed. A bad entry is moved out of the way. */
static bool load_kept(struct oracles *oracles, const struct run_case *item, struct input_set *set,
                      struct oracle *oracle) {
    struct error error = {0};
    struct oracle_entry entry = {.sha256 = ""};
    char text[1600];
    if (!oracles->store.folder || !oracle_store_has(&oracles->store, oracle->key)) {
        return false;
    }
    enum vaemark_status status = oracle_store_load(&oracles->store, oracle->key, &entry, &error);
    if (status == VAEMARK_OK) {
        status = check_image_shape(item, set, &entry, &error);
    }
    if (status != VAEMARK_OK) {
        free(entry.fp32.data);
        free(entry.fp64.data);
        tell(oracles, "oracle %.12s (%s, %s, %s) in the store is not to be believed, and is computed anew: %s",
             oracle->key, oracle->label.model, oracle->label.shape, oracle->label.latents,
             error_text(&error, text, sizeof text));
        if (status == VAEMARK_BAD_INPUT && oracle_store_set_aside(&oracles->store, oracle->key, &error) != VAEMARK_OK) {
            tell(oracles, "%s", error_text(&error, text, sizeof text));
        }
        return false;
    }
    oracle->label = entry.label;
    oracle->image_fp32 = entry.fp32;
    oracle->image_fp64 = entry.fp64;
    oracle->source = "store";
    return true;
}

static void keep(struct oracles *oracles, const struct oracle *oracle) {
    struct error error = {0};
    struct oracle_entry entry = {.label = oracle->label, .fp32 = oracle->image_fp32, .fp64 = oracle->image_fp64};
    if (oracles->store.folder && oracle_store_save(&oracles->store, &entry, &error) != VAEMARK_OK) {
        tell_unkept(oracles, &error);
    }
}

/* ---- One oracle ---- */

static enum vaemark_status compute_once(const struct oracles *oracles, const struct run_case *item,
                                        const struct input_set *set, struct oracle *oracle, struct error *error) {
    enum vaemark_status status = decode_reference(oracles, item, set, "fp32", &oracle->image_fp32, error);
    return status == VAEMARK_OK ? decode_reference(oracles, item, set, "fp64", &oracle->image_fp64, error) : status;
}

enum vaemark_status oracle_compute(const struct oracles *oracles, const struct run_case *item,
                                   const struct input_set *set, struct oracle *oracle, struct error *error) {
    enum vaemark_status status = compute_once(oracles, item, set, oracle, error);
    if (status != VAEMARK_OK) {
        /* Somebody may have killed the reference's worker; that must not cost every case that needs this oracle. */
        free(oracle->image_fp32.data);
        free(oracle->image_fp64.data);
        oracle->image_fp32.data = oracle->image_fp64.data = NULL;
        status = compute_once(oracles, item, set, oracle, error);
    }
    time_t now = time(NULL);
    struct tm utc;
    strftime(oracle->label.made_at, sizeof oracle->label.made_at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    oracle->source = "computed in this run";
    return status;
}

static enum vaemark_status find_or_make(struct oracles *oracles, const struct run_case *item, struct input_set *set,
                                        struct oracle *oracle, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    bool kept = load_kept(oracles, item, set, oracle);
    if (!kept) {
        status = oracle_compute(oracles, item, set, oracle, error);
    }
    if (status == VAEMARK_OK && !kept) {
        keep(oracles, oracle);
    }
    return status == VAEMARK_OK ? metrics_compare(&oracle->image_fp32, &oracle->image_fp64, &oracle->own_error, error)
                                : status;
}

static const struct oracle *find_in_memory(const struct oracles *oracles, const char *key) {
    for (size_t i = 0; i < oracles->count; i++) {
        if (strcmp(oracles->items[i]->key, key) == 0) {
            return oracles->items[i];
        }
    }
    return NULL;
}

enum vaemark_status oracles_get(struct oracles *oracles, const struct run_case *item, int64_t ring,
                                const struct oracle **found, struct error *error) {
    struct input_set set = {0};
    struct oracle *oracle = calloc(1, sizeof *oracle);
    if (!oracle) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for an oracle");
    }
    enum vaemark_status status = case_make_inputs(item, oracles->seed, ring, &set, error);
    if (status == VAEMARK_OK) {
        status = oracle_label_make(item, oracles->seed, ring, &set, &oracle->label, error);
    }
    strcpy(oracle->key, oracle->label.key);
    const struct oracle *known = status == VAEMARK_OK ? find_in_memory(oracles, oracle->key) : NULL;
    if (status == VAEMARK_OK && !known) {
        status = find_or_make(oracles, item, &set, oracle, error);
        status = status == VAEMARK_OK ? append(oracles, oracle, error) : status;
        known = status == VAEMARK_OK ? oracle : NULL;
    }
    if (known != oracle) {
        oracle_free(oracle);
    }
    inputs_free(&set);
    *found = known;
    return status;
}
