#include "harness/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/session.h"

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

struct bound bound_derive(double reference_error, double oracle_max_abs, const char *precision) {
    const struct precision_bound *row = &precision_bounds[0];
    for (size_t i = 0; i < sizeof precision_bounds / sizeof *precision_bounds; i++) {
        row = strcmp(precision, precision_bounds[i].precision) == 0 ? &precision_bounds[i] : row;
    }
    /* The comparison is with the FP32 image, so no precision is held to less than FP32's own error. */
    double ratio = row->unit_roundoff > 0x1p-24 ? row->unit_roundoff / 0x1p-24 : 1;
    double unit = row->unit_roundoff > 0x1p-24 ? row->unit_roundoff : 0x1p-24;
    double derived = row->k * reference_error * ratio, least = 16 * unit * oracle_max_abs;
    struct bound bound = {.value = derived > least ? derived : least};
    snprintf(bound.derivation, sizeof bound.derivation,
             "%s: K = %g x |FP32 reference - FP64| = %.3g x u/u32 = %g gives %.3g; at least 16 u max|oracle| = %.3g",
             derived > least ? "reference error" : "least bound", row->k, reference_error, ratio, derived, least);
    return bound;
}

enum vaemark_status case_make_inputs(const struct run_case *item, uint64_t seed, int64_t ring, struct input_set *set,
                                     struct error *error) {
    const struct vaemark_graph *graph = item->model->model->graph;
    return item->from_file ? inputs_read(graph, item->latents_path, ring, false, set, error)
                           : inputs_make(graph, seed, item->batch, item->height, item->width, ring, set, error);
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
    struct session_start start = {
        .decoder = &reference, .model = item->model, .sets = set, .set_count = 1, .timeout_s = oracles->timeout_s};
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

static void oracle_free(struct oracle *oracle) {
    if (oracle) {
        free(oracle->image_fp32.data);
        free(oracle->image_fp64.data);
        free(oracle);
    }
}

void oracles_free(struct oracles *oracles) {
    for (size_t i = 0; i < oracles->count; i++) {
        oracle_free(oracles->items[i]);
    }
    free(oracles->items);
    oracles->items = NULL;
    oracles->count = oracles->capacity = 0;
}

static enum vaemark_status compute(const struct oracles *oracles, const struct run_case *item, int64_t ring,
                                   struct oracle *oracle, struct error *error) {
    struct input_set set = {0};
    enum vaemark_status status = case_make_inputs(item, oracles->seed, ring, &set, error);
    if (status == VAEMARK_OK) {
        status = decode_reference(oracles, item, &set, "fp32", &oracle->image_fp32, error);
    }
    if (status == VAEMARK_OK) {
        status = decode_reference(oracles, item, &set, "fp64", &oracle->image_fp64, error);
    }
    if (status == VAEMARK_OK) {
        status = metrics_compare(&oracle->image_fp32, &oracle->image_fp64, &oracle->own_error, error);
    }
    inputs_free(&set);
    return status;
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

enum vaemark_status oracles_get(struct oracles *oracles, const struct run_case *item, int64_t ring,
                                const struct oracle **found, struct error *error) {
    char key[640];
    snprintf(key, sizeof key, "%s/%s/%s/%lld", item->model->name, item->shape, item->from_file ? "file" : "synthetic",
             (long long)ring);
    for (size_t i = 0; i < oracles->count; i++) {
        if (strcmp(oracles->items[i]->key, key) == 0) {
            *found = oracles->items[i];
            return VAEMARK_OK;
        }
    }
    struct oracle *oracle = calloc(1, sizeof *oracle);
    if (!oracle) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for an oracle");
    }
    strcpy(oracle->key, key);
    enum vaemark_status status = compute(oracles, item, ring, oracle, error);
    if (status != VAEMARK_OK) {
        /* Somebody may have killed the reference's worker; that must not cost every case that needs this oracle. */
        free(oracle->image_fp32.data);
        free(oracle->image_fp64.data);
        oracle->image_fp32.data = oracle->image_fp64.data = NULL;
        status = compute(oracles, item, ring, oracle, error);
    }
    if (status == VAEMARK_OK) {
        status = append(oracles, oracle, error);
    }
    if (status != VAEMARK_OK) {
        oracle_free(oracle);
        return status;
    }
    *found = oracle;
    return VAEMARK_OK;
}
