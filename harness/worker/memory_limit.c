#include "harness/worker/memory_limit.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "harness/system.h"

static const double SHARE_OF_AVAILABLE = 0.8;
static const double LEAST_BYTES = 256.0 * 1024 * 1024;

enum vaemark_status memory_limit_parse(const char *text, uint64_t *limit_bytes, struct error *error) {
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"", 1},         {"B", 1},      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30},
                 {"TiB", 0x1p40}, {"K", 0x1p10}, {"M", 0x1p20},   {"G", 0x1p30},   {"T", 0x1p40},
                 {"kB", 1e3},     {"MB", 1e6},   {"GB", 1e9},     {"TB", 1e12}};
    char *end = NULL;
    if (strcmp(text, "none") == 0) {
        *limit_bytes = MEMORY_LIMIT_NONE;
        return VAEMARK_OK;
    }
    bool plain = isdigit((unsigned char)text[0]);
    double number = plain ? strtod(text, &end) : -1;
    plain = plain && end == text + strspn(text, "0123456789."); /* no 0x10, no 1e3 */
    for (size_t i = 0; plain && i < sizeof units / sizeof *units; i++) {
        double bytes = number * units[i].bytes;
        if (strcmp(end + strspn(end, " "), units[i].name) == 0 && bytes >= 0x1p20 && bytes <= 0x1p50) {
            *limit_bytes = (uint64_t)bytes;
            return VAEMARK_OK;
        }
    }
    return error_set(error, VAEMARK_INVALID_ARGUMENT,
                     "a memory limit is a size of at least 1 MiB as 4GiB or 512MiB, or none; not '%s'", text);
}

uint64_t memory_limit_default(void) {
    double share = system_memory_available_bytes() * SHARE_OF_AVAILABLE;
    if (isnan(share)) {
        return MEMORY_LIMIT_NONE;
    }
    return (uint64_t)(share > LEAST_BYTES ? share : LEAST_BYTES);
}
