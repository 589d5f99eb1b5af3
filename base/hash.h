/* SHA-256 (libcrypto). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/error.h"

struct hash;                   /* a running digest */
struct hash *hash_begin(void); /* NULL when memory is short */
void hash_update(struct hash *hash, const void *data, size_t size_bytes);
void hash_finish(struct hash *hash, char hex[65]); /* frees it */
void hash_bytes(const void *data, size_t size_bytes, char hex[65]);
enum vaemark_status hash_file(const char *path, char hex[65], struct error *error);

#endif
