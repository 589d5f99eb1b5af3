/* Errors: a status from the ABI's list, a message for the person at the terminal, and the place it is about. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "vaemark/decoder.h"

struct error {
    enum vaemark_status status;
    char where[512];    /* a file, a place in it ("x.safetensors: tensor 'conv.weight'"); "" when there is none */
    char message[1024]; /* what is wrong, what was wanted, what to do next */
};

/* Fills `error` in (which may be NULL) and returns `status`, so that a failing function ends in one line. Sets `where`
 * to "". */
enum vaemark_status error_set(struct error *error, enum vaemark_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a place. */
enum vaemark_status error_set_at(struct error *error, enum vaemark_status status, const char *where, const char *format,
                                 ...) __attribute__((format(printf, 4, 5)));

/* "where: message", or the message alone, for the terminal or an ABI message; cut where it does not fit. Returns
 * `text`.
 */
const char *error_text(const struct error *error, char *text, size_t capacity);

/* "unsupported_option" and back. The names are the worker protocol's. An unknown name is VAEMARK_INTERNAL. */
const char *status_name(enum vaemark_status status);
enum vaemark_status status_from_name(const char *name);

#endif
