#include "harness/oracle/oracle_wants.h"

#include <stdlib.h>
#include <string.h>

/* What two workers' start takes, in FLOPs of the reference. */
enum { START_FLOPS = 1000000000 };

static enum vaemark_status count_flops(const struct run_case *item, struct input_set *set, double *flops,
                                       struct error *error) {
    struct tiling tiling;
    uint64_t count = 0;
    enum vaemark_status status = case_plan_tiles(item, set, &tiling, &count, error);
    *flops = status == VAEMARK_OK ? (double)count + START_FLOPS : 0;
    return status;
}

static enum vaemark_status append(struct oracle_wants *wants, const struct oracle_want *want, struct error *error) {
    for (size_t i = 0; i < wants->count; i++) {
        if (strcmp(wants->items[i].label.key, want->label.key) == 0) {
            return VAEMARK_OK;
        }
    }
    if (wants->count == wants->capacity) {
        size_t capacity = wants->capacity ? 2 * wants->capacity : 32;
        struct oracle_want *grown = realloc(wants->items, capacity * sizeof *grown);
        if (!grown) {
            return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the list of oracles");
        }
        wants->items = grown;
        wants->capacity = capacity;
    }
    wants->items[wants->count++] = *want;
    return VAEMARK_OK;
}

static enum vaemark_status add_member(struct oracle_wants *wants, const struct run_case *item, uint64_t seed,
                                      int64_t ring, struct error *error) {
    struct input_set set = {.count = 0};
    struct oracle_want want = {.item = item, .ring = ring};
    enum vaemark_status status = case_make_inputs(item, seed, ring, &set, error);
    if (status == VAEMARK_OK) {
        status = oracle_label_make(item, seed, ring, &set, &want.label, error);
    }
    if (status == VAEMARK_OK) {
        status = count_flops(item, &set, &want.cost, error);
    }
    if (status == VAEMARK_OK) {
        status = append(wants, &want, error);
    }
    inputs_free(&set);
    return status == VAEMARK_UNSUPPORTED_OPTION ? VAEMARK_OK : status; /* tiles that nobody can decode: no oracle */
}

enum vaemark_status oracle_wants_list(struct selection *selection, void (*note)(const char *text),
                                      struct oracle_wants *wants, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    *wants = (struct oracle_wants){.count = 0};
    for (size_t i = 0; status == VAEMARK_OK && i < selection->cases.count; i++) {
        const struct run_case *item = &selection->cases.items[i];
        if (case_must_refuse(item, 0)) {
            continue;
        }
        status = models_need_weights(&selection->models, item->model, note, error);
        for (int64_t r = 0; status == VAEMARK_OK && r < (int64_t)selection->suite->measure.ring; r++) {
            status = add_member(wants, item, selection->models.seed, r, error);
        }
    }
    return status;
}

void oracle_wants_free(struct oracle_wants *wants) {
    free(wants->items);
    *wants = (struct oracle_wants){.count = 0};
}
