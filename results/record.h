/* What a run records. One struct a row, one table of columns a struct (results/schema.c): the same table writes and
 * reads the HDF5 file, prints JSON and tables, and is held against docs/result-schema.md by a test. */
#ifndef RESULTS_RECORD_H
#define RESULTS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESULTS_SCHEMA_VERSION = 1 };

enum column_type { COLUMN_INTEGER, COLUMN_REAL, COLUMN_TEXT }; /* int64_t, double, const char * */

struct column {
    const char *name;
    enum column_type type;
    size_t offset; /* of the member in the row's struct */
    const char
        *unit; /* "ns", "bytes", "dB", "pixel", "pixel/s", "FLOP", "FLOP/s", "FLOP/byte", "bytes/s", "1", "text" */
    const char *description; /* one sentence */
};

struct table_schema {
    const char *name; /* "cases": the HDF5 group, the key in JSON */
    const char *description;
    size_t row_size_bytes;
    const struct column *columns;
    size_t column_count;
};

enum table_id {
    TABLE_CASES,
    TABLE_CHECKS,
    TABLE_SAMPLES,
    TABLE_MODELS,
    TABLE_IMAGES,
    TABLE_TRACE,
    TABLE_ORACLE,
    TABLE_MEMORY,
    TABLE_PROFILES,
    TABLE_COUNT
};
extern const struct table_schema results_schema[TABLE_COUNT];

/* Unknown reals are NaN, unknown integers -1, unknown texts "". Texts are owned by the record (record_text). */
struct case_row {
    const char *id; /* MODEL/BACKEND/PRECISION/OPTIONS/SHAPE */
    const char *model, *vae_type, *decoder, *backend, *precision, *options, *shape;
    const char *outcome; /* passed, failed, unsupported, refused, skipped, crashed, timed_out, ... */
    const char *reason;  /* "" for passed */
    const char *repro;   /* the command line that repeats the case */
    int64_t threads, batch, image_height, image_width;
    double latency_median_ns, latency_low_ns, latency_high_ns, latency_mad_ns,
        latency_min_ns; /* low..high: 95 % interval of the median */
    int64_t sample_count, launch_count, decodes_per_sample;
    double cpu_time_median_ns, open_time_ns, first_decode_ns, outside_median_ns; /* outside: by the harness's clock */
    double throughput_pixels_per_s, flops, achieved_flops_per_s;
    int64_t memory_planned_bytes;     /* activations and workspace, as planned before the decode */
    int64_t memory_peak_bytes;        /* allocator's peak of activations, workspace and tensors */
    int64_t memory_weights_bytes;     /* allocator's weights after open */
    int64_t memory_rss_peak_bytes;    /* worker's highest resident set */
    int64_t memory_device_peak_bytes; /* -1: no device memory of its own */
    double psnr_db, psnr8_db, psnr_worst_tile_db, ssim, relative_l2, max_abs_error;
    double image_min, image_max, image_std;
    int64_t fused_modules; /* -1: fuse_qkv not asked for */
    int64_t duration_ns;   /* the whole case, by the harness's clock */
};

struct check_row {
    const char *case_id, *name;
    const char *outcome;    /* passed, failed, unsupported, skipped */
    double value, bound;    /* NaN where the check is not a number against a number */
    const char *derivation; /* where the bound comes from */
    const char *evidence;   /* "harness": seen from outside; "decoder": the decoder's word */
    const char *message;    /* what was found, in words */
};

struct sample_row {
    const char *case_id;
    int64_t launch, order; /* worker process; place in time within the run */
    int64_t decodes;       /* decodes in this sample */
    int64_t wall_ns, cpu_ns, outside_ns;
    int64_t run_delay_ns, involuntary_switches, minor_faults, major_faults, steal_ns;
    const char *phase; /* warm-up, timed */
};

