#include "harness/run/case_record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/metrics.h"

void case_record_identity(struct judgement *j, int64_t threads, const char *repro) {
    const struct run_case *item = j->item;
    struct record *record = j->record;
    struct case_row *row = j->row;
    row->id = record_text(record, item->id);
    row->model = record_text(record, item->model->name);
    row->vae_type = record_text(record, item->model->model->type->name);
    row->decoder = record_text(record, item->decoder->text);
    row->backend = record_text(record, item->decoder->name);
    row->precision = record_text(record, item->precision);
    row->options = record_text(record, item->options_text);
    row->shape = record_text(record, item->shape);
    row->repro = record_text(record, repro);
    row->threads = threads;
    row->batch = item->batch;
}

void case_record_facts(struct judgement *j, const struct worker_hello *hello) {
    const char *key;
    json_t *value;
    json_object_foreach(hello->facts, key, value) {
        char name[160];
        snprintf(name, sizeof name, "hello_%.60s_%.60s", j->item->decoder->name, key);
        if (json_is_string(value)) {
            record_add_fact(j->record, name, json_string_value(value), "");
        }
    }
}

/* (3,H,W) of the first sample as 8-bit RGB. */
static void to_pixels(const struct vaemark_tensor *image, uint8_t *pixels, int64_t height, int64_t width) {
    int64_t plane = height * width;
    for (int64_t c = 0; c < 3; c++) {
        for (int64_t i = 0; i < plane; i++) {
            double value = 0;
            tensor_read_f64(&value, image, c * plane + i, 1);
            pixels[i * 3 + c] = metrics_to_8bit(value);
        }
    }
}

/* |image - oracle| a pixel and channel, times `gain`, black where there is none. */
static void to_error_map(const struct vaemark_tensor *image, const struct vaemark_tensor *oracle, double gain,
                         uint8_t *pixels, int64_t height, int64_t width) {
    int64_t plane = height * width;
    for (int64_t c = 0; c < 3; c++) {
        for (int64_t i = 0; i < plane; i++) {
            double a = 0, b = 0;
            tensor_read_f64(&a, image, c * plane + i, 1);
            tensor_read_f64(&b, oracle, c * plane + i, 1);
            double scaled = fabs(a - b) * gain * 255;
            pixels[i * 3 + c] = !(scaled < 255) ? 255 : (uint8_t)scaled;
        }
    }
}

void case_record_pictures(struct judgement *j) {
    const struct vaemark_tensor *image = &j->first_image;
    if (!j->item->block->pictures || !j->oracle || !image->data || image->shape[1] != 3) {
        return;
    }
    int64_t height = j->row->image_height, width = j->row->image_width;
    uint8_t *pixels = calloc((size_t)(height * width), 3);
    if (!pixels) {
        return;
    }
    bool reference = strcmp(j->item->decoder->backend, "reference") == 0;
    const struct vaemark_tensor *wanted = reference ? &j->oracle->image_fp64 : &j->oracle->image_fp32;
    double gain = j->row->max_abs_error > 0 ? 1 / j->row->max_abs_error : 1;
    to_pixels(image, pixels, height, width);
    record_add_image(j->record, j->row->id, "decoded", height, width, pixels, 1);
    to_error_map(image, wanted, gain, pixels, height, width);
    record_add_image(j->record, j->row->id, "error", height, width, pixels, gain);
    free(pixels);
}

void case_record_oracle(struct judgement *j) {
    struct oracle_row *row = j->oracle ? record_append(j->record, TABLE_ORACLE) : NULL;
    if (row) {
        const struct metrics *own = &j->oracle->own_error;
        *row = (struct oracle_row){.case_id = j->row->id,
                                   .key = record_text(j->record, j->oracle->key),
                                   .source = j->oracle->source,
                                   .fp32_error_l2 = own->relative_l2,
                                   .fp32_error_max = own->max_abs_error,
                                   .image_max_abs = own->oracle_max_abs};
    }
}
