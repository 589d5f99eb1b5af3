/* The shared memory: nobody can cut it, guards see every stray byte, poison is what no decoder writes. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/worker/segment.h"
#include "reference/tensor.h"

static struct segment *make(size_t size_bytes) {
    struct error error;
    struct segment *segment;
    cr_assert_eq(segment_create(size_bytes, &segment, &error), VAEMARK_OK, "%s", error.message);
    return segment;
}

static struct segment_tensor tensor(const char *name, enum vaemark_dtype dtype, int64_t elements) {
    struct segment_tensor made = {.dtype = dtype, .rank = 2, .shape = {1, elements}};
    snprintf(made.name, sizeof made.name, "%s", name);
    return made;
}

/* A worker must not be able to make the harness die of SIGBUS. */
Test(segment, cannot_be_cut_short) {
    struct segment *segment = make(1 << 16);
    cr_expect_neq(ftruncate(segment_fd(segment), 0), 0);
    cr_expect_neq(ftruncate(segment_fd(segment), 1 << 20), 0);
    cr_expect_eq(segment_size_bytes(segment), 1 << 16);
    segment_free(segment);
}

/* Every byte around a tensor is watched, the ones that alignment leaves over, too. */
Test(segment, every_guard_byte_counts) {
    struct error error;
    char where[64];
    struct segment *segment = make(1 << 16);
    struct segment_tensor a = tensor("a", VAEMARK_F16, 5), b = tensor("b", VAEMARK_F32, 16);
    cr_assert_eq(segment_place(segment, &a, &error), VAEMARK_OK);
    cr_assert_eq(segment_place(segment, &b, &error), VAEMARK_OK);
    cr_expect_eq(a.size_bytes, 10);
    cr_expect_eq(a.offset_bytes % SEGMENT_ALIGNMENT_BYTES, 0);
    cr_expect_eq(b.offset_bytes % SEGMENT_ALIGNMENT_BYTES, 0);
    memset(segment_data(segment, &a), 0xEE, a.size_bytes);
    memset(segment_data(segment, &b), 0xEE, b.size_bytes);
    cr_assert(segment_guards_intact(segment, where, sizeof where), "%s", where);
    cr_expect_str_eq(where, "");
    unsigned char *memory = (unsigned char *)segment_data(segment, &a) - a.offset_bytes;
    size_t end = b.offset_bytes + b.size_bytes + SEGMENT_GUARD_BYTES;
    for (size_t i = 0; i < end; i++) {
        bool in_a = i >= a.offset_bytes && i < a.offset_bytes + a.size_bytes;
        bool in_b = i >= b.offset_bytes && i < b.offset_bytes + b.size_bytes;
        memory[i] ^= 1;
        cr_assert_eq(segment_guards_intact(segment, where, sizeof where), in_a || in_b, "byte %zu", i);
        memory[i] ^= 1;
    }
    memory[a.offset_bytes + a.size_bytes] ^= 1;
    cr_expect_not(segment_guards_intact(segment, where, sizeof where));
    cr_expect_str_eq(where, "past the end of tensor 'a'");
    segment_free(segment);
}

/* A guard copied from somewhere else must not pass as intact: the pattern depends on its place. */
Test(segment, shifted_guards_do_not_pass) {
    unsigned char guard[300], shifted[300];
    guard_fill(guard, sizeof guard);
    for (size_t by = 1; by < 200; by++) {
        memcpy(shifted, guard + by, 64);
        cr_expect_not(guard_intact(shifted, 64), "shifted by %zu", by);
    }
}

Test(segment, poison_is_counted_and_is_nan) {
    struct error error;
    for (int dtype = 0; dtype < VAEMARK_DTYPE_COUNT; dtype++) {
        struct segment *segment = make(1 << 16);
        struct segment_tensor a = tensor("a", (enum vaemark_dtype)dtype, 7);
        cr_assert_eq(segment_place(segment, &a, &error), VAEMARK_OK);
        cr_expect_eq(segment_count_poison(segment, &a), 0);
        segment_poison(segment, &a);
        cr_expect_eq(segment_count_poison(segment, &a), 7);
        memset(segment_data(segment, &a), 0, 1);
        cr_expect_eq(segment_count_poison(segment, &a), 6);
        double last = 0;
        struct shape shape = {.rank = 1, .dims = {7}};
        struct vaemark_tensor read = tensor_make("a", a.dtype, &shape, segment_data(segment, &a));
        if (a.dtype != VAEMARK_I32 && a.dtype != VAEMARK_I64) {
            tensor_read_f64(&last, &read, 6, 1);
            cr_expect(isnan(last), "dtype %s", dtype_name(a.dtype));
        }
        char where[64];
        cr_expect(segment_guards_intact(segment, where, sizeof where), "poison of %s runs over", dtype_name(a.dtype));
        segment_free(segment);
    }
}

/* footprints add up exactly: a segment of their sum holds the tensors and not one more. */
Test(segment, footprints_add_up) {
    struct error error;
    size_t sizes[] = {1, 63, 64, 65, 4096}, total = 0;
    for (size_t i = 0; i < 5; i++)
        total += segment_footprint_bytes(4 * sizes[i]);
    struct segment *segment = make(total);
    for (size_t i = 0; i < 5; i++) {
        struct segment_tensor a = tensor("a", VAEMARK_F32, (int64_t)sizes[i]);
        cr_expect_eq(segment_place(segment, &a, &error), VAEMARK_OK, "%s", error.message);
    }
    struct segment_tensor more = tensor("more", VAEMARK_F32, 1);
    cr_expect_eq(segment_place(segment, &more, &error), VAEMARK_OUT_OF_MEMORY);
    segment_reset(segment);
    cr_expect_eq(segment_place(segment, &more, &error), VAEMARK_OK);
    segment_free(segment);
}

Test(segment, impossible_tensors_are_refused) {
    struct error error;
    struct segment *segment = make(1 << 16), *none;
    struct segment_tensor huge = {.name = "huge", .dtype = VAEMARK_F64, .rank = 3, .shape = {1 << 30, 1 << 30, 1 << 3}};
    struct segment_tensor wide = {.name = "wide", .dtype = VAEMARK_F32, .rank = 3, .shape = {INT64_MAX, 2, 1}};
    struct segment_tensor empty = tensor("empty", VAEMARK_F32, 0), negative = tensor("negative", VAEMARK_F32, -4);
    struct segment_tensor flat = {.name = "flat", .dtype = VAEMARK_F32, .rank = 0};
    struct segment_tensor strange = tensor("strange", (enum vaemark_dtype)77, 4);
    cr_expect_neq(segment_place(segment, &huge, &error), VAEMARK_OK);
    cr_expect_eq(segment_place(segment, &wide, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(segment_place(segment, &empty, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(segment_place(segment, &negative, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(segment_place(segment, &flat, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(segment_place(segment, &strange, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_eq(segment_footprint_bytes(SIZE_MAX - 10), SIZE_MAX);
    segment_free(segment);
    cr_expect_eq(segment_create(0, &none, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect_null(none);
    segment_free(NULL);
}
