/* Files that are not safetensors: recognised by what they begin with and named, with what to do about it. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "reference/weights_internal.h"

bool weights_looks_like_safetensors(const struct weights *weights) {
    enum { MOST_BYTES = 100 << 20 }; /* what the format's own library takes */
    const unsigned char *bytes = weights->mapping;
    uint64_t length = 0;
    if (weights->mapping_size_bytes < 9) {
        return false;
    }
    for (int i = 7; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    return bytes[8] == '{' && length <= MOST_BYTES;
}

static const char CONVERT[] =
    "python3 -c \"import torch, safetensors.torch as s; d = torch.load('%s', map_location='cpu', weights_only=True); "
    "s.save_file({k: v.clone().contiguous() for k, v in d.get('state_dict', d).items() if torch.is_tensor(v)}, "
    "'converted.safetensors')\"";

void weights_describe_conversion(const char *path, char *text, size_t size_bytes) {
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    bool plain = strlen(name) < 100;
    for (const char *c = name; *c != '\0'; c++) {
        plain = plain && (isalnum((unsigned char)*c) || strchr("._-+", *c) != NULL);
    }
    snprintf(text, size_bytes, CONVERT, plain ? name : "FILE"); /* a name must not become code */
}

/* A format by its first bytes. */
struct magic {
    size_t offset, length;
    const char *bytes;
    const char *what, *remedy;
};

#define SAFETENSORS_INSTEAD "fetch the .safetensors of the same model instead"
#define UNPACK              "unpack it and give the .safetensors inside"

static const struct magic MAGICS[] = {
    {0, 4, "GGUF", "a GGUF file of llama.cpp and its relatives", SAFETENSORS_INSTEAD},
    {0, 4, "ggml", "a GGML file", SAFETENSORS_INSTEAD},
    {0, 4, "ggjt", "a GGML file", SAFETENSORS_INSTEAD},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras, or a vaemark run?)", SAFETENSORS_INSTEAD},
    {4, 4, "TFL3", "a TensorFlow Lite model", SAFETENSORS_INSTEAD},
    {0, 6, "\x93NUMPY", "a NumPy array", "save its array under a name as .safetensors (safetensors.numpy.save_file)"},
    {0, 2, "\x1f\x8b", "compressed with gzip", UNPACK},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "compressed with xz", UNPACK},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK},
    {0, 3, "BZh", "compressed with bzip2", UNPACK},
    {0, 6, "7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK},
    {0, 4, "Rar!", "a RAR archive", UNPACK},
    {257, 5, "ustar", "a tar archive", UNPACK},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG picture", "give a .safetensors file"},
    {0, 3, "\xff\xd8\xff", "a JPEG picture", "give a .safetensors file"},
};

static bool has_bytes(const struct weights *weights, size_t offset, const char *bytes, size_t length) {
    return weights->mapping_size_bytes >= offset + length &&
           memcmp((const char *)weights->mapping + offset, bytes, length) == 0;
}

static enum vaemark_status report(const struct weights *weights, const char *what, const char *remedy,
                                  struct error *error) {
    return error_set_at(error, VAEMARK_BAD_INPUT, weights->path, "is %s, not safetensors: %s", what, remedy);
}

static enum vaemark_status report_pickle(const struct weights *weights, struct error *error) {
    char command[512];
    weights_describe_conversion(weights->path, command, sizeof command);
    return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                        "is a PyTorch file (a Python pickle, which can run code when it is read), not "
                        "safetensors; look for a .safetensors of the same, or convert it where you trust it: "
                        "%s",
                        command);
}

/* A ZIP archive is told by the name of its first member, at byte 30. */
static enum vaemark_status report_zip(const struct weights *weights, struct error *error) {
    const char *bytes = weights->mapping;
    char name[128] = "";
    if (weights->mapping_size_bytes > 30) {
        size_t length = (unsigned char)bytes[26] | (size_t)(unsigned char)bytes[27] << 8;
        size_t left = weights->mapping_size_bytes - 30;
        length = length < left ? length : left;
        snprintf(name, sizeof name, "%.*s", (int)length, bytes + 30);
    }
    if (strstr(name, ".npy") != NULL) {
        return report(weights, "a NumPy archive (.npz)",
                      "save its arrays as .safetensors (safetensors.numpy.save_file)", error);
    }
    bool pytorch = strstr(name, ".pkl") != NULL || strstr(name, "/version") != NULL || strstr(name, "/byteorder");
    return pytorch ? report_pickle(weights, error) : report(weights, "a ZIP archive", UNPACK, error);
}

