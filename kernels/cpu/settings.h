/* What the options of a cpu decoder say, checked. */
#ifndef KERNELS_CPU_SETTINGS_H
#define KERNELS_CPU_SETTINGS_H

#include "base/error.h"
#include "kernels/cpu/kernels.h"
#include "reference/tiling.h"

/* What precision promises: FP32 by whatever algorithm is cheapest, by direct convolutions alone, or with weights and
 * activations stored in bfloat16. */
enum precision { PRECISION_FP32, PRECISION_FP32_STRICT, PRECISION_BF16 };

struct settings {
    int threads; /* 1 or more */
    const struct kernel_set *kernels;
    enum precision precision;
    bool fuse_qkv, quantize;
    struct tiling_request tiling; /* and slicing */
};

struct settings settings_default(void);
/* How these settings store weights in panels, and activations. */
enum storage settings_storage(const struct settings *settings);
/* Takes one option over. On failure settings stay as they were: VAEMARK_UNSUPPORTED_OPTION for what the VAE type must
 * refuse (the capability table) or this backend declares it lacks, VAEMARK_UNKNOWN_OPTION for other keys and values. */
enum vaemark_status settings_apply(struct settings *settings, const char *vae_type, const struct vaemark_option *option,
                                   struct error *error);
/* The current value of an option. */
enum vaemark_status settings_read(const struct settings *settings, const char *key, struct vaemark_option *value,
                                  struct error *error);
/* What probe declares. */
const struct vaemark_unsupported *settings_unsupported(size_t *count);

#endif
