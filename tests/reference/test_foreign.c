/* What is not safetensors is named, with what to do about it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "reference/weights.h"
#include "tests/reference/support_files.h"

#define BYTES(text) text, sizeof text - 1

static const struct {
    const char *file, *bytes;
    size_t size_bytes;
    const char *what, *remedy;
} FOREIGN[] = {
    {"a.pth", BYTES("\x80\x02}q\x00(X\x01\x00\x00\x00wq\x01"), "Python pickle", "torch.load('a.pth'"},
    {"b.ckpt", BYTES("\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}"), "Python pickle", "state_dict"},
    {"c.bin",
     BYTES("PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
           "\x10\x00\x00\x00"
           "archive/data.pkl"),
     "Python pickle", "converted.safetensors"},
    {"d.npz",
     BYTES("PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
           "\x09\x00\x00\x00"
           "conv1.npy"),
     "NumPy archive", "safetensors.numpy"},
    {"e.zip", BYTES("PK\x03\x04"), "ZIP archive", "unpack"},
    {"f.safetensors", BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 334643276\n"),
     "Git LFS pointer", "git lfs pull"},
    {"f2.safetensors", BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 334643276\n"),
     "(334643276 bytes)", ""},
    {"g.gguf", BYTES("GGUF\x03\x00\x00\x00\x01\x00\x00\x00"), "GGUF", ".safetensors"},
    {"h.h5", BYTES("\x89HDF\r\n\x1a\n\x00\x00"), "HDF5", ".safetensors"},
    {"i.tflite", BYTES("\x1c\x00\x00\x00TFL3\x14\x00"), "TensorFlow Lite", ".safetensors"},
    {"j.onnx", BYTES("\x08\x07\x12\x07pytorch"), "ONNX", ".safetensors"},
    {"k.safetensors", BYTES("<!DOCTYPE html>\n<html><head>"), "web page", "download link"},
    {"l.safetensors", BYTES("\n  <HTML lang=en>"), "web page", "download link"},
    {"m.safetensors", BYTES("Entry not found"), "\"Entry not found\"", "fetch it again"},
    {"n.gz", BYTES("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), "gzip", "unpack"},
    {"o.npy", BYTES("\x93NUMPY\x01\x00v\x00{'descr'"), "NumPy array", ".safetensors"},
    {"p.safetensors", BYTES("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "picture", ".safetensors"},
    {"q.safetensors", BYTES("{\"_class_name\": \"AutoencoderKL\"}"), "no \"weight_map\"", ".safetensors"},
    {"evil'; import os.bin", BYTES("\x80\x02}q\x00."), "torch.load('FILE'", ""},
    {"zeros.safetensors", BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "not valid JSON", ""},
    {"noise.safetensors", BYTES("\x9a\x11\xfe\x7f\x33\xc0\xde\x9b\x02\x55\xaa"), "cut short, or not a safetensors", ""},
};

Test(foreign, formats_are_named_with_their_remedy) {
    const char *folder = support_folder();
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++) {
        struct weights *weights = (struct weights *)&weights;
        struct error error = {.status = VAEMARK_OK};
        const char *path = support_path("%s/%s", folder, FOREIGN[i].file);
        support_write(path, FOREIGN[i].bytes, FOREIGN[i].size_bytes);
        cr_expect_eq(weights_open(path, &weights, &error), VAEMARK_BAD_INPUT, "%s", FOREIGN[i].file);
        cr_expect_null(weights);
        cr_expect_str_eq(error.where, path);
        cr_expect_not_null(strstr(error.message, FOREIGN[i].what), "%s: '%s' lacks '%s'", FOREIGN[i].file,
                           error.message, FOREIGN[i].what);
        cr_expect_not_null(strstr(error.message, FOREIGN[i].remedy), "%s: '%s' lacks '%s'", FOREIGN[i].file,
                           error.message, FOREIGN[i].remedy);
    }
}

/* The first bytes of a header's length may be those of a pickle: 0x0280 = 640 bytes of JSON. */
Test(foreign, a_header_of_640_bytes_is_no_pickle) {
    char bytes[648] = "\x80\x02";
    const char *path = support_path("%s/x.safetensors", support_folder());
    struct weights *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    memset(bytes + 8, ' ', sizeof bytes - 8);
    memcpy(bytes + 8, "{}", 2);
    support_write(path, bytes, sizeof bytes);
    cr_expect_eq(weights_open(path, &weights, &error), VAEMARK_OK, "%s", error.message);
    weights_free(weights);
}

/* A download that broke off: both sizes are told. */
Test(foreign, a_cut_file_is_told_with_both_sizes) {
    const char *folder = support_folder(), *path = support_path("%s/x.safetensors", folder);
    static const float NUMBERS[100] = {1};
    struct shape shape = {.rank = 1, .dims = {50}};
    struct vaemark_tensor items[2] = {tensor_make("a", VAEMARK_F32, &shape, (void *)NUMBERS),
                                      tensor_make("b", VAEMARK_F32, &shape, (void *)NUMBERS)};
    struct vaemark_tensors tensors = {.items = items, .count = 2};
    struct weights *weights = NULL;
    struct error error = {.status = VAEMARK_OK};
    char bytes[4096], sizes[100];
    cr_assert_eq(weights_write(path, &tensors, &error), VAEMARK_OK);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    support_write(path, bytes, size - 300);
    cr_expect_eq(weights_open(path, &weights, &error), VAEMARK_BAD_INPUT);
    snprintf(sizes, sizeof sizes, "it has %zu bytes, and its header describes %zu", size - 300, size);
    cr_expect_not_null(strstr(error.message, sizes), "'%s' lacks '%s'", error.message, sizes);
}
