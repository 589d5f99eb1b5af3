#include "harness/suite.h"

#include <cyaml/cyaml.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/files.h"
#include "base/hash.h"
#include "base/text.h"
#include "harness/decoder_spec.h"
#include "harness/worker/memory_limit.h"

/* What libcyaml fills in; the rest of struct suite is ours. */
static const cyaml_schema_value_t string_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 256)};
static const cyaml_schema_value_t unsigned_schema = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, unsigned)};

static const cyaml_schema_field_t block_fields[] = {
    CYAML_FIELD_SEQUENCE("models", CYAML_FLAG_POINTER, struct suite_block, models, &string_schema, 1, 64),
    CYAML_FIELD_SEQUENCE("latents", CYAML_FLAG_POINTER, struct suite_block, latents, &string_schema, 1, 64),
    CYAML_FIELD_SEQUENCE("batches", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct suite_block, batches,
                         &unsigned_schema, 1, 16),
    CYAML_FIELD_SEQUENCE("precisions", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct suite_block, precisions,
                         &string_schema, 1, 8),
    CYAML_FIELD_SEQUENCE("options", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct suite_block, options,
                         &string_schema, 1, 16),
    CYAML_FIELD_SEQUENCE("decoders", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct suite_block, decoders,
                         &string_schema, 1, 32),
    CYAML_FIELD_FLOAT("min_psnr_db", CYAML_FLAG_OPTIONAL, struct suite_block, min_psnr_db),
    CYAML_FIELD_FLOAT("budget_s", CYAML_FLAG_OPTIONAL, struct suite_block, budget_s),
    CYAML_FIELD_BOOL("pictures", CYAML_FLAG_OPTIONAL, struct suite_block, pictures),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t block_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct suite_block, block_fields)};

static const cyaml_schema_field_t measure_fields[] = {
    CYAML_FIELD_UINT("launches", CYAML_FLAG_OPTIONAL, struct suite_measure, launches),
    CYAML_FIELD_UINT("warmups", CYAML_FLAG_OPTIONAL, struct suite_measure, warmups),
    CYAML_FIELD_UINT("min_samples", CYAML_FLAG_OPTIONAL, struct suite_measure, min_samples),
    CYAML_FIELD_UINT("max_samples", CYAML_FLAG_OPTIONAL, struct suite_measure, max_samples),
    CYAML_FIELD_FLOAT("interval_percent", CYAML_FLAG_OPTIONAL, struct suite_measure, interval_percent),
    CYAML_FIELD_FLOAT("budget_s", CYAML_FLAG_OPTIONAL, struct suite_measure, budget_s),
    CYAML_FIELD_FLOAT("min_sample_ms", CYAML_FLAG_OPTIONAL, struct suite_measure, min_sample_ms),
    CYAML_FIELD_UINT("ring", CYAML_FLAG_OPTIONAL, struct suite_measure, ring),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t suite_fields[] = {
    CYAML_FIELD_STRING_PTR("suite", CYAML_FLAG_POINTER, struct suite, name, 1, 64),
    CYAML_FIELD_STRING_PTR("description", CYAML_FLAG_POINTER, struct suite, description, 1, 2000),
    CYAML_FIELD_UINT("version", CYAML_FLAG_DEFAULT, struct suite, version),
    CYAML_FIELD_SEQUENCE("decoders", CYAML_FLAG_POINTER, struct suite, decoders, &string_schema, 1, 32),
    CYAML_FIELD_FLOAT("timeout_s", CYAML_FLAG_OPTIONAL, struct suite, timeout_s),
    CYAML_FIELD_STRING_PTR("memory_limit", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct suite, memory_limit, 1, 32),
    CYAML_FIELD_MAPPING("measure", CYAML_FLAG_OPTIONAL, struct suite, measure, measure_fields),
    CYAML_FIELD_SEQUENCE("cases", CYAML_FLAG_POINTER, struct suite, blocks, &block_schema, 1, 256),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t suite_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct suite, suite_fields)};

