#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

/* FIPS 180-4's own examples. */
static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char ABC[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char MILLION[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

Test(hash, is_sha256) {
    char hex[65];

    hash_bytes("", 0, hex);
    cr_expect_str_eq(hex, EMPTY);
    hash_bytes("abc", 3, hex);
    cr_expect_str_eq(hex, ABC);
}

/* A million times 'a', in pieces of uneven size. */
Test(hash, is_the_same_in_pieces) {
    char piece[997], hex[65];
    struct hash *hash = hash_begin();
    size_t left = 1000000;

    memset(piece, 'a', sizeof piece);
    while (left > 0) {
        const size_t size = left < sizeof piece ? left : sizeof piece;
        hash_update(hash, piece, size);
        left -= size;
    }
    hash_finish(hash, hex);
    cr_expect_str_eq(hex, MILLION);
}

Test(hash, reads_files_and_says_which_it_cannot) {
    char path[] = "/tmp/vaemark-hash-XXXXXX", hex[65];
    struct error error;
    const int descriptor = mkstemp(path);

    cr_assert(descriptor >= 0 && write(descriptor, "abc", 3) == 3);
    close(descriptor);
    cr_expect_eq(hash_file(path, hex, &error), VAEMARK_OK);
    cr_expect_str_eq(hex, ABC);
    unlink(path);
    cr_expect_eq(hash_file(path, hex, &error), VAEMARK_IO_ERROR);
    cr_expect_str_eq(error.where, path);
    cr_expect_eq(hash_file("/tmp", hex, &error), VAEMARK_IO_ERROR, "a folder opens, but does not read");
}