static enum vaemark_status report_git_lfs(const struct weights *weights, struct error *error) {
    const char *bytes = weights->mapping;
    char text[256], wanted[64] = "";
    size_t length = weights->mapping_size_bytes < sizeof text - 1 ? weights->mapping_size_bytes : sizeof text - 1;
    unsigned long long size_bytes = 0;
    memcpy(text, bytes, length);
    text[length] = '\0';
    const char *size = strstr(text, "\nsize ");
    if (size != NULL && sscanf(size, " size %19llu", &size_bytes) == 1) {
        snprintf(wanted, sizeof wanted, " (%llu bytes)", size_bytes);
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                        "is a Git LFS pointer, %zu bytes that stand for the file%s; fetch it with 'git lfs pull' "
                        "in that folder (package git-lfs), or download the file itself",
                        weights->mapping_size_bytes, wanted);
}

/* The first line of a text file, shortened; false where it is not text. */
static bool first_line(const struct weights *weights, char text[80]) {
    const unsigned char *bytes = weights->mapping;
    size_t begin = has_bytes(weights, 0, "\xef\xbb\xbf", 3) ? 3 : 0, length = 0;
    while (begin < weights->mapping_size_bytes && isspace(bytes[begin])) {
        begin++;
    }
    for (size_t i = begin; i < weights->mapping_size_bytes && i < begin + 256; i++) {
        if (!isprint(bytes[i]) && !isspace(bytes[i]) && bytes[i] < 0x80) {
            return false;
        }
    }
    while (begin + length < weights->mapping_size_bytes && length < 60 && isprint(bytes[begin + length])) {
        text[length] = (char)bytes[begin + length];
        length++;
    }
    text[length] = '\0';
    return length > 0;
}

static enum vaemark_status report_text(const struct weights *weights, const char *line, struct error *error) {
    if (strncasecmp(line, "<!doctype html", 14) == 0 || strncasecmp(line, "<html", 5) == 0) {
        return report(weights, "a web page (HTML)",
                      "the page about the file was saved instead of the file; use its download link", error);
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, weights->path,
                        "is a text file, not safetensors: it begins with \"%s\"; was an answer of a server saved "
                        "instead of the file? fetch it again",
                        line);
}

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), wanted = strlen(ending);
    return length >= wanted && strcasecmp(text + length - wanted, ending) == 0;
}

enum vaemark_status weights_report_foreign(const struct weights *weights, struct error *error) {
    const unsigned char *bytes = weights->mapping;
    char line[80];
    if (has_bytes(weights, 0, "version https://git-lfs", 23)) {
        return report_git_lfs(weights, error);
    }
    if (has_bytes(weights, 0, "PK\x03\x04", 4)) {
        return report_zip(weights, error);
    }
    if (weights->mapping_size_bytes >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5) {
        return report_pickle(weights, error);
    }
    for (size_t i = 0; i < sizeof MAGICS / sizeof MAGICS[0]; i++) {
        if (has_bytes(weights, MAGICS[i].offset, MAGICS[i].bytes, MAGICS[i].length)) {
            return report(weights, MAGICS[i].what, MAGICS[i].remedy, error);
        }
    }
    if (ends_with(weights->path, ".onnx")) {
        return report(weights, "an ONNX model", SAFETENSORS_INSTEAD, error);
    }
    if (ends_with(weights->path, ".pb") || ends_with(weights->path, ".msgpack")) {
        return report(weights, "a TensorFlow or Flax file", SAFETENSORS_INSTEAD, error);
    }
    return first_line(weights, line) ? report_text(weights, line, error) : VAEMARK_OK;
}
