#include "harness/image_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/files.h"
#include "harness/metrics.h"
#include "reference/weights.h"
#include "results/report.h"

static enum vaemark_status write_png(const char *path, const struct vaemark_tensor *image, struct error *error);
static enum vaemark_status write_npy(const char *path, const struct vaemark_tensor *image, struct error *error);
static enum vaemark_status write_safetensors(const char *path, const struct vaemark_tensor *image, struct error *error);

static const struct ending {
    const char *text;
    enum vaemark_status (*write)(const char *path, const struct vaemark_tensor *image, struct error *error);
} endings[] = {{".png", write_png}, {".npy", write_npy}, {".safetensors", write_safetensors}};

static const struct ending *find_ending(const char *path) {
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot, endings[i].text) == 0) {
            return &endings[i];
        }
    }
    return NULL;
}

enum vaemark_status image_file_check(const char *path, struct error *error) {
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        return error_set_at(error, VAEMARK_INVALID_ARGUMENT, path, "is a folder; --out wants a file");
    }
    if (!find_ending(path)) {
        return error_set_at(error, VAEMARK_INVALID_ARGUMENT, path,
                            "unknown ending; --out wants .png to look at, or .npy or .safetensors to compute with");
    }
    struct atomic_file probe;
    enum vaemark_status opened = atomic_file_open(&probe, path, error);
    if (opened == VAEMARK_OK) {
        atomic_file_abandon(&probe);
    }
    return opened;
}

enum vaemark_status image_file_write(const char *path, const struct vaemark_tensor *image, struct error *error) {
    const struct ending *ending = find_ending(path);
    return ending ? ending->write(path, image, error) : image_file_check(path, error);
}

/* Samples and frames side by side; a grey picture from one channel. */
static enum vaemark_status write_png(const char *path, const struct vaemark_tensor *image, struct error *error) {
    int64_t height = image->shape[image->rank - 2], width = image->shape[image->rank - 1];
    int64_t channels = image->shape[1], frames = image->rank == 5 ? image->shape[2] : 1;
    int64_t pictures = image->shape[0] * frames, total_width = pictures * width;
    if (channels != 3 && channels != 1) {
        return error_set_at(error, VAEMARK_BAD_INPUT, path,
                            "an image of %lld channels is no picture; --out FILE.npy or FILE.safetensors keeps it",
                            (long long)channels);
    }
    uint8_t *pixels = malloc((size_t)(height * total_width * 3));
    double *row = malloc((size_t)width * sizeof *row);
    if (!pixels || !row) {
        free(pixels);
        free(row);
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the picture");
    }
    for (int64_t p = 0; p < pictures; p++) {
        for (int64_t c = 0; c < 3; c++) {
            int64_t plane = ((p / frames) * channels + (channels == 3 ? c : 0)) * frames + p % frames;
            for (int64_t y = 0; y < height; y++) {
                tensor_read_f64(row, image, (plane * height + y) * width, width);
                for (int64_t x = 0; x < width; x++) {
                    pixels[((y * pictures + p) * width + x) * 3 + c] = metrics_to_8bit(row[x]);
                }
            }
        }
    }
    struct results_error failure = {{0}};
    bool written = picture_write_png(path, pixels, height, total_width, &failure);
    free(pixels);
    free(row);
    return written ? VAEMARK_OK : error_set(error, VAEMARK_IO_ERROR, "%s", failure.message);
}

/* NumPy's format 1.0: magic, version, header length, a Python dict padded so that data starts at a multiple of 64. */
static enum vaemark_status write_npy(const char *path, const struct vaemark_tensor *image, struct error *error) {
    char header[512], shape[256] = "";
    for (int32_t d = 0; d < image->rank; d++) {
        size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%lld, ", (long long)image->shape[d]);
    }
    int length = snprintf(header, sizeof header, "{'descr': '<f%zu', 'fortran_order': False, 'shape': (%s), }",
                          dtype_size_bytes(image->dtype), shape);
    size_t padded = (10 + (size_t)length + 1 + 63) / 64 * 64 - 10;
    memset(header + length, ' ', padded - (size_t)length - 1);
    header[padded - 1] = '\n';
    unsigned char start[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(padded & 255), (unsigned char)(padded >> 8)};
    struct atomic_file file;
    enum vaemark_status status = atomic_file_open(&file, path, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    size_t size_bytes = tensor_size_bytes(image);
    if (fwrite(start, 1, sizeof start, file.stream) != sizeof start ||
        fwrite(header, 1, padded, file.stream) != padded ||
        fwrite(image->data, 1, size_bytes, file.stream) != size_bytes) {
        atomic_file_abandon(&file);
        return error_set_at(error, VAEMARK_IO_ERROR, path, "writing failed; is the disk full?");
    }
    return atomic_file_commit(&file, error);
}

static enum vaemark_status write_safetensors(const char *path, const struct vaemark_tensor *image,
                                             struct error *error) {
    struct vaemark_tensor named = *image;
    named.name = "image";
    struct vaemark_tensors list = {.items = &named, .count = 1};
    return weights_write(path, &list, error);
}