struct model_row {
    const char *name, *vae_type, *config_sha256, *weights_sha256,
        *weights_origin; /* synthetic seed, or the file's name and layout */
    int64_t parameters, parameter_tensors, weights_file_bytes;
    double flops_512, flops_1024;
    int64_t attention_modules;
};

struct image_row {
    const char *case_id, *kind; /* decoded, oracle, error */
    const char *dataset;        /* path in the file: /images/pixels/NNNN, uint8 height x width x 3 */
    int64_t height, width;
    double gain; /* error maps: what 1.0 of error was multiplied by; 1 else */
};

struct trace_row {
    const char *case_id;
    int64_t order;
    const char *module, *op, *kernel, *why;
    int64_t time_ns, flops, bytes;
    double profile_ns; /* this and what follows: of a profiled case alone */
    double flops_per_s, bytes_per_s, flops_per_byte;
    const char *limit; /* compute, bandwidth */
    double roof_share; /* least time that the ceilings allow, by the time taken */
};

/* A case's profile: what its trace's times were taken from, and the ceilings that they are held against. */
struct profile_row {
    const char *case_id;
    int64_t decodes;
    double decode_ns, steps_ns;
    int64_t threads;
    const char *isa;
    double peak_flops_per_s, peak_bytes_per_s;
    const char *note; /* why something is missing; "" where nothing is */
};

struct oracle_row {
    const char *case_id, *key, *source; /* computed in this run, store */
    double fp32_error_l2, fp32_error_max, image_max_abs;
};

/* What a decoder holds at the end of a phase, and the highest it held within it. */
struct memory_row {
    const char *case_id;
    const char *phase; /* start, open, prepare, decode, close */
    int64_t weights_bytes, weights_peak_bytes, activations_bytes, activations_peak_bytes, workspace_bytes,
        workspace_peak_bytes, tensors_bytes, tensors_peak_bytes;
    int64_t scratch_peak_bytes; /* of activations, workspace and tensors at one moment */
    int64_t rss_bytes, rss_peak_bytes;
    int64_t device_bytes, device_peak_bytes; /* -1: no device memory of its own */
};

struct table {
    const struct table_schema *schema;
    void *rows;
    size_t count, capacity;
};

/* An environment fact: an attribute on / of the file. */
struct environment_fact {
    const char *key, *value, *unit;
};

struct record_image {
    int64_t height, width;
    uint8_t *pixels; /* height x width x 3, owned by the record */
};

struct record {
    struct table tables[TABLE_COUNT];
    struct environment_fact *facts;
    size_t fact_count, fact_capacity;
    struct record_image *images; /* as many as TABLE_IMAGES has rows, in the same order */
    size_t image_count, image_capacity;
    struct record_arena *arena; /* owns every text */
};

struct record *record_create(void); /* NULL when memory is short */
void record_free(struct record *record);
/* A copy of `text` that lives as long as the record; "" for NULL or when memory is short. */
const char *record_text(struct record *record, const char *text);
const char *record_format(struct record *record, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends a row with everything unknown and returns it; NULL when memory is short. The pointer holds until the next
 * append to the same table. */
void *record_append(struct record *record, enum table_id table);
#define RECORD_ROW(record, table, index, type) (((const struct type *)(record)->tables[table].rows) + (index))
/* A key that is there gets the new value. False when memory is short and for "", "vaemark", "schema_version" and what
 * ends in "__unit": the file needs those names itself. */
bool record_add_fact(struct record *record, const char *key, const char *value, const char *unit);
const char *record_fact(const struct record *record, const char *key); /* NULL if there is none */
/* Adds the pixels (copied) of a row in TABLE_IMAGES that is there already: for readers. */
bool record_append_pixels(struct record *record, int64_t height, int64_t width, const uint8_t *pixels);
/* Adds the picture (copied) with its row in TABLE_IMAGES. */
bool record_add_image(struct record *record, const char *case_id, const char *kind, int64_t height, int64_t width,
                      const uint8_t *pixels, double gain);

#endif
