/* The options of backend reference: checked as a whole before anything is changed. */
#ifndef REFERENCE_EXECUTOR_OPTIONS_H
#define REFERENCE_EXECUTOR_OPTIONS_H

#include "reference/tiling.h"

struct executor_options {
    int32_t bits;    /* precision: 32 or 64 */
    int32_t threads; /* 0: as many as the machine has */
    int32_t fuse_qkv;
    int32_t quantize;
    struct tiling_request tiling; /* and slicing */
};

extern const struct executor_options executor_options_default;

/* What probe() declares. */
extern const struct vaemark_unsupported executor_unsupported[];
extern const size_t executor_unsupported_count;

/* Takes one option over into `options`, or refuses it and changes nothing. */
enum vaemark_status executor_options_take(struct executor_options *options, const char *vae_type,
                                          const struct vaemark_option *option, struct error *error);
/* An option's current value. VAEMARK_UNKNOWN_OPTION where there is none of that key. */
enum vaemark_status executor_options_get(const struct executor_options *options, const char *key,
                                         struct vaemark_option *value, struct error *error);

#endif
