#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const status_names[VAEMARK_STATUS_COUNT] = {
    [VAEMARK_OK] = "ok",
    [VAEMARK_INVALID_ARGUMENT] = "invalid_argument",
    [VAEMARK_BAD_INPUT] = "bad_input",
    [VAEMARK_UNKNOWN_OPTION] = "unknown_option",
    [VAEMARK_UNSUPPORTED_OPTION] = "unsupported_option",
    [VAEMARK_UNSUPPORTED_MODEL] = "unsupported_model",
    [VAEMARK_UNAVAILABLE] = "unavailable",
    [VAEMARK_OUT_OF_MEMORY] = "out_of_memory",
    [VAEMARK_IO_ERROR] = "io_error",
    [VAEMARK_INTERNAL] = "internal",
};

/* `where` may be a part of the error that is being rewritten, so the texts are made aside first. */
static enum vaemark_status error_fill(struct error *error, enum vaemark_status status, const char *where,
                                      const char *format, va_list arguments) {
    struct error fresh;

    if (error == NULL) {
        return status;
    }
    fresh.status = status;
    snprintf(fresh.where, sizeof fresh.where, "%s", where);
    vsnprintf(fresh.message, sizeof fresh.message, format, arguments);
    *error = fresh;
    return status;
}

enum vaemark_status error_set(struct error *error, enum vaemark_status status, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    error_fill(error, status, "", format, arguments);
    va_end(arguments);
    return status;
}

enum vaemark_status error_set_at(struct error *error, enum vaemark_status status, const char *where, const char *format,
                                 ...) {
    va_list arguments;

    va_start(arguments, format);
    error_fill(error, status, where, format, arguments);
    va_end(arguments);
    return status;
}

const char *error_text(const struct error *error, char *text, size_t capacity) {
    snprintf(text, capacity, "%s%s%s", error->where, error->where[0] == '\0' ? "" : ": ", error->message);
    return text;
}

const char *status_name(enum vaemark_status status) {
    if ((unsigned)status >= VAEMARK_STATUS_COUNT) {
        return status_names[VAEMARK_INTERNAL];
    }
    return status_names[status];
}

enum vaemark_status status_from_name(const char *name) {
    for (unsigned i = 0; i < VAEMARK_STATUS_COUNT; i++) {
        if (strcmp(name, status_names[i]) == 0) {
            return (enum vaemark_status)i;
        }
    }
    return VAEMARK_INTERNAL;
}
