#include "support.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/roofline.h"

struct case_row *support_add_case(struct record *record, const char *model, const char *vae_type, const char *backend,
                                  const char *options, const char *outcome) {
    const char *id = record_format(record, "%s/%s/fp32/%s/1x4x8x8", model, backend, options);
    struct case_row *row = record_append(record, TABLE_CASES);
    row->id = id;
    row->model = record_text(record, model);
    row->vae_type = record_text(record, vae_type);
    row->decoder = record_text(record, backend);
    row->backend = row->decoder;
    row->precision = "fp32";
    row->options = record_text(record, options);
    row->shape = "1x4x8x8";
    row->outcome = record_text(record, outcome);
    row->repro = record_format(record, "vaemark run --case '%s'", id);
    return row;
}

void support_add_check(struct record *record, const char *case_id, const char *name, const char *outcome,
                       const char *message) {
    struct check_row *check = record_append(record, TABLE_CHECKS);
    check->case_id = record_text(record, case_id);
    check->name = record_text(record, name);
    check->outcome = record_text(record, outcome);
    check->message = record_text(record, message);
}

static const struct roofline test_roof = {.flops_per_s = 1e11, .bytes_per_s = 1e10};

void support_add_profile(struct record *record, const char *case_id, double steps_ns) {
    struct profile_row *profile = record_append(record, TABLE_PROFILES);
    profile->case_id = case_id;
    profile->steps_ns = steps_ns;
    profile->peak_flops_per_s = test_roof.flops_per_s;
    profile->peak_bytes_per_s = test_roof.bytes_per_s;
}

void support_add_step(struct record *record, const char *case_id, const char *kernel, int64_t flops, int64_t bytes,
                      double profile_ns) {
    struct trace_row *step = record_append(record, TABLE_TRACE);
    step->case_id = case_id;
    step->op = "conv2d";
    step->kernel = record_text(record, kernel);
    step->flops = flops;
    step->bytes = bytes;
    roofline_judge(&test_roof, step, profile_ns);
}

static void fill_measured_case(struct case_row *row) {
    row->threads = 2;
    row->latency_median_ns = 1.25e6;
    row->latency_low_ns = 1.2e6;
    row->latency_high_ns = 1.375e6;
    row->sample_count = 21;
    row->flops = 1.2e9;
    row->memory_planned_bytes = 2435840;
    row->memory_peak_bytes = 2435840;
    row->memory_weights_bytes = INT64_C(5000000000);
    row->psnr_db = 131.74;
    row->psnr8_db = INFINITY;
    row->max_abs_error = 3.4757e-06;
}

struct record *support_make_record(void) {
    struct record *record = record_create();
    cr_assert_not_null(record);
    fill_measured_case(support_add_case(record, "sd15-mini", "AutoencoderKL", "cpu", "plain", "passed"));
    struct case_row *failed = support_add_case(record, "naïve, \"quoted\"", "AutoencoderKL", "cpu", "plain", "failed");
    failed->reason = "first line\nsecond line";
    support_add_check(record, RECORD_ROW(record, TABLE_CASES, 0, case_row)->id, "quality", "passed", "fine");
    support_add_check(record, failed->id, "quality", "failed", "32.1 dB, 90 dB are wanted");
    struct sample_row *sample = record_append(record, TABLE_SAMPLES);
    sample->case_id = RECORD_ROW(record, TABLE_CASES, 0, case_row)->id;
    sample->wall_ns = INT64_MAX;
    sample->cpu_ns = 0;
    sample->decodes = 1;
    sample->phase = "timed";
    struct model_row *model = record_append(record, TABLE_MODELS);
    model->name = "sd15-mini";
    model->flops_512 = 8.2e10;
    struct trace_row *trace = record_append(record, TABLE_TRACE);
    trace->case_id = sample->case_id;
    trace->op = "conv2d";
    trace->time_ns = 1000;
    struct oracle_row *oracle = record_append(record, TABLE_ORACLE);
    oracle->case_id = sample->case_id;
    oracle->fp32_error_l2 = 5e-324; /* the smallest there is */
    struct memory_row *memory = record_append(record, TABLE_MEMORY);
    memory->case_id = sample->case_id;
    memory->phase = "decode";
    memory->activations_peak_bytes = INT64_C(5000000000);
    struct profile_row *profile = record_append(record, TABLE_PROFILES);
    profile->case_id = sample->case_id;
    profile->peak_flops_per_s = 1.74e11;
    profile->note = "the decoder's trace has no times";
    cr_assert(record_add_fact(record, "cpu_model", "Xéon", ""));
    cr_assert(record_add_fact(record, "memory_total", "64", "GiB"));
    uint8_t pixels[5 * 7 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)(i * 37);
    }
    cr_assert(record_add_image(record, sample->case_id, "decoded", 5, 7, pixels, 1));
    cr_assert(record_add_image(record, sample->case_id, "error", 7, 5, pixels, 1e5));
    return record;
}

enum { MOST_KEPT = 4096, MOST_FOLDERS = 16 };
static void *kept[MOST_KEPT];
static size_t kept_count;
static char folders[MOST_FOLDERS][32];
static size_t folder_count;

void *support_keep(void *memory) {
    cr_assert(kept_count < MOST_KEPT);
    kept[kept_count++] = memory;
    return memory;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return remove(path);
}

__attribute__((destructor)) static void remove_folders(void) {
    for (size_t i = 0; i < folder_count; i++) {
        nftw(folders[i], remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
}

char *support_path(const char *name) {
    char *path = NULL;
    cr_assert(folder_count < MOST_FOLDERS);
    snprintf(folders[folder_count], sizeof folders[0], "/tmp/vaemark-results-XXXXXX");
    cr_assert_not_null(mkdtemp(folders[folder_count]));
    cr_assert(asprintf(&path, "%s/%s", folders[folder_count++], name) > 0);
    return support_keep(path);
}

char *support_read_file(const char *path, size_t *size_bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    char *bytes = NULL;
    FILE *copy = open_memstream(&bytes, size_bytes);
    for (int byte; (byte = fgetc(file)) != EOF;) {
        fputc(byte, copy);
    }
    fclose(copy);
    fclose(file);
    return bytes;
}

void support_write_file(const char *path, const void *bytes, size_t size_bytes) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size_bytes, file), size_bytes);
    cr_assert_eq(fclose(file), 0);
}
