#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_BYTES = 32, HASH_FILE_BLOCK_BYTES = 1 << 20 };

struct hash {
    EVP_MD_CTX *context;
};

struct hash *hash_begin(void) {
    struct hash *hash = calloc(1, sizeof *hash);

    if (hash == NULL) {
        return NULL;
    }
    hash->context = EVP_MD_CTX_new();
    if (hash->context == NULL || EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(hash->context);
        free(hash);
        return NULL;
    }
    return hash;
}

void hash_update(struct hash *hash, const void *data, size_t size_bytes) {
    EVP_DigestUpdate(hash->context, data, size_bytes);
}

static void hash_format(const unsigned char digest[DIGEST_BYTES], char hex[65]) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
}

void hash_finish(struct hash *hash, char hex[65]) {
    unsigned char digest[DIGEST_BYTES] = {0};

    EVP_DigestFinal_ex(hash->context, digest, NULL);
    EVP_MD_CTX_free(hash->context);
    free(hash);
    hash_format(digest, hex);
}

void hash_bytes(const void *data, size_t size_bytes, char hex[65]) {
    unsigned char digest[DIGEST_BYTES] = {0};

    EVP_Digest(data, size_bytes, digest, NULL, EVP_sha256(), NULL);
    hash_format(digest, hex);
}

enum vaemark_status hash_file(const char *path, char hex[65], struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    unsigned char *block = malloc(HASH_FILE_BLOCK_BYTES);
    struct hash *hash = hash_begin();
    FILE *stream = fopen(path, "rb");
    size_t got;

    hex[0] = '\0';
    if (block == NULL || hash == NULL) {
        status = error_set_at(error, VAEMARK_OUT_OF_MEMORY, path, "out of memory while hashing");
        goto cleanup;
    }
    if (stream == NULL) {
        status = error_set_at(error, VAEMARK_IO_ERROR, path, "cannot open: %s", strerror(errno));
        goto cleanup;
    }
    while ((got = fread(block, 1, HASH_FILE_BLOCK_BYTES, stream)) > 0) {
        hash_update(hash, block, got);
    }
    if (ferror(stream)) {
        status = error_set_at(error, VAEMARK_IO_ERROR, path, "cannot read: %s", strerror(errno));
    }
cleanup:
    if (hash != NULL) {
        char digest[65];
        hash_finish(hash, digest);
        if (status == VAEMARK_OK) {
            memcpy(hex, digest, sizeof digest);
        }
    }
    if (stream != NULL) {
        fclose(stream);
    }
    free(block);
    return status;
}
