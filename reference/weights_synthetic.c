/* Synthetic weights and latents: a counter-based integer generator, so that any element of any tensor can be made
 * alone, in any order, on any machine, with the same bits. The mixing function is SplitMix64's (Steele, Lea, Flood:
 * Fast splittable pseudorandom number generators, OOPSLA 2014). Floating point is used only where IEEE 754 leaves one
 * answer: conversion of integers below 2^24, product, sum and square root, each rounded once. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "reference/weights_internal.h"

/* Raised whenever the numbers change, so that no cache hands out old ones. */
enum { GENERATOR_VERSION = 1 };

enum { CHUNK_ELEMENTS = 1 << 22 };

#define SEQUENCE_STEP UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio */

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* FNV-1a of the name, mixed with the seed: the start of a tensor's own sequence. */
static uint64_t sequence_start(uint64_t seed, const char *name) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = name; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    }
    return mix(hash ^ mix(seed + SEQUENCE_STEP));
}

static uint64_t sequence_bits(uint64_t start, uint64_t index) {
    return mix(start + (index + 1) * SEQUENCE_STEP);
}

/* Uniform in (-1, 1), odd multiples of 2^-24: symmetric, never 0, exact. */
static float symmetric_uniform(uint64_t bits) {
    int32_t odd = (int32_t)(bits >> 40) * 2 + 1 - (1 << 24);
    return (float)odd * 0x1p-24f;
}

/* A parameter's elements are center + spread * u. A uniform variable in (-1, 1) has a standard deviation of 1/sqrt(3).
 */
struct distribution {
    float center, spread;
};

static struct distribution parameter_distribution(const struct graph_parameter *parameter) {
    int64_t fan_in = 1;
    for (int32_t i = 1; i < parameter->shape.rank; i++) {
        fan_in *= parameter->shape.dims[i];
    }
    switch (parameter->role) {
    case PARAMETER_WEIGHT:
        return (struct distribution){0.0f, (float)(parameter->synthetic_gain * sqrt(3.0 / (double)fan_in))};
    case PARAMETER_NORM_SCALE:
        return (struct distribution){1.0f, 0.2f};
    case PARAMETER_TABLE: /* rows take the place of sines and cosines */
        return (struct distribution){0.0f, 1.0f};
    case PARAMETER_BIAS:
    default:
        return (struct distribution){(float)parameter->synthetic_mean, 0.1f};
    }
}

struct synthesis {
    const struct vaemark_graph *graph;
    const int32_t *parameters; /* of each tensor */
    const struct vaemark_tensors *tensors;
    uint64_t seed;
    float *chunk; /* (CHUNK_ELEMENTS) */
};

static void fill_chunk(float *chunk, struct distribution distribution, uint64_t start, int64_t first, int64_t count) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) {
        float u = symmetric_uniform(sequence_bits(start, (uint64_t)(first + i)));
        chunk[i] = distribution.center + distribution.spread * u;
    }
}

static void write_synthetic(FILE *stream, const struct vaemark_tensor *tensor, void *user) {
    const struct synthesis *synthesis = user;
    size_t index = (size_t)(tensor - synthesis->tensors->items);
    const struct graph_parameter *parameter = &synthesis->graph->parameters[synthesis->parameters[index]];
    struct distribution distribution = parameter_distribution(parameter);
    uint64_t start = sequence_start(synthesis->seed, parameter->name);
    const struct shape stored = parameter_stored_shape(parameter);
    int64_t count = shape_element_count(&stored);
    for (int64_t first = 0; first < count && !ferror(stream); first += CHUNK_ELEMENTS) {
        int64_t size = count - first < CHUNK_ELEMENTS ? count - first : CHUNK_ELEMENTS;
        fill_chunk(synthesis->chunk, distribution, start, first, size);
        fwrite(synthesis->chunk, sizeof *synthesis->chunk, (size_t)size, stream);
    }
}

