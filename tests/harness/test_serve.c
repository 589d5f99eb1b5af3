/* A worker's inner parts: the counting allocator, finding backends, and lines that arrive in pieces. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/worker/host.h"
#include "harness/worker/serve.h"
#include "harness/worker/wire.h"

Test(serve, host_counts_by_class) {
    struct host *host = host_create();
    const struct vaemark_host *abi = host_abi(host);
    struct host_counts counts;
    void *weights = abi->allocate(abi->user, 1000, 64, VAEMARK_MEMORY_WEIGHTS);
    void *first = abi->allocate(abi->user, 300, 4096, VAEMARK_MEMORY_ACTIVATIONS);
    void *second = abi->allocate(abi->user, 50, 1, VAEMARK_MEMORY_WORKSPACE);
    cr_expect_eq((uintptr_t)weights % 64, 0);
    cr_expect_eq((uintptr_t)first % 4096, 0);
    abi->release(abi->user, first);
    first = abi->allocate(abi->user, 200, 64, VAEMARK_MEMORY_ACTIVATIONS);
    host_read_counts(host, &counts);
    cr_expect_eq(counts.current_bytes[VAEMARK_MEMORY_WEIGHTS], 1000);
    cr_expect_eq(counts.current_bytes[VAEMARK_MEMORY_ACTIVATIONS], 200);
    cr_expect_eq(counts.peak_bytes[VAEMARK_MEMORY_ACTIVATIONS], 300);
    cr_expect_eq(counts.allocated_bytes[VAEMARK_MEMORY_ACTIVATIONS], 500);
    cr_expect_eq(counts.peak_total_bytes, 350, "weights do not count, what lived together does");
    host_reset_peaks(host);
    host_read_counts(host, &counts);
    cr_expect_eq(counts.peak_bytes[VAEMARK_MEMORY_ACTIVATIONS], 200);
    cr_expect_eq(counts.peak_total_bytes, 250);
    cr_expect_eq(counts.allocated_bytes[VAEMARK_MEMORY_ACTIVATIONS], 500, "ever is ever");
    abi->release(abi->user, weights);
    abi->release(abi->user, first);
    abi->release(abi->user, second);
    abi->release(abi->user, NULL);
    host_read_counts(host, &counts);
    for (int i = 0; i < VAEMARK_MEMORY_CLASS_COUNT; i++)
        cr_expect_eq(counts.current_bytes[i], 0);
    cr_expect(host_check_guards(host));
    host_free(host);
}

Test(serve, host_refuses_what_cannot_be) {
    struct host *host = host_create();
    const struct vaemark_host *abi = host_abi(host);
    cr_expect_null(abi->allocate(abi->user, SIZE_MAX - 8, 64, VAEMARK_MEMORY_WEIGHTS));
    cr_expect_null(abi->allocate(abi->user, 64, 48, VAEMARK_MEMORY_WEIGHTS));
    cr_expect_null(abi->allocate(abi->user, 64, 0, VAEMARK_MEMORY_WEIGHTS));
    cr_expect_null(abi->allocate(abi->user, 64, 64, (enum vaemark_memory_class)9));
    void *empty = abi->allocate(abi->user, 0, 64, VAEMARK_MEMORY_WEIGHTS);
    cr_expect_not_null(empty, "nothing is an amount, too");
    abi->release(abi->user, empty);
    cr_expect(host_check_guards(host));
    host_free(host);
}

/* Both sides, both moments of looking, and a release of what is not ours. */
Test(serve, host_sees_strays) {
    for (int fault = 0; fault < 6; fault++) {
        struct host *host = host_create();
        const struct vaemark_host *abi = host_abi(host);
        unsigned char *memory = abi->allocate(abi->user, 100, 64, VAEMARK_MEMORY_WORKSPACE);
        const ptrdiff_t strays[] = {-HOST_GUARD_BYTES, -1, 100, 100 + HOST_GUARD_BYTES - 1};
        int local = 0;
        memset(memory, 0xFF, 100);
        cr_expect(host_check_guards(host));
        if (fault < 4)
            memory[strays[fault]] ^= 1;
        if (fault == 4)
            abi->release(abi->user, &local);
        if (fault % 2 == 0)
            abi->release(abi->user, memory);
        cr_expect_eq(host_check_guards(host), fault == 5, "fault %d", fault);
        host_free(host);
    }
}

