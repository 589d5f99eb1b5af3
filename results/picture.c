#include "results/picture.h"

#include <limits.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/beside.h"

enum { NAME_BYTES = 200 }; /* file systems take 255, and ".png" and ".PID.part" are to come */

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

static void make_name(char name[NAME_BYTES], const struct image_row *row) {
    snprintf(name, NAME_BYTES, "%s_%s", row->case_id, row->kind);
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
        char other[NAME_BYTES];
        make_name(other, RECORD_ROW(record, TABLE_IMAGES, i, image_row));
        count += strcasecmp(other, name) == 0;
    }
    return count;
}

bool pictures_write(const struct record *record, const char *folder, struct results_error *error) {
    for (size_t i = 0; i < record->tables[TABLE_IMAGES].count && i < record->image_count; i++) {
        const struct image_row *row = RECORD_ROW(record, TABLE_IMAGES, i, image_row);
        const struct record_image *image = &record->images[i];
        char name[NAME_BYTES];
        char number[32] = "";
        char *path = NULL;
        make_name(name, row);
        size_t namesakes = count_namesakes(record, i, name);
        if (namesakes > 0) {
            snprintf(number, sizeof number, "_%zu", namesakes + 1);
        }
        if (asprintf(&path, "%s/%s%s.png", folder, name, number) < 0) {
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