/* Is there a whole file of this graph's already? A damaged one is made anew rather than reported. */
static bool already_there(const struct vaemark_graph *graph, const char *path) {
    struct weights *weights = NULL;
    if (weights_open(path, &weights, NULL) != VAEMARK_OK) {
        return false;
    }
    bool whole = true;
    for (size_t i = 0; whole && i < graph->parameter_count; i++) {
        const struct graph_parameter *parameter = &graph->parameters[i];
        if (parameter->origin == PARAMETER_STORED) {
            const struct vaemark_tensor *tensor = weights_find(weights, parameter->name);
            const struct shape stored = parameter_stored_shape(parameter);
            struct shape shape = {.rank = 0};
            if (tensor != NULL) {
                shape = tensor_shape(tensor);
            }
            whole = tensor != NULL && tensor->dtype == VAEMARK_F32 && shape_equal(&shape, &stored);
        }
    }
    weights_free(weights);
    return whole;
}

enum vaemark_status weights_synthesize(const struct vaemark_graph *graph, uint64_t seed, const char *path,
                                       struct error *error) {
    if (already_there(graph, path)) {
        return VAEMARK_OK;
    }
    enum vaemark_status status = VAEMARK_OUT_OF_MEMORY;
    struct vaemark_tensors tensors = {.items = calloc(graph->parameter_count + 1, sizeof *tensors.items)};
    int32_t *parameters = calloc(graph->parameter_count + 1, sizeof *parameters);
    float *chunk = malloc(CHUNK_ELEMENTS * sizeof *chunk);
    if (tensors.items == NULL || parameters == NULL || chunk == NULL) {
        error_set_at(error, status, path, "no memory to make synthetic weights");
        goto cleanup;
    }
    for (size_t i = 0; i < graph->parameter_count; i++) {
        const struct graph_parameter *parameter = &graph->parameters[i];
        if (parameter->origin == PARAMETER_STORED) {
            const struct shape stored = parameter_stored_shape(parameter);
            parameters[tensors.count] = (int32_t)i;
            tensors.items[tensors.count++] = tensor_make(parameter->name, VAEMARK_F32, &stored, NULL);
        }
    }
    struct synthesis synthesis = {
        .graph = graph, .parameters = parameters, .tensors = &tensors, .seed = seed, .chunk = chunk};
    status = weights_write_stream(path, &tensors, NULL, write_synthetic, &synthesis, error);
cleanup:
    free(chunk);
    free(parameters);
    free(tensors.items);
    return status;
}

char *weights_synthetic_name(const struct vaemark_graph *graph, const char *model_name, uint64_t seed) {
    char hex[65], shape[256];
    struct hash *hash = hash_begin();
    if (hash == NULL) {
        return NULL;
    }
    int version = GENERATOR_VERSION;
    hash_update(hash, &version, sizeof version);
    for (size_t i = 0; i < graph->parameter_count; i++) {
        const struct graph_parameter *parameter = &graph->parameters[i];
        if (parameter->origin == PARAMETER_STORED) {
            struct distribution distribution = parameter_distribution(parameter);
            hash_update(hash, parameter->name, strlen(parameter->name) + 1);
            const struct shape stored = parameter_stored_shape(parameter);
            shape_format(&stored, shape, sizeof shape);
            hash_update(hash, shape, strlen(shape) + 1);
            hash_update(hash, &distribution, sizeof distribution);
        }
    }
    hash_finish(hash, hex);
    return text_format("%s-seed%llu-%.16s.safetensors", model_name, (unsigned long long)seed, hex);
}

/* Twelve uniforms of variance 1/3 have variance 4: halved, close to normal, within +-6. */
float synthetic_normal(uint64_t seed, const char *stream, uint64_t index) {
    uint64_t start = sequence_start(seed, stream);
    int64_t sum = 0;
    for (uint64_t k = 0; k < 12; k++) {
        sum += (int64_t)(sequence_bits(start, index * 12 + k) >> 40) * 2 + 1 - (1 << 24);
    }
    return (float)((double)sum * 0x1p-25);
}