/* libcyaml tells place and cause through a log callback, line by line; the first two lines say it. */
struct complaint {
    char text[700];
};

static void collect_complaint(cyaml_log_t level, void *context, const char *format, va_list arguments) {
    (void)level;
    struct complaint *complaint = context;
    size_t used = strlen(complaint->text);
    vsnprintf(complaint->text + used, sizeof complaint->text - used, format, arguments);
    for (char *c = complaint->text + used; *c; c++) {
        *c = *c == '\n' ? ' ' : *c;
    }
}

static cyaml_config_t make_config(struct complaint *complaint) {
    return (cyaml_config_t){.log_fn = collect_complaint,
                            .log_ctx = complaint,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_DEFAULT};
}

static void set_defaults(struct suite *suite) {
    struct suite_measure *m = &suite->measure;
    suite->timeout_s = suite->timeout_s > 0 ? suite->timeout_s : 300;
    m->launches = m->launches ? m->launches : 1;
    m->warmups = m->warmups > 2 ? m->warmups : 2;
    m->min_samples = m->min_samples ? m->min_samples : 6;
    m->max_samples = m->max_samples ? m->max_samples : 200;
    m->interval_percent = m->interval_percent > 0 ? m->interval_percent : 1;
    m->budget_s = m->budget_s > 0 ? m->budget_s : 5;
    m->min_sample_ms = m->min_sample_ms > 0 ? m->min_sample_ms : 50;
    m->ring = m->ring >= 2 ? m->ring : 4;
}

static enum vaemark_status check_limits(const struct suite *suite, struct error *error) {
    const struct suite_measure *m = &suite->measure;
    if (!(suite->timeout_s <= 86400 && m->budget_s <= 86400 && m->interval_percent <= 100 &&
          m->min_sample_ms <= 60000)) {
        return error_set_at(error, VAEMARK_BAD_INPUT, suite->path, "a time or percentage is out of range");
    }
    if (m->launches > SUITE_MAX_LAUNCHES || m->warmups > 1000 || m->max_samples > 100000 || m->ring > 64 ||
        m->min_samples > m->max_samples) {
        return error_set_at(error, VAEMARK_BAD_INPUT, suite->path,
                            "measure: launches, warmups at most 1000, max_samples 100000, ring 64, and min_samples not "
                            "above max_samples");
    }
    for (unsigned i = 0; i < suite->blocks_count; i++) {
        for (unsigned k = 0; k < suite->blocks[i].batches_count; k++) {
            if (suite->blocks[i].batches[k] < 1 || suite->blocks[i].batches[k] > 1024) {
                return error_set_at(error, VAEMARK_BAD_INPUT, suite->path, "cases[%u]: batches are 1 to 1024", i);
            }
        }
    }
    return VAEMARK_OK;
}

static bool has_decoder(const struct suite *suite, const char *name) {
    bool found = false;
    for (unsigned i = 0; !found && i < suite->decoders_count; i++) {
        struct decoder_spec spec;
        struct error unused = {0}; /* a decoder that is wrong is told where it is chosen */
        found = decoder_spec_parse(suite->decoders[i], &spec, &unused) == VAEMARK_OK && strcmp(spec.name, name) == 0;
    }
    return found;
}

bool suite_block_takes(const struct suite *suite, const struct suite_block *block, const char *decoder_name) {
    bool listed = block->decoders_count == 0;
    for (unsigned i = 0; !listed && i < block->decoders_count; i++) {
        listed = strcmp(block->decoders[i], decoder_name) == 0;
    }
    return listed || !has_decoder(suite, decoder_name);
}

