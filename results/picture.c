#include "results/picture.h"

#include <limits.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/beside.h"

bool picture_encode_png(void **bytes, size_t *size_bytes, const uint8_t *pixels, int64_t height, int64_t width,
                        struct results_error *error) {
    *bytes = NULL;
    if (height <= 0 || width <= 0 || height > INT32_MAX || width > INT32_MAX / 3) {
        return results_fail(error, "a picture of %lld x %lld pixels cannot be a PNG file", (long long)height,
                            (long long)width);
    }
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGB};
    png_alloc_size_t used = PNG_IMAGE_PNG_SIZE_MAX(image);
    *bytes = malloc(used);
    bool done = *bytes && png_image_write_to_memory(&image, *bytes, &used, 0, pixels, 0, NULL);
    if (!done) {
        results_fail(error, "%s", *bytes ? image.message : "out of memory");
        free(*bytes);
        *bytes = NULL;
    }
    *size_bytes = used;
    png_image_free(&image);
    return done;
}

bool picture_write_png(const char *path, const uint8_t *pixels, int64_t height, int64_t width,
                       struct results_error *error) {
    void *bytes = NULL;
    size_t size_bytes = 0;
    struct results_error reason = {""};
    bool done = picture_encode_png(&bytes, &size_bytes, pixels, height, width, &reason) ||
                results_fail(error, "%s: cannot be made: %s", path, reason.message);
    done = done && beside_write(path, &(struct piece){bytes, size_bytes}, 1, error);
    free(bytes);
    return done;
}

static void make_name(char name[PICTURE_NAME_BYTES], const struct image_row *row) {
    enum { LONGEST = 200 }; /* a number and ".png" are to come */
    snprintf(name, LONGEST, "%s_%s", row->case_id, row->kind);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-";
    for (char *at = name; *at; at++) {
        if (!strchr(allowed, *at) || (at == name && (*at == '.' || *at == '-'))) {
            *at = '_';
        }
    }
}

/* How many pictures before this one have the same name. */
static size_t count_namesakes(const struct record *record, size_t index, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < index; i++) {
        char other[PICTURE_NAME_BYTES];
        make_name(other, RECORD_ROW(record, TABLE_IMAGES, i, image_row));
        count += strcasecmp(other, name) == 0;
    }
    return count;
}

void picture_file_name(char name[PICTURE_NAME_BYTES], const struct record *record, size_t index) {
    make_name(name, RECORD_ROW(record, TABLE_IMAGES, index, image_row));
    size_t namesakes = count_namesakes(record, index, name);
    size_t used = strlen(name);
    if (namesakes > 0) {
        used += (size_t)snprintf(name + used, PICTURE_NAME_BYTES - used, "_%zu", namesakes + 1);
    }
    snprintf(name + used, PICTURE_NAME_BYTES - used, ".png");
}

bool pictures_write(const struct record *record, const char *folder, struct results_error *error) {
    for (size_t i = 0; i < record->tables[TABLE_IMAGES].count && i < record->image_count; i++) {
        const struct record_image *image = &record->images[i];
        char name[PICTURE_NAME_BYTES];
        char *path = NULL;
        picture_file_name(name, record, i);
        if (asprintf(&path, "%s/%s", folder, name) < 0) {
            return results_fail(error, "%s: out of memory", folder);
        }
        bool done = picture_write_png(path, image->pixels, image->height, image->width, error);
        free(path);
        if (!done) {
            return false;
        }
    }
    return true;
}

/* ---- Smaller pictures ---- */

static uint8_t shrink_square(const struct record_image *image, int64_t y, int64_t x, int64_t factor,
                             bool keep_largest) {
    int64_t sum = 0, count = 0;
    uint8_t largest = 0;
    for (int64_t i = y; i < y + factor && i < image->height; i++) {
        for (int64_t j = x; j < x + factor * 3 && j < image->width * 3; j += 3) {
            uint8_t value = image->pixels[i * image->width * 3 + j];
            sum += value;
            largest = value > largest ? value : largest;
            count++;
        }
    }
    return (uint8_t)(keep_largest || count == 0 ? largest : (sum + count / 2) / count);
}

uint8_t *picture_shrink(const struct record_image *image, int64_t factor, bool keep_largest,
                        struct record_image *smaller) {
    smaller->height = (image->height + factor - 1) / factor;
    smaller->width = (image->width + factor - 1) / factor;
    smaller->pixels = malloc((size_t)(smaller->height * smaller->width * 3) + 1);
    uint8_t *at = smaller->pixels;
    for (int64_t y = 0; at && y < smaller->height; y++) {
        for (int64_t x = 0; x < smaller->width; x++) {
            for (int64_t channel = 0; channel < 3; channel++) {
                *at++ = shrink_square(image, y * factor, x * factor * 3 + channel, factor, keep_largest);
            }
        }
    }
    return smaller->pixels;
}
