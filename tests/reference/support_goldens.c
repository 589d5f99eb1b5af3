#include "tests/reference/support_goldens.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reference/model.h"
#include "tests/reference/support_files.h"

const char *const SUPPORT_GOLDENS_COMMITTED[] = {
    "flux1-mini", "kl-noattn-mini",    "taesd-mini", "consistency-mini", "taef2",       "kl-tiles-mini",
    "qwen-b",     "wan21-b",           "wan22-b",    "asymmetric-b",     "movq-mini",   "amused-mini",
    "flux2-b",    "hunyuanimage-mini", "dc-mini",    "qwen-tiles",       "wan22-tiles", "movq-b",
    NULL};
const char *const SUPPORT_GOLDENS_SHARED[] = {
    "sd15-mini",       "flux1-mini", "kl-noattn-mini",   "taesd",          "taesd-mini",
    "taef1",           "taef2",      "consistency-mini", "qwenimage-mini", "wan22-mini",
    "asymmetric-mini", "movq-mini",  "amused-mini",      "flux2-mini",     "hunyuanimage-mini",
    "dc-mini",         NULL};

static void *host_allocate(void *user, size_t size_bytes, size_t alignment_bytes,
                           enum vaemark_memory_class memory_class) {
    void *memory = NULL;
    (void)user, (void)memory_class;
    alignment_bytes = alignment_bytes < sizeof(void *) ? sizeof(void *) : alignment_bytes;
    return posix_memalign(&memory, alignment_bytes, size_bytes == 0 ? 1 : size_bytes) == 0 ? memory : NULL;
}

static void host_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

const struct vaemark_host SUPPORT_HOST = {
    .struct_size = sizeof(struct vaemark_host), .allocate = host_allocate, .release = host_release};

/* One case on its way; freed as a whole. */
struct golden {
    const char *name; /* "sd15-mini/square" */
    struct model *model;
    struct vaemark_model abi; /* the decoder may look at it until close */
    bool tiled;               /* the framework tiled, so this is decoded in tiles, too */
    const json_t *facts;      /* of cases.json: "options" are arguments of the command line */
    struct weights *file;
    struct vaemark_decoder *decoder;
    void *image; /* of the decoder */
    struct vaemark_message message;
};

static struct model *open_checkpoint(const char *folder) {
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    char *config = NULL, *weights = NULL;
    const char *name = strrchr(folder, '/') == NULL ? folder : strrchr(folder, '/') + 1;
    const char *home = folder;
    if (access(support_path("%s/config.json", folder), F_OK) != 0) {
        home = support_path("%s/models/%s", support_source(), name);
    }
    if (model_find_files(home, &config, &weights, NULL, &error) != VAEMARK_OK ||
        model_open(config, weights, name, &model, &error) != VAEMARK_OK) {
        fprintf(stderr, "golden %s: %s: %s\n", name, error.where, error.message);
    }
    free(config);
    free(weights);
    return model;
}

/* The arguments of a case, "--tile", "48", as options; at most `room`. */
static size_t take_arguments(const json_t *arguments, struct vaemark_option *items, size_t room) {
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(arguments) && count < room; i++) {
        const char *word = json_string_value(json_array_get(arguments, i));
        if (strcmp(word, "--quantize") == 0) {
            items[count++] = (struct vaemark_option){.key = "quantize", .type = VAEMARK_BOOLEAN, .value.boolean = 1};
            continue;
        }
        const bool tile = strcmp(word, "--tile") == 0;
        cr_assert(tile || strcmp(word, "--tile-stride") == 0, "argument %s", word);
        items[count] = (struct vaemark_option){.key = tile ? "tile" : "tile_stride", .type = VAEMARK_INTEGER};
        items[count++].value.integer = atoll(json_string_value(json_array_get(arguments, ++i)));
    }
    return count;
}

