#include "tests/reference/support_ops.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_BYTES = 256, GUARD = 0xA5, MAX_ALLOCATIONS = 64 };

/* Tests run in a process each, so one list serves. */
static double *allocations[MAX_ALLOCATIONS];
static size_t allocation_count;

struct shape ops_shape(int32_t rank, ...) {
    struct shape shape = {.rank = rank};
    va_list dims;

    va_start(dims, rank);
    for (int32_t i = 0; i < rank; i++) {
        shape.dims[i] = va_arg(dims, int);
    }
    va_end(dims);
    return shape;
}

double *ops_zeros(const struct shape *shape) {
    double *numbers = calloc((size_t)shape_element_count(shape) + 1, sizeof *numbers);

    cr_assert(numbers != NULL && allocation_count < MAX_ALLOCATIONS);
    return allocations[allocation_count++] = numbers;
}

double *ops_numbers(const struct shape *shape, uint64_t seed, enum ops_fill fill) {
    double *numbers = ops_zeros(shape);
    uint64_t state = seed * 2654435761u + 88172645463325252u;

    for (int64_t i = 0; i < shape_element_count(shape); i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers[i] = fill == OPS_INTEGERS ? (double)(int64_t)(state >> 33) : (double)(state >> 43) / 0x1p20 - 1.0;
        numbers[i] = fill == OPS_INTEGERS ? fmod(numbers[i], 9.0) - 4.0 : numbers[i];
    }
    return numbers;
}

void ops_free_all(void) {
    while (allocation_count > 0) {
        free(allocations[--allocation_count]);
    }
}

/* Copies doubles into fresh memory of the precision; NULL stays NULL. */
static void *reals_from(const double *numbers, int64_t count, int bits) {
    unsigned char *reals;

    if (numbers == NULL) {
        return NULL;
    }
    reals = malloc((size_t)count * 8);
    cr_assert(reals != NULL);
    for (int64_t i = 0; i < count; i++) {
        const float narrow = (float)numbers[i];
        memcpy(reals + i * bits / 8, bits == 32 ? (const void *)&narrow : (const void *)&numbers[i], (size_t)bits / 8);
    }
    return reals;
}

static unsigned char *guarded(size_t size_bytes) {
    unsigned char *memory = malloc(size_bytes + 2 * GUARD_BYTES);

    cr_assert(memory != NULL);
    memset(memory, GUARD, size_bytes + 2 * GUARD_BYTES);
    return memory + GUARD_BYTES;
}

static void guarded_free(unsigned char *memory, size_t size_bytes) {
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        cr_assert(memory[-(ptrdiff_t)i - 1] == GUARD && memory[size_bytes + i] == GUARD, "wrote outside its memory");
    }
    free(memory - GUARD_BYTES);
}

void ops_run(const struct ops_case *c, int bits, int threads, double *out) {
    const struct op_kernel *kernel = &(bits == 32 ? op_kernels_fp32 : op_kernels_fp64)[c->op];
    const int64_t count = shape_element_count(&c->out_shape);
    const size_t out_bytes = (size_t)count * (size_t)bits / 8;
    struct op_call call = {
        .attributes = &c->attributes, .in_count = c->in_count, .out_shape = c->out_shape, .threads = threads};
    unsigned char *memory = guarded(out_bytes), *scratch;
    size_t scratch_bytes;

    for (int32_t i = 0; i < c->in_count; i++) {
        call.in_shapes[i] = c->in_shapes[i];
        call.in[i] = reals_from(c->in[i], shape_element_count(&c->in_shapes[i]), bits);
    }
    for (int32_t i = 0; i < GRAPH_MAX_NODE_PARAMETERS; i++) {
        call.parameter_shapes[i] = c->parameter_shapes[i];
        call.parameters[i] = reals_from(c->parameters[i], shape_element_count(&c->parameter_shapes[i]), bits);
    }
    scratch_bytes = kernel->scratch_size_bytes == NULL ? 0 : kernel->scratch_size_bytes(&call);
    scratch = guarded(scratch_bytes);
    call.scratch = scratch;
    call.out = memory;
    kernel->run(&call);
    for (int64_t i = 0; i < count; i++) {
        static const uint64_t poison = 0xA5A5A5A5A5A5A5A5u;
        float narrow;
        cr_assert(memcmp(memory + i * bits / 8, &poison, (size_t)bits / 8) != 0, "%s: element %lld is not written",
                  kernel->name, (long long)i);
        memcpy(&narrow, memory + i * bits / 8, sizeof narrow);
        memcpy(&out[i], memory + i * bits / 8, bits == 64 ? 8 : 0);
        out[i] = bits == 32 ? (double)narrow : out[i];
    }
    guarded_free(memory, out_bytes);
    guarded_free(scratch, scratch_bytes);
    for (int32_t i = 0; i < GRAPH_MAX_NODE_INPUTS; i++) {
        free((void *)(uintptr_t)call.in[i]);
    }
    for (int32_t i = 0; i < GRAPH_MAX_NODE_PARAMETERS; i++) {
        free((void *)(uintptr_t)call.parameters[i]);
    }
}

void ops_expect(const struct ops_case *c, const double *expected, const double *magnitude, double units) {
    const int64_t count = shape_element_count(&c->out_shape);
    double *first = ops_zeros(&c->out_shape), *other = ops_zeros(&c->out_shape);

    for (int bits = 32; bits <= 64; bits += 32) {
        const double unit = bits == 32 ? 0x1p-24 : 0x1p-53;
        ops_run(c, bits, 1, first);
        for (int threads = 2; threads <= 3; threads++) {
            ops_run(c, bits, threads, other);
            cr_assert(memcmp(first, other, (size_t)count * sizeof *first) == 0,
                      "%s in %d bits: %d threads answer otherwise than one", op_name(c->op), bits, threads);
        }
        for (int64_t i = 0; i < count; i++) {
            const double bound = units == 0 ? 0 : units * unit * magnitude[i];
            const bool same = first[i] == expected[i] || (isnan(first[i]) && isnan(expected[i]));
            cr_assert(same || fabs(first[i] - expected[i]) <= bound,
                      "%s in %d bits: element %lld is %.17g, not %.17g +- %g", op_name(c->op), bits, (long long)i,
                      first[i], expected[i], bound);
        }
    }
}