/* A name that was mistyped would leave cases out in silence. */
static enum vaemark_status check_block_decoders(const struct suite *suite, struct error *error) {
    for (unsigned i = 0; i < suite->blocks_count; i++) {
        for (unsigned k = 0; k < suite->blocks[i].decoders_count; k++) {
            if (!has_decoder(suite, suite->blocks[i].decoders[k])) {
                return error_set_at(error, VAEMARK_BAD_INPUT, suite->path,
                                    "cases[%u]: the suite has no decoder '%.80s'; a block names them as case ids do", i,
                                    suite->blocks[i].decoders[k]);
            }
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status read_memory_limit(struct suite *suite, struct error *error) {
    struct error wrong = {0};
    if (suite->memory_limit &&
        memory_limit_parse(suite->memory_limit, &suite->memory_limit_bytes, &wrong) != VAEMARK_OK) {
        return error_set_at(error, VAEMARK_BAD_INPUT, suite->path, "memory_limit: %s", wrong.message);
    }
    return VAEMARK_OK;
}

static enum vaemark_status set_no_such_suite(const char *name, const char *folder, struct error *error) {
    const char *names[65] = {NULL};
    char *copies[64] = {NULL};
    size_t count = 0;
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing)) && count < 64;) {
        char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".yaml") == 0) {
            copies[count] = strndup(entry->d_name, (size_t)(dot - entry->d_name));
            names[count] = copies[count];
            count++;
        }
    }
    const char *nearest = text_nearest(name, names);
    error_set(error, VAEMARK_INVALID_ARGUMENT, "there is no suite '%s'%s%s%s ('vaemark list suites' names them)", name,
              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    for (size_t i = 0; i < count; i++) {
        free(copies[i]);
    }
    if (listing) {
        closedir(listing);
    }
    return VAEMARK_INVALID_ARGUMENT;
}

/* "smoke" -> the data folder's suites/smoke.yaml; what has a slash or ends in .yaml is a path. */
static enum vaemark_status find_file(const char *name, char **path, struct error *error) {
    size_t length = strlen(name);
    if (strchr(name, '/') || (length > 5 && strcmp(name + length - 5, ".yaml") == 0)) {
        *path = strdup(name);
        return *path ? VAEMARK_OK : error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory");
    }
    char *data = NULL;
    enum vaemark_status status = data_folder(&data, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    *path = text_format("%s/suites/%s.yaml", data, name);
    if (!*path || access(*path, R_OK) != 0) {
        char *folder = path_join(data, "suites");
        status = set_no_such_suite(name, folder ? folder : data, error);
        free(folder);
        free(*path);
        *path = NULL;
    }
    free(data);
    return status;
}

enum vaemark_status suite_load(const char *name_or_path, struct suite **suite, struct error *error) {
    *suite = NULL;
    char *path = NULL, *text = NULL;
    size_t size_bytes = 0;
    enum vaemark_status status = find_file(name_or_path, &path, error);
    if (status != VAEMARK_OK || (status = file_read(path, 1 << 20, &text, &size_bytes, error)) != VAEMARK_OK) {
        free(path);
        return status;
    }
    struct complaint complaint = {{0}};
    cyaml_config_t config = make_config(&complaint);
    struct suite *loaded = NULL;
    cyaml_err_t result =
        cyaml_load_data((const uint8_t *)text, size_bytes, &config, &suite_schema, (cyaml_data_t **)&loaded, NULL);
    if (result != CYAML_OK || !loaded) {
        status = result == CYAML_OK
                     ? error_set_at(error, VAEMARK_BAD_INPUT, path, "is empty; a suite in YAML is wanted here")
                     : error_set_at(error, VAEMARK_BAD_INPUT, path, "not a suite: %s. %s", cyaml_strerror(result),
                                    complaint.text);
        free(path);
    } else {
        loaded->path = path;
        hash_bytes(text, size_bytes, loaded->sha256);
        set_defaults(loaded);
        status = check_limits(loaded, error);
        if (status == VAEMARK_OK) {
            status = check_block_decoders(loaded, error);
        }
        if (status == VAEMARK_OK) {
            status = read_memory_limit(loaded, error);
        }
        if (status != VAEMARK_OK) {
            suite_free(loaded);
        } else {
            *suite = loaded;
        }
    }
    free(text);
    return status;
}

void suite_free(struct suite *suite) {
    if (!suite) {
        return;
    }
    struct complaint complaint = {{0}};
    cyaml_config_t config = make_config(&complaint);
    free(suite->path);
    cyaml_free(&config, &suite_schema, suite, 0);
}
