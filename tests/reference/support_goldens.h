/* Goldens: what the original framework answers, held against any backend. A golden folder has cases.json and, a case,
 * CASE.safetensors with the inputs and `image_fp64`; the checkpoint lies beside them, or is the preset of the folder's
 * name in models/ where it does not.
 *
 * Other rooms' tests use it too: let tests/ROOM/support_goldens.c be the one line
 * #include "tests/reference/support_goldens.c" (likewise support_files.c), and call support_goldens_run(). */
#ifndef TESTS_REFERENCE_SUPPORT_GOLDENS_H
#define TESTS_REFERENCE_SUPPORT_GOLDENS_H

#include <stdbool.h>
#include <stddef.h>

#include "vaemark/decoder.h"

/* The preset of that name, without weights; fails the test where there is none. */
struct model *support_open_preset(const char *name);

/* A host that only hands out memory. */
extern const struct vaemark_host SUPPORT_HOST;

struct goldens_trial {
    const struct vaemark_backend *backend;
    const char *precision; /* "fp32", "fp32-strict", "fp64", "bf16" */
    const char *isa;       /* NULL: the backend has no such option, or chooses */
    int threads;           /* 0: all */
    bool fuse_qkv;
    /* The bounds, of the largest |image|: 1e-9 for fp64 (1e-6 where the framework itself has single-precision islands),
     * 2e-5 for fp32, or this many times PyTorch's own FP32 error where that is more. In bf16 the root of the mean
     * square is bounded instead: by 1 %, or by PyTorch's own FP32 error scaled by the unit roundoff, which latents of
     * one pixel need, of which no more than 10 % count. */
    double torch_error_factor;
};

struct goldens_count {
    size_t passed, failed;
};

/* Runs every case of a folder, `tiled` with the option of that name. Failures are printed with their figures; so are
 * passes where $VAEMARK_VERBOSE is set. */
struct goldens_count support_goldens_run(const struct goldens_trial *trial, const char *folder);

/* The committed subset, tests/data; NULL-terminated folder names. */
extern const char *const SUPPORT_GOLDENS_COMMITTED[];
/* All folders of ../shared/goldens whose VAE types are decoded; NULL-terminated. */
extern const char *const SUPPORT_GOLDENS_SHARED[];

/* Runs the whole list below `parent` and fails the test if a case failed, or none ran. Absent folders are skipped, and
 * it says so; with `required`, they fail. */
void support_goldens_expect(const struct goldens_trial *trial, const char *parent, const char *const *folders,
                            bool required);

#endif