Test(serve, host_hashes_live_weights_alone) {
    struct error error;
    char empty[65], one[65], two[65], again[65];
    struct host *host = host_create();
    const struct vaemark_host *abi = host_abi(host);
    host_hash_weights(host, empty, &error);
    cr_expect_str_eq(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    void *weights = abi->allocate(abi->user, 3, 64, VAEMARK_MEMORY_WEIGHTS);
    memcpy(weights, "abc", 3);
    void *scratch = abi->allocate(abi->user, 3, 64, VAEMARK_MEMORY_WORKSPACE);
    memset(scratch, 0, 3);
    host_hash_weights(host, one, &error);
    cr_expect_str_eq(one, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256 of abc");
    ((char *)weights)[2] = 'd';
    host_hash_weights(host, two, &error);
    cr_expect_str_neq(one, two);
    abi->release(abi->user, weights);
    host_hash_weights(host, again, &error);
    cr_expect_str_eq(again, empty);
    host_free(host); /* with scratch still there: a decoder's leak is not ours */
}

Test(serve, backends_are_found) {
    struct error error;
    const struct vaemark_backend *backend = NULL;
    cr_expect_eq(backend_find("reference", &backend, &error), VAEMARK_OK);
    cr_expect_str_eq(backend->name, "reference");
    cr_expect_eq(backend_find("referense", &backend, &error), VAEMARK_INVALID_ARGUMENT);
    cr_expect(strstr(error.message, "did you mean reference"), "%s", error.message);
    cr_expect_eq(backend_find("plugin:/nowhere/x.so", &backend, &error), VAEMARK_UNAVAILABLE);
    cr_expect_eq(backend_find("plugin:libm.so.6", &backend, &error), VAEMARK_UNAVAILABLE,
                 "a name without a slash is a file here, not a library of the system");
    char name[1100];
    cr_assert(getenv("VAEMARK_FAULTY"));
    snprintf(name, sizeof name, "plugin:%s", getenv("VAEMARK_FAULTY"));
    cr_expect_eq(backend_find(name, &backend, &error), VAEMARK_OK, "%s", error.message);
    cr_expect_str_eq(backend->name, "faulty");
}

/* Bytes come as they like: one by one, two lines at once, half a line. */
Test(serve, lines_arrive_in_pieces) {
    static const char bytes[] = "first\n\nthird line\nrest";
    static const char *const wanted[] = {"first", "", "third line"};
    for (size_t step = 1; step <= sizeof bytes; step++) {
        struct line_buffer buffer = {.used = 0};
        size_t found = 0, length;
        for (size_t at = 0; at < sizeof bytes - 1; at += step) {
            size_t room_bytes, count = sizeof bytes - 1 - at < step ? sizeof bytes - 1 - at : step;
            char *room = line_buffer_room(&buffer, &room_bytes);
            cr_assert(room && room_bytes >= count);
            memcpy(room, bytes + at, count);
            line_buffer_added(&buffer, count);
            for (char *line; (line = line_buffer_take(&buffer, &length));) {
                cr_assert_lt(found, 3);
                cr_expect_str_eq(line, wanted[found]);
                cr_expect_eq(length, strlen(wanted[found]));
                found++;
            }
        }
        cr_expect_eq(found, 3, "in steps of %zu", step);
        line_buffer_free(&buffer);
    }
}

/* The limit holds to the byte, whether the end of the line is there or not. */
Test(serve, lines_have_a_limit) {
    for (int excess = 0; excess < 2; excess++) {
        struct line_buffer buffer = {.used = 0};
        size_t room_bytes, length, left = WIRE_LINE_LIMIT_BYTES + (size_t)excess + 1;
        for (char *room; left > 0; left -= room_bytes) {
            room = line_buffer_room(&buffer, &room_bytes);
            cr_assert(room);
            room_bytes = room_bytes < left ? room_bytes : left;
            memset(room, 'x', room_bytes);
            if (room_bytes == left)
                room[left - 1] = '\n';
            line_buffer_added(&buffer, room_bytes);
        }
        cr_expect_eq(line_buffer_take(&buffer, &length) != NULL, excess == 0);
        cr_expect_eq(line_buffer_overlong(&buffer), excess == 1);
        line_buffer_free(&buffer);
    }
}