static enum vaemark_status open_decoder(struct golden *golden, const struct goldens_trial *trial) {
    enum { MAX_OPTIONS = 8 };
    golden->abi = model_abi(golden->model);
    struct vaemark_option items[MAX_OPTIONS] = {
        {.key = "precision", .type = VAEMARK_TEXT, .value.text = trial->precision},
        {.key = "tiling", .type = VAEMARK_BOOLEAN, .value.boolean = golden->tiled},
    };
    struct vaemark_options options = {.items = items, .count = 2};
    if (trial->fuse_qkv) {
        items[options.count++] =
            (struct vaemark_option){.key = "fuse_qkv", .type = VAEMARK_BOOLEAN, .value.boolean = 1};
    }
    if (trial->isa != NULL) {
        items[options.count++] = (struct vaemark_option){.key = "isa", .type = VAEMARK_TEXT, .value.text = trial->isa};
    }
    if (trial->threads > 0) {
        items[options.count++] =
            (struct vaemark_option){.key = "threads", .type = VAEMARK_INTEGER, .value.integer = trial->threads};
    }
    options.count +=
        take_arguments(json_object_get(golden->facts, "options"), items + options.count, MAX_OPTIONS - options.count);
    return trial->backend->open(&SUPPORT_HOST, &golden->abi, &options, &golden->decoder, &golden->message);
}

/* Decodes every tensor of the file but the expected image; the result is in *image. */
static enum vaemark_status decode(struct golden *golden, const struct goldens_trial *trial,
                                  struct vaemark_tensor *image) {
    struct vaemark_tensor items[8];
    struct vaemark_tensors inputs = {.items = items, .count = 0}, outputs = {.items = image, .count = 1};
    for (size_t i = 0; i < weights_count(golden->file) && inputs.count < 8; i++) {
        if (strcmp(weights_at(golden->file, i)->name, "image_fp64") != 0) {
            items[inputs.count++] = *weights_at(golden->file, i);
        }
    }
    enum vaemark_status status = open_decoder(golden, trial);
    if (status == VAEMARK_OK) {
        status = trial->backend->prepare(golden->decoder, &inputs, image, &golden->message);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    image->name = "image";
    golden->image = malloc(tensor_size_bytes(image));
    image->data = golden->image;
    memset(image->data, 0xff, tensor_size_bytes(image)); /* NaN: what is not written shows */
    return trial->backend->decode(golden->decoder, &inputs, &outputs, &golden->message);
}

static double bound_of(const struct goldens_trial *trial, const json_t *facts, double peak) {
    if (strcmp(trial->precision, "fp64") == 0) {
        return peak * (json_object_get(facts, "fp32_islands") != NULL ? 1e-6 : 1e-9);
    }
    double own = json_number_value(json_object_get(facts, "torch_fp32_max_abs_error"));
    if (strcmp(trial->precision, "bf16") == 0) {
        return fmax(0.01 * peak, fmin(0x1p16 * own, 0.1 * peak));
    }
    return fmax(2e-5 * peak, trial->torch_error_factor * own);
}

/* The largest difference, NaN where there is any NaN; the root of their mean square; and the largest |wanted|. */
static double largest_error(const struct vaemark_tensor *found, const struct vaemark_tensor *wanted, double *rms,
                            double *peak) {
    double error = 0, squares = 0;
    struct shape shape = tensor_shape(wanted);
    int64_t count = shape_element_count(&shape);
    *peak = 0;
    for (int64_t i = 0; i < count; i++) {
        double a = 0, b = 0;
        tensor_read_f64(&a, found, i, 1);
        tensor_read_f64(&b, wanted, i, 1);
        *peak = fmax(*peak, fabs(b));
        if (!(fabs(a - b) <= error)) {
            error = fabs(a - b);
        }
        squares += (a - b) * (a - b);
        if (isnan(error)) {
            break;
        }
    }
    *rms = sqrt(squares / (double)count);
    return error;
}

/* "fp32 fuse_qkv isa=avx2 threads=3" */
static const char *describe(const struct goldens_trial *trial) {
    static char text[96];
    char threads[24] = "";
    if (trial->threads > 0) {
        snprintf(threads, sizeof threads, " threads=%d", trial->threads);
    }
    snprintf(text, sizeof text, "%s%s%s%s%s", trial->precision, trial->fuse_qkv ? " fuse_qkv" : "",
             trial->isa != NULL ? " isa=" : "", trial->isa != NULL ? trial->isa : "", threads);
    return text;
}

static bool compare(const struct golden *golden, const struct goldens_trial *trial, const json_t *facts,
                    const struct vaemark_tensor *image) {
    double peak = 0, rms = 0;
    const struct vaemark_tensor *wanted = weights_find(golden->file, "image_fp64");
    struct shape found_shape = tensor_shape(image), wanted_shape = tensor_shape(wanted);
    if (!shape_equal(&found_shape, &wanted_shape)) {
        char a[128], b[128];
        fprintf(stderr, "golden %s %s %s: shape %s, wanted %s\n", golden->name, trial->backend->name, describe(trial),
                shape_format(&found_shape, a, sizeof a), shape_format(&wanted_shape, b, sizeof b));
        return false;
    }
    const bool narrow = strcmp(trial->precision, "bf16") == 0;
    const double largest = largest_error(image, wanted, &rms, &peak);
    const double error = narrow ? rms : largest, bound = bound_of(trial, facts, peak);
    bool good = error <= bound;
    if (!good || getenv("VAEMARK_VERBOSE") != NULL) {
        fprintf(stderr, "golden %s %s %s: %s: %s error %.2e, bound %.2e, largest |image| %.3g\n", golden->name,
                trial->backend->name, describe(trial), good ? "passed" : "FAILED", narrow ? "RMS" : "largest", error,
                bound, peak);
    }
    return good;
}

static bool run_case(const struct goldens_trial *trial, struct model *model, const char *folder, const char *name,
                     const json_t *facts) {
    struct vaemark_tensor image = {.name = "image"};
    struct error error = {.status = VAEMARK_OK};
    struct golden golden = {.name = support_path("%s/%s", model->name, name),
                            .model = model,
                            .tiled = strncmp(name, "tiled", 5) == 0,
                            .facts = facts};
    bool good = false;
    if (weights_open(support_path("%s/%s.safetensors", folder, name), &golden.file, &error) != VAEMARK_OK) {
        fprintf(stderr, "golden %s: %s: %s\n", golden.name, error.where, error.message);
        return false;
    }
    enum vaemark_status status = decode(&golden, trial, &image);
    if (status == VAEMARK_OK) {
        good = compare(&golden, trial, facts, &image);
    } else {
        fprintf(stderr, "golden %s %s %s: %s: %s\n", golden.name, trial->backend->name, describe(trial),
                status_name(status), golden.message.text);
    }
    trial->backend->close(golden.decoder);
    free(golden.image);
    weights_free(golden.file);
    return good;
}

struct goldens_count support_goldens_run(const struct goldens_trial *trial, const char *folder) {
    struct goldens_count count = {0, 0};
    const char *name = NULL;
    json_t *facts = NULL, *cases = json_load_file(support_path("%s/cases.json", folder), 0, NULL);
    struct model *model = open_checkpoint(folder);
    if (cases == NULL || model == NULL) {
        fprintf(stderr, "golden %s: no cases.json, or no checkpoint\n", folder);
        count.failed = 1;
    } else {
        json_object_foreach(cases, name, facts) {
            *(run_case(trial, model, folder, name, facts) ? &count.passed : &count.failed) += 1;
        }
    }
    model_free(model);
    json_decref(cases);
    return count;
}

/* The shared goldens hold pictures of 512 x 512: minutes each for an instrumented FP64 decode, and sanitizers see
 * nothing in them that they do not see in the committed ones. */
#ifdef __SANITIZE_ADDRESS__
enum { COMMITTED_ONLY = 1 };
#else
enum { COMMITTED_ONLY = 0 };
#endif

void support_goldens_expect(const struct goldens_trial *trial, const char *parent, const char *const *folders,
                            bool required) {
    struct goldens_count sum = {0, 0};
    for (; *folders != NULL; folders++) {
        const char *folder = support_path("%s/%s", parent, *folders);
        if (!required && (COMMITTED_ONLY || access(folder, F_OK) != 0)) {
            fprintf(stderr, "skipped: %s %s\n", folder,
                    COMMITTED_ONLY ? "is left to builds without sanitizers" : "is not there");
            continue;
        }
        struct goldens_count count = support_goldens_run(trial, folder);
        sum.passed += count.passed;
        sum.failed += count.failed;
    }
    fprintf(stderr, "goldens %s %s: %zu passed, %zu failed\n", trial->backend->name, describe(trial), sum.passed,
            sum.failed);
    cr_assert_eq(sum.failed, 0, "%zu goldens failed", sum.failed);
    if (required) {
        cr_assert_gt(sum.passed, 0, "no golden ran");
    }
}

struct model *support_open_preset(const char *name) {
    struct model *model = NULL;
    struct error error = {.status = VAEMARK_OK};
    const char *path = support_path("%s/models/%s/config.json", support_source(), name);
    cr_assert_eq(model_open_config(path, name, &model, &error), VAEMARK_OK, "%s: %s", error.where, error.message);
    return model;
}
